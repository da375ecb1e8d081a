//! How long things took.

use std::{
    collections::HashSet,
    fmt,
    ops::Range,
    time::{Duration, Instant},
};

use super::ledger::{Ledger, Sending};

/// Some durations, in order.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// From when a chat first left its client to its acknowledgement, of those that were written
    /// within.
    pub fn acknowledged(ledger: &Ledger, within: Range<Instant>) -> Self {
        Self::of(ledger, within, |sending| {
            Some(sending.acknowledged?.saturating_duration_since(sending.sent?))
        })
    }

    /// From a chat's acknowledgement to when the last client was shown it.
    pub fn shown(ledger: &Ledger, within: Range<Instant>) -> Self {
        Self::of(ledger, within, |sending| {
            Some(sending.shown?.saturating_duration_since(sending.acknowledged?))
        })
    }

    /// As [`Latencies::shown`], of chats to people who write nothing themselves. Nothing but the bus
    /// or the comparison with the database brings them.
    pub fn heard(ledger: &Ledger, within: Range<Instant>) -> Self {
        let writers: HashSet<_> = ledger.sendings().map(|sending| sending.sender).collect();
        Self::of(ledger, within, |sending| {
            let is_heard = !writers.contains(&sending.target);
            is_heard
                .then(|| Some(sending.shown?.saturating_duration_since(sending.acknowledged?)))?
        })
    }

    /// How long after `since` the bus began to bring chats again: the beginning of the first three
    /// seconds in which nine of ten that were written were [heard](Latencies::heard) within a second.
    /// What only the comparison with the database brings takes longer. `None`: it never did.
    pub fn live_after(ledger: &Ledger, since: Instant) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let last = ledger.sendings().map(|sending| sending.written).max()?;
        let steps = (0..).map(|step| since + step * SECOND / 10);
        let mut begins = steps.take_while(|begin| *begin + 3 * SECOND <= last);
        let first = begins.find(|begin| {
            let heard = Self::heard(ledger, *begin..*begin + 3 * SECOND);
            heard.count() >= 5 && heard.at(90) < SECOND
        })?;
        Some(first - since)
    }

    fn of(
        ledger: &Ledger,
        within: Range<Instant>,
        latency: impl Fn(&Sending) -> Option<Duration>,
    ) -> Self {
        let sendings = ledger.sendings().filter(|sending| within.contains(&sending.written));
        let mut all: Vec<_> = sendings.filter_map(latency).collect();
        all.sort_unstable();
        Self(all)
    }

    /// The one that half of them do not exceed.
    pub fn median(&self) -> Duration {
        self.at(50)
    }

    /// The one that 99 of 100 do not exceed.
    pub fn p99(&self) -> Duration {
        self.at(99)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.at(100)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn at(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, median, p99, max) = (self.count(), self.median(), self.p99(), self.max());
        write!(f, "{count}: median {median:.1?}, p99 {p99:.1?}, longest {max:.1?}")
    }
}
