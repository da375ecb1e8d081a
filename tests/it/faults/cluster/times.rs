//! When each chat of a load was written, sent, acknowledged and shown, and how long that took.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use phone::{
    Observer, Passage, address,
    clock::{Clock, Moment},
    ledger::Key,
};

use crate::harness::Figures;

/// Takes down the times of all phones of a load.
pub struct TimeKeeper {
    clock: Clock,
    times: Mutex<Times>,
}

/// What was taken down so far.
#[derive(Debug, Default)]
pub struct Times {
    chats: HashMap<Key, Passed>,
    /// By phone: when the latest of its own chats was written that it knows to be committed.
    acknowledged: HashMap<u32, Instant>,
    /// By phone: when the latest of other people's chats was written that it was shown.
    heard: HashMap<u32, Instant>,
    /// An error that a load does not bring about.
    unexpected: Option<String>,
}

/// When what became of a chat.
#[derive(Clone, Copy, Debug)]
struct Passed {
    sender: i64,
    target: i64,
    /// When it was put into the phone's outbox.
    written: Instant,
    /// When it first left the phone.
    sent: Option<Instant>,
    /// When the phone first heard that it is committed.
    acknowledged: Option<Instant>,
    /// When the last phone so far was shown it.
    shown: Option<Instant>,
}

impl TimeKeeper {
    pub fn new(clock: Clock) -> Self {
        Self { clock, times: Mutex::default() }
    }

    /// The times, as long as no phone has to wait for it.
    pub fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock()
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.clock.instant(moment).into_std()
    }
}

impl Observer for TimeKeeper {
    fn written(&self, chat: &Passage, sender: i64, target: i64) {
        let written = self.instant(chat.due);
        let passed =
            Passed { sender, target, written, sent: None, acknowledged: None, shown: None };
        let before = self.times.lock().chats.insert(chat.key, passed);
        assert!(before.is_none(), "keys are used once");
    }

    fn sent(&self, chat: &Passage, _: bool) {
        let at = self.instant(chat.at);
        self.times.lock().passed(chat.key).sent.get_or_insert(at);
    }

    fn acknowledged(&self, chat: &Passage, _: bool) {
        let at = self.instant(chat.at);
        let mut times = self.times.lock();
        let passed = times.passed(chat.key);
        passed.acknowledged.get_or_insert(at);
        let written = passed.written;
        let latest = times.acknowledged.entry(chat.phone).or_insert(written);
        *latest = written.max(*latest);
    }

    fn shown(&self, chat: &Passage) {
        let at = self.instant(chat.at);
        let mut times = self.times.lock();
        // What nobody wrote is for the ledger to tell.
        let Some(passed) = times.chats.get_mut(&chat.key) else { return };
        passed.shown = passed.shown.max(Some(at));
        if !chat.is_own {
            let written = passed.written;
            let latest = times.heard.entry(chat.phone).or_insert(written);
            *latest = written.max(*latest);
        }
    }

    fn refused(&self, code: &str) {
        if !matches!(code, "unavailable" | "rate_limited") {
            self.times.lock().unexpected.get_or_insert(code.to_owned());
        }
    }
}

impl Times {
    fn passed(&mut self, key: Key) -> &mut Passed {
        self.chats.get_mut(&key).expect("it was written")
    }

    /// An error that a load does not bring about, if there was one.
    pub fn unexpected(&self) -> Option<&str> {
        self.unexpected.as_deref()
    }

    /// Whether a phone was acknowledged a chat that it wrote after `since`.
    pub fn acknowledged_since(&self, phone: u32, since: Instant) -> bool {
        self.acknowledged.get(&phone).is_some_and(|written| *written >= since)
    }

    /// Whether a phone was shown a chat that somebody else wrote after `since`.
    pub fn heard_since(&self, phone: u32, since: Instant) -> bool {
        self.heard.get(&phone).is_some_and(|written| *written >= since)
    }

    /// From when a chat first left its phone to its acknowledgement, of those that were written within.
    pub fn acknowledged(&self, within: Range<Instant>) -> Latencies {
        self.of(within, |chat| Some(chat.acknowledged?.saturating_duration_since(chat.sent?)))
    }

    /// From a chat's acknowledgement to when the last phone was shown it.
    pub fn shown(&self, within: Range<Instant>) -> Latencies {
        self.of(within, |chat| Some(chat.shown?.saturating_duration_since(chat.acknowledged?)))
    }

    /// As [`Times::shown`], of chats to people who write nothing themselves. Nothing but the bus or the
    /// comparison with the database brings them.
    pub fn heard(&self, within: Range<Instant>) -> Latencies {
        let writers: HashSet<_> = self.chats.values().map(|chat| chat.sender).collect();
        self.of(within, |chat| {
            let is_direct = address::group_of(chat.target).is_none();
            let is_heard = is_direct && !writers.contains(&chat.target);
            is_heard.then(|| Some(chat.shown?.saturating_duration_since(chat.acknowledged?)))?
        })
    }

    /// How long after `since` the bus began to bring chats again: the beginning of the first three
    /// seconds in which nine of ten that were written were [heard](Times::heard) within a second.
    /// What only the comparison with the database brings takes longer. `None`: it never did.
    pub fn live_after(&self, since: Instant) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let last = self.chats.values().map(|chat| chat.written).max()?;
        let steps = (0..).map(|step| since + step * SECOND / 10);
        let mut begins = steps.take_while(|begin| *begin + 3 * SECOND <= last);
        let first = begins.find(|begin| {
            let heard = self.heard(*begin..*begin + 3 * SECOND);
            heard.count() >= 5 && heard.at(90) < SECOND
        })?;
        Some(first - since)
    }

    fn of(
        &self,
        within: Range<Instant>,
        latency: impl Fn(&Passed) -> Option<Duration>,
    ) -> Latencies {
        let chats = self.chats.values().filter(|chat| within.contains(&chat.written));
        let mut all: Vec<_> = chats.filter_map(latency).collect();
        all.sort_unstable();
        Latencies(all)
    }
}

/// Some durations, in order.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
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

    /// Adds them to a test's figures.
    pub fn note(&self, figures: &Figures, what: &str) {
        figures.count(format!("{what}, chats"), self.count());
        figures.time(format!("{what}, median"), self.median());
        figures.time(format!("{what}, p99"), self.p99());
        figures.time(format!("{what}, longest"), self.max());
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
