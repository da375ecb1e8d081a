//! The books of a load: what was sent, acknowledged, shown and read back, and what is wrong with it.
//! No I/O and no clock.
//!
//! Each phone keeps a [`Book`] of its own, without locks; [`judge`] reads them all in the end.

mod book;
mod judge;
mod listing;
mod load;
mod order;
mod shown;
mod stored;
mod verdict;

#[cfg(test)]
mod tests;

pub use book::{Book, Key, NoKey, Seen};
pub use judge::judge;
pub use listing::{Listing, judge_listings};
pub use load::Timeline;
pub use verdict::{Class, Problem, Verdict};
