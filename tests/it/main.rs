//! Everything that is shown by tests from outside the crate's modules.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

mod bus_contract;
mod docs;
mod presence_contract;
mod store_contract;
mod wechat;
