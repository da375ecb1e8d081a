//! What is counted and timed.

mod meter;

pub use meter::{Counts, Meter, Timed, Times, latency, times};
