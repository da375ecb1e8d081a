//! What people read of a run: line, table, page, comparison.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]
#![allow(missing_docs, unreachable_pub, reason = "tests have no callers")]

mod browser;
mod comparison;
mod evidence;
mod pages;
mod sample;
mod terminal;
