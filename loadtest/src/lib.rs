//! The load test. `README.md` beside it says how to use it; [`scenario`] is where to begin reading. The phones
//! and their ledger are a crate of their own, `phone`.
//!
//! Imports go down only: `app`; `cli`; `compare`, `legacy`, `soak`; `find_max`, `report`; `engine`; `faults`, `people`;
//! `stack`, `comparison`; `measure`; `evidence`, `growth`; `outcome`, `scenario`; `peers`, `plan`, `picture`, `clock`. In `measure`:
//! `processes`; `linux`; `machine`, `meter`.

#![allow(missing_docs, reason = "what a name says is not said twice in a program's own library")]

pub mod app;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod comparison;
pub mod engine;
pub mod evidence;
pub mod faults;
pub mod find_max;
pub mod growth;
pub mod legacy;
pub mod measure;
pub mod outcome;
pub mod peers;
pub mod people;
pub mod picture;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod soak;
pub mod stack;
