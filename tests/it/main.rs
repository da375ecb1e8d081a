//! Everything that is shown by tests from outside the crate's modules.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]
#![allow(clippy::similar_names, reason = "`send`, `sent` and `seen` are words of the contract")]
#![allow(missing_docs, unreachable_pub, reason = "tests have no callers")]

mod access;
mod backpressure;
mod bad_input;
mod bus_contract;
mod bus_redis;
mod cli;
mod cluster;
mod database;
mod delivery_model;
mod deploy;
mod docs;
mod door;
mod drain;
mod floods;
mod harness;
mod http;
mod legacy;
mod limiter_contract;
mod limiter_redis;
mod limits;
mod liveness;
mod load;
mod login;
mod logs;
mod memory;
mod metrics;
mod nginx;
mod online;
mod origins;
mod outbox;
mod output;
mod presence_contract;
mod presence_model;
mod presence_processes;
mod presence_redis;
mod readme;
mod reconcile;
mod replicas;
mod smoke;
mod stack;
mod store_contract;
mod trimming;
mod wechat;
mod ws;
