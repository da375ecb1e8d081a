//! Everything that is shown by tests from outside the crate's modules.

mod bus_contract;
mod docs;
mod presence_contract;
mod store_contract;
