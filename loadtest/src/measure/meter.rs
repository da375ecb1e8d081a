//! What one generator thread counts and times. The monitor looks into it once a second.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use phone::{Observer, Passage, Ready, clock::Moment, ledger::Key};

use crate::outcome::{Latency, Totals};

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
    /// In a group: from when a chat was due until the last phone was shown it.
    LastDelivery,
    /// From the begin of an upload until the answer.
    Upload,
    /// From the begin of an upload until the other phone was shown the chat and has read the picture.
    Picture,
    /// How late the generator itself was in giving out a chat that was due.
    Lag,
}

impl Timed {
    pub const ALL: [Self; 10] = [
        Self::Delivery,
        Self::Acknowledgement,
        Self::Connect,
        Self::Resume,
        Self::History,
        Self::Conversations,
        Self::LastDelivery,
        Self::Upload,
        Self::Picture,
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
            Self::LastDelivery => "lastDelivery",
            Self::Upload => "upload",
            Self::Picture => "picture",
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

/// A chat that took longer than this was late: a fault is over when there are no more.
const LATE: Duration = Duration::from_secs(1);

/// What happened since the monitor last looked, and since the load began.
#[derive(Debug)]
pub struct Counts {
    /// Since the monitor last looked.
    pub recent: Totals,
    pub recent_delivery: Times,
    /// Of what was due in the load.
    pub totals: Totals,
    times: Vec<Times>,
    /// Of each chat to a group that was due in the load: how late the last phone of this thread was shown it.
    pub last_shown: HashMap<Key, Duration>,
    /// Sockets that are open.
    pub connected: u64,
    /// Chats that were sent and not acknowledged.
    pub in_flight: u64,
    /// The last moment at which a chat was acknowledged, or shown, that was late.
    pub late_acknowledgement: Option<Moment>,
    pub late_delivery: Option<Moment>,
}

/// From when until when what is due counts.
#[derive(Debug, Default)]
pub struct LoadWindow {
    from: AtomicU64,
    until: AtomicU64,
}

impl LoadWindow {
    /// Sets it. Before, nothing counts.
    pub fn set(&self, from: Moment, until: Moment) {
        self.from.store(from.0, Relaxed);
        self.until.store(until.0, Relaxed);
    }

    /// Whether a chat that was due then counts.
    fn has(&self, due: Moment) -> bool {
        (self.from.load(Relaxed)..self.until.load(Relaxed)).contains(&due.0)
    }
}

/// See [`Counts`].
#[derive(Debug)]
pub struct Meter {
    counts: Mutex<Counts>,
    load: Arc<LoadWindow>,
    /// Whether a chat goes to many phones, of which the last one counts.
    is_of_groups: bool,
}

impl Meter {
    /// One of several that count in the same window.
    pub fn new(load: Arc<LoadWindow>, is_of_groups: bool) -> Self {
        Self {
            counts: Mutex::new(Counts {
                recent: Totals::default(),
                recent_delivery: times(),
                totals: Totals::default(),
                times: Timed::ALL.iter().map(|_| times()).collect(),
                last_shown: HashMap::new(),
                connected: 0,
                in_flight: 0,
                late_acknowledgement: None,
                late_delivery: None,
            }),
            load,
            is_of_groups,
        }
    }

    /// Whether something that was due then is of the load.
    pub fn is_load(&self, due: Moment) -> bool {
        self.load.has(due)
    }

    /// Counts something. `is_load` says whether it was due in the load.
    pub fn count(&self, is_load: bool, add: impl Fn(&mut Totals)) {
        self.counts.lock().count(is_load, add);
    }

    /// Times something other than chats.
    pub fn time(&self, what: Timed, took: Duration) {
        self.counts.lock().time(what, took);
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Counts) -> T) -> T {
        look(&mut self.counts.lock())
    }
}

impl Observer for Meter {
    fn written(&self, chat: &Passage, _: i64, _: i64) {
        let is_load = self.is_load(chat.due);
        let mut counts = self.counts.lock();
        counts.count(is_load, |totals| totals.due += 1);
        if is_load {
            counts.time(Timed::Lag, chat.late());
        }
    }

    fn sent(&self, chat: &Passage, is_repeat: bool) {
        let mut counts = self.counts.lock();
        counts.in_flight += 1;
        if !is_repeat {
            counts.count(self.is_load(chat.due), |totals| totals.sent += 1);
        }
    }

    fn acknowledged(&self, chat: &Passage, was_under_way: bool) {
        let is_load = self.is_load(chat.due);
        let mut counts = self.counts.lock();
        counts.count(is_load, |totals| totals.acknowledged += 1);
        counts.in_flight -= u64::from(was_under_way);
        if !chat.is_timed {
            return;
        }
        if is_load {
            counts.time(Timed::Acknowledgement, chat.late());
        }
        if chat.late() > LATE {
            counts.late_acknowledgement = Some(chat.at);
        }
    }

    fn shown(&self, chat: &Passage) {
        let is_load = self.is_load(chat.due);
        let mut counts = self.counts.lock();
        if self.is_of_groups && is_load && chat.is_timed && chat.phone != chat.key.writer {
            let last = counts.last_shown.entry(chat.key).or_default();
            *last = chat.late().max(*last);
        }
        if chat.is_own {
            return;
        }
        counts.count(is_load, |totals| totals.delivered += 1);
        if !chat.is_timed {
            return;
        }
        counts.recent_delivery.saturating_record(micros(chat.late()));
        if is_load {
            counts.time(Timed::Delivery, chat.late());
        }
        if chat.late() > LATE {
            counts.late_delivery = Some(chat.at);
        }
    }

    fn looked(&self, chat: &Passage) {
        if self.is_load(chat.due) && chat.is_timed {
            self.time(Timed::Picture, chat.late());
        }
    }

    fn rewound(&self, count: u64) {
        self.counts.lock().in_flight -= count;
    }

    fn refused(&self, _: &str) {
        self.count(true, |totals| totals.errors += 1);
    }

    fn ready(&self, how: Ready) {
        let mut counts = self.counts.lock();
        counts.connected += 1;
        counts.count(true, |totals| totals.connects += 1);
        match how {
            Ready::Connected(took) => counts.time(Timed::Connect, took),
            Ready::Resumed(took) => counts.time(Timed::Resume, took),
        }
    }

    fn lost(&self) {
        self.counts.lock().connected -= 1;
    }

    fn failed_to_connect(&self) {
        self.count(true, |totals| totals.failed_connects += 1);
    }
}

impl Counts {
    fn count(&mut self, is_load: bool, add: impl Fn(&mut Totals)) {
        add(&mut self.recent);
        if is_load {
            add(&mut self.totals);
        }
    }

    fn time(&mut self, what: Timed, took: Duration) {
        self.times[what as usize].saturating_record(micros(took));
    }

    pub fn times(&self, what: Timed) -> &Times {
        &self.times[what as usize]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
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

    fn passage(due: Moment, at: Moment) -> Passage {
        let key = Key { run: 0, writer: 0, number: 0 };
        Passage { phone: 0, key, due, at, is_timed: true, is_own: false }
    }

    #[test]
    fn what_was_not_due_in_the_load_is_in_no_total() {
        let meter = Meter::new(Arc::default(), true);
        meter.load.set(ms(5), ms(20));
        for due in [ms(0), ms(10)] {
            meter.sent(&passage(due, due), false);
        }
        meter.acknowledged(&passage(ms(0), ms(3)), true);
        meter.acknowledged(&passage(ms(10), ms(15)), true);
        meter.shown(&passage(ms(10), ms(1_011)));
        meter.shown(&Passage { is_timed: false, ..passage(ms(10), ms(9_000)) });
        meter.shown(&Passage { is_own: true, ..passage(ms(10), ms(9_000)) });
        meter.with(|counts| {
            assert_eq!((counts.in_flight, counts.totals.sent), (0, 1));
            assert_eq!((counts.recent.acknowledged, counts.totals.acknowledged), (2, 1));
            assert_eq!((counts.recent.delivered, counts.totals.delivered), (2, 2));
            let acknowledgement = latency(counts.times(Timed::Acknowledgement));
            assert_eq!(acknowledgement.count, 1);
            assert!((acknowledgement.max - 5.0).abs() < 0.01, "{acknowledgement:?}");
            assert_eq!(latency(counts.times(Timed::Delivery)).count, 1);
            assert_eq!(counts.late_delivery, Some(ms(1_011)));
            assert_eq!(counts.late_acknowledgement, None);
            // What the writer's phone itself was shown, or what is not timed, is not the last.
            assert!(counts.last_shown.is_empty(), "{:?}", counts.last_shown);
        });
    }

    #[test]
    fn the_last_phone_that_is_shown_a_chat_counts() {
        let meter = Meter::new(Arc::default(), true);
        meter.load.set(ms(5), ms(20));
        for (phone, at) in [(1, 12), (2, 40), (3, 30)] {
            meter.shown(&Passage { phone, ..passage(ms(10), ms(at)) });
        }
        meter.shown(&Passage { phone: 4, is_own: true, ..passage(ms(10), ms(50)) });
        meter.shown(&Passage { phone: 1, ..passage(ms(2), ms(90)) });
        meter.with(|counts| {
            let last: Vec<_> = counts.last_shown.values().copied().collect();
            assert_eq!(last, [Duration::from_millis(40)]);
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
