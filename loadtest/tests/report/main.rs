//! What people read of a run: line, table, page, comparison.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod browser;
mod comparison;
mod pages;
mod sample;
mod terminal;
