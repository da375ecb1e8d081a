//! Everything that is shown by tests from outside the crate's modules.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]
#![allow(missing_docs, unreachable_pub, reason = "tests have no callers")]

mod bus_contract;
mod delivery_model;
mod docs;
mod harness;
mod presence_contract;
mod presence_model;
mod presence_redis;
mod smoke;
mod store_contract;
mod wechat;
