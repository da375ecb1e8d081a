//! What is counted and timed.

#[cfg(target_os = "linux")]
mod linux;
mod machine;
mod meter;
mod processes;

pub use machine::describe;
pub use meter::{Counts, LoadWindow, Meter, Timed, Times, latency, times};
pub use processes::{NotAProcess, Pid, Unmeasured, Usage, Watch, Watched, fds_of, rss_of, tree_of};
