//! The server API: its keys, and what a back end can do by it.

mod keys;
