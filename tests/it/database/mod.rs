//! What can become of a database under a service that runs, and what the service says of it.

mod migrations;
mod pooler;
mod postgres;
