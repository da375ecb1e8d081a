//! The load test. `README.md` beside it says how to use it; [`scenario`] is where to begin reading.

#![allow(missing_docs, reason = "what a name says is not said twice in a program's own library")]

pub mod app;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod comparison;
pub mod content;
pub mod engine;
pub mod faults;
pub mod find_max;
pub mod ledger;
pub mod legacy;
pub mod measure;
pub mod outcome;
pub mod people;
pub mod phone;
pub mod plan;
pub mod reading;
pub mod report;
pub mod scenario;
pub mod stack;
pub mod target;
pub mod wire;
