//! What one generator thread counts and times. The monitor looks into it once a second.

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::{
    clock::Moment,
    outcome::{Latency, Totals},
};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// From when a chat was due until it was shown to whom it was meant for.
    Delivery,
    /// From when a chat was due until it was acknowledged.
    Acknowledgement,
    /// From the first byte until the socket was ready.
    Connect,
    /// From the loss of a socket until the next one was ready.
    Resume,
    /// A page of a conversation's history.
    History,
    /// A page of the list of conversations.
    Conversations,
    /// How late the generator itself was in giving out a chat that was due.
    Lag,
}

impl Timed {
    pub const ALL: [Self; 7] = [
        Self::Delivery,
        Self::Acknowledgement,
        Self::Connect,
        Self::Resume,
        Self::History,
        Self::Conversations,
        Self::Lag,
    ];

    /// Its name in an outcome.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Acknowledgement => "acknowledgement",
            Self::Connect => "connect",
            Self::Resume => "resume",
            Self::History => "history",
            Self::Conversations => "conversations",
            Self::Lag => "generatorLag",
        }
    }
}

/// Times in microseconds, to three digits, up to [`MOST_MICROS`].
pub type Times = Histogram<u64>;

/// Ten minutes. What takes longer counts as this.
const MOST_MICROS: u64 = 600_000_000;

pub fn times() -> Times {
    Histogram::new_with_bounds(1, MOST_MICROS, 3).expect("bounds that hdrhistogram takes")
}

/// A chat that took longer than this, in nanoseconds, was late: a fault is over when there are no more.
const LATE_NANOS: u64 = 1_000_000_000;

/// What happened since the monitor last looked, and since the load began.
#[derive(Debug)]
pub struct Counts {
    /// Since the monitor last looked.
    pub recent: Totals,
    pub recent_delivery: Times,
    /// Of what was due in the load.
    pub totals: Totals,
    times: Vec<Times>,
    /// Sockets that are open.
    pub connected: u64,
    /// Chats that were sent and not acknowledged.
    pub in_flight: u64,
    /// The last moment at which a chat was acknowledged, or shown, that was late.
    pub late_acknowledgement: Option<Moment>,
    pub late_delivery: Option<Moment>,
}

/// See [`Counts`].
#[derive(Debug)]
pub struct Meter {
    counts: Mutex<Counts>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            counts: Mutex::new(Counts {
                recent: Totals::default(),
                recent_delivery: times(),
                totals: Totals::default(),
                times: Timed::ALL.iter().map(|_| times()).collect(),
                connected: 0,
                in_flight: 0,
                late_acknowledgement: None,
                late_delivery: None,
            }),
        }
    }
}

impl Meter {
    /// Counts something. `is_load` says whether it was due in the load.
    pub fn count(&self, is_load: bool, add: impl Fn(&mut Totals)) {
        let mut counts = self.counts.lock();
        add(&mut counts.recent);
        if is_load {
            add(&mut counts.totals);
        }
    }

    /// Times something other than chats.
    pub fn time(&self, what: Timed, from: Moment, until: Moment) {
        let micros = micros(from, until);
        self.counts.lock().times[what as usize].saturating_record(micros);
    }

    /// A chat of a phone's own was acknowledged. `is_timed`: the phone was there all the time, as far as
    /// it was up to the phone.
    pub fn acknowledged(&self, is_load: bool, is_timed: bool, due: Moment, at: Moment) {
        let mut counts = self.counts.lock();
        counts.recent.acknowledged += 1;
        counts.totals.acknowledged += u64::from(is_load);
        if !is_timed {
            return;
        }
        if is_load {
            let micros = micros(due, at);
            counts.times[Timed::Acknowledgement as usize].saturating_record(micros);
        }
        if at.0.saturating_sub(due.0) > LATE_NANOS {
            counts.late_acknowledgement = Some(at);
        }
    }

    /// Somebody else's chat was shown.
    pub fn delivered(&self, is_load: bool, is_timed: bool, due: Moment, at: Moment) {
        let mut counts = self.counts.lock();
        counts.recent.delivered += 1;
        counts.totals.delivered += u64::from(is_load);
        if !is_timed {
            return;
        }
        let micros = micros(due, at);
        counts.recent_delivery.saturating_record(micros);
        if is_load {
            counts.times[Timed::Delivery as usize].saturating_record(micros);
        }
        if at.0.saturating_sub(due.0) > LATE_NANOS {
            counts.late_delivery = Some(at);
        }
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Counts) -> T) -> T {
        look(&mut self.counts.lock())
    }
}

impl Counts {
    pub fn times(&self, what: Timed) -> &Times {
        &self.times[what as usize]
    }
}

fn micros(from: Moment, until: Moment) -> u64 {
    (until.0.saturating_sub(from.0) / 1_000).max(1)
}

/// A distribution as an outcome has it.
pub fn latency(times: &Times) -> Latency {
    if times.is_empty() {
        return Latency::default();
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let millis = |micros: u64| micros as f64 / 1_000.0;
    let at = |quantile: f64| millis(times.value_at_quantile(quantile));
    Latency {
        count: times.len(),
        mean: times.mean() / 1_000.0,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: millis(times.max()),
        percentiles: times
            .iter_quantiles(5)
            .map(|step| (step.quantile_iterated_to(), millis(step.value_iterated_to())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    #[test]
    fn what_was_not_due_in_the_load_is_in_no_total() {
        let meter = Meter::default();
        meter.acknowledged(false, true, ms(0), ms(3));
        meter.acknowledged(true, true, ms(10), ms(15));
        meter.delivered(true, true, ms(10), ms(1_011));
        meter.delivered(true, false, ms(10), ms(9_000));
        meter.with(|counts| {
            assert_eq!((counts.recent.acknowledged, counts.totals.acknowledged), (2, 1));
            assert_eq!((counts.recent.delivered, counts.totals.delivered), (2, 2));
            let acknowledgement = latency(counts.times(Timed::Acknowledgement));
            assert_eq!(acknowledgement.count, 1);
            assert!((acknowledgement.max - 5.0).abs() < 0.01, "{acknowledgement:?}");
            assert_eq!(latency(counts.times(Timed::Delivery)).count, 1);
            assert_eq!(counts.late_delivery, Some(ms(1_011)));
            assert_eq!(counts.late_acknowledgement, None);
        });
    }

    #[test]
    fn percentiles_rise_to_the_whole() {
        let mut times = times();
        for micros in 1..=10_000 {
            times.saturating_record(micros);
        }
        let latency = latency(&times);
        assert!((latency.p50 - 5.0).abs() < 0.02 && (latency.p99 - 9.9).abs() < 0.02);
        assert!(latency.percentiles.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
        assert!(latency.percentiles.last().is_some_and(|(share, _)| *share >= 1.0));
    }
}
