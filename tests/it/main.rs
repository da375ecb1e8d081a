//! Everything that is shown by tests from outside the crate's modules.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]
#![allow(clippy::similar_names, reason = "`send`, `sent` and `seen` are words of the contract")]
#![allow(missing_docs, unreachable_pub, reason = "tests have no callers")]

mod api;
mod contracts;
mod faults;
mod harness;
mod models;
