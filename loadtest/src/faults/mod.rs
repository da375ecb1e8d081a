//! Faults beside a load: which, when, and what became of them.

mod making;
mod schedule;

pub use making::{FaultError, Making};
pub use schedule::{Kind, NoSchedule, Planned, Problem, Schedule};
