//! The load test. `README.md` beside it says how to use it; [`scenario`] is where to begin reading.

#![allow(missing_docs, reason = "what a name says is not said twice in a program's own library")]

pub mod comparison;
pub mod ledger;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod wire;
