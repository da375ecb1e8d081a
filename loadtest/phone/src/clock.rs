//! The time of a run: nanoseconds since it began, the same for all threads.

use std::time::{Duration, Instant};

/// Counts from the beginning of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: Instant,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Clock {
    pub fn start() -> Self {
        Self { begun: Instant::now() }
    }

    pub fn now(self) -> Moment {
        Moment(nanos(self.begun.elapsed()))
    }

    /// The moment as tokio's timers take it.
    pub fn instant(self, moment: Moment) -> tokio::time::Instant {
        (self.begun + Duration::from_nanos(moment.0)).into()
    }
}

impl Moment {
    /// Later than everything.
    pub const NEVER: Self = Self(u64::MAX);

    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }

    /// How long ago `earlier` was; zero if it is to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
