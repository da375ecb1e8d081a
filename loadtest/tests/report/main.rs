//! What people read of a run: line, table, page, comparison.

mod browser;
mod comparison;
mod pages;
mod sample;
mod terminal;
