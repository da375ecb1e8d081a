//! The books of a load: what was sent, acknowledged, shown and read back, and what is wrong with it.
//! No I/O and no clock.
//!
//! Each phone keeps a [`Book`] of its own, without locks; [`judge`] reads them all in the end.

mod book;
mod judge;
mod verdict;

pub use book::{Book, Key, Seen};
pub use judge::{Timeline, judge};
pub use verdict::{Class, Verdict};
