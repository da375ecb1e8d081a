//! The books of a load: what was sent, acknowledged, shown and read back, and what is wrong with it.
//! No I/O and no clock.
//!
//! Each phone keeps a [`Book`] of its own, without locks; [`judge`] reads them all in the end.

mod book;
mod changes;
mod groups;
mod judge;
mod listing;
mod load;
mod members;
mod order;
mod shown;
mod stored;
mod timeline;
mod verdict;

#[cfg(test)]
mod tests;

pub use book::{Book, Key, NoKey, Seen, Words};
pub use changes::{Asked, Change, Changes, Group};
pub use judge::{judge, judge_changes};
pub use listing::{Listing, judge_listings};
pub use timeline::Timeline;
pub use verdict::{Class, Problem, Verdict};
