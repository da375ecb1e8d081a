//! Faults beside a load: which, when, and what became of them.

mod making;
mod recovery;
mod schedule;

pub use making::{FaultError, Making};
pub use recovery::{FaultMoments, Recovery, recovered};
pub use schedule::{Kind, NoSchedule, Planned, Problem, Schedule};
