//! A link to an instance: whether it stands, why not, and when it is tried again.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::Rng;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Instance, Renewal, Trouble};

/// The wait between the beginnings of two attempts, at first and at most.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// What uses an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The bus, to publish.
    Publisher,
    /// The bus, to hear.
    Subscriber,
    /// Presence, to write.
    Presence,
    /// Presence, to hear who came or went.
    PresenceListener,
    /// Presence, to read.
    PresenceReads,
    /// The rate limits.
    Limits,
}

impl Part {
    /// Its name in logs, health and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
            Self::Presence => "presence",
            Self::PresenceListener => "presence listener",
            Self::PresenceReads => "presence reads",
            Self::Limits => "limits",
        }
    }
}

/// The state of the link between one part and one instance. Its owner makes the connections, and reports
/// here whether they succeed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) instance: Arc<Instance>,
    part: Part,
    state: Mutex<State>,
    tried: Notify,
}

#[derive(Debug)]
struct State {
    /// Why the link is down; `None` while it stands.
    trouble: Option<Trouble>,
    has_stood: bool,
    /// When the last attempt began.
    begun: Instant,
    /// When the next one may begin. Not after `begun`, unless that attempt has failed.
    retry_at: Instant,
    backoff: Backoff,
}

impl Link {
    /// A link that was not tried yet.
    pub(crate) fn new(instance: &Arc<Instance>, part: Part) -> Self {
        let now = Instant::now();
        let state = State {
            trouble: Some("connecting".into()),
            has_stood: false,
            begun: now,
            retry_at: now,
            backoff: Backoff::default(),
        };
        let instance = Arc::clone(instance);
        let link = Self { instance, part, state: Mutex::new(state), tried: Notify::new() };
        link.set_gauge(0.0);
        link
    }

    /// When the next attempt may begin.
    pub(crate) fn retry_at(&self) -> Instant {
        self.state.lock().retry_at
    }

    /// Waits until an attempt may begin, and begins it. Takes the renewal before there is a connection:
    /// the server that it reaches may be demoted meanwhile.
    pub(crate) async fn attempt(&self) -> Renewal {
        sleep_until(self.retry_at()).await;
        self.state.lock().begun = Instant::now();
        self.instance.renewal()
    }

    /// Whether to use it: it stands, or another attempt is due.
    pub(crate) fn is_worth_trying(&self) -> bool {
        let mut state = self.state.lock();
        if state.trouble.is_none() {
            return true;
        }
        let now = Instant::now();
        let is_due = now >= state.retry_at;
        if is_due {
            state.begun = now;
        }
        is_due
    }

    /// The link stands.
    pub(crate) fn up(&self) {
        let mut state = self.state.lock();
        let Some(trouble) = state.trouble.take() else { return };
        state.backoff = Backoff::default();
        tracing::info!(
            instance = self.instance.number,
            part = self.part.name(),
            %trouble,
            "link to Redis stands"
        );
        if std::mem::replace(&mut state.has_stood, true)
            && matches!(self.part, Part::Publisher | Part::Subscriber)
        {
            metrics::counter!("imserver_bus_reconnects_total", &self.labels()).increment(1);
        }
        self.set_gauge(1.0);
        self.tried.notify_one();
    }

    /// The link broke, or could not be made.
    pub(crate) fn down(&self, trouble: Trouble) {
        let mut state = self.state.lock();
        // Several calls may fail by one attempt.
        if state.retry_at <= state.begun {
            let begun = state.begun;
            state.retry_at = state.backoff.after(begun);
        }
        // Once for each cause: attempts go on until one succeeds.
        if state.trouble.as_ref() != Some(&trouble) {
            tracing::warn!(
                instance = self.instance.number,
                part = self.part.name(),
                %trouble,
                "no link to Redis, trying again"
            );
        }
        state.trouble = Some(trouble);
        self.set_gauge(0.0);
        self.tried.notify_one();
    }

    /// Waits until the link came up, or failed to. For one caller, once.
    pub(crate) async fn tried(&self) {
        self.tried.notified().await;
    }

    /// Whether it stands; `Err` says which link it is and what is wrong.
    pub(crate) fn health(&self) -> Result<(), String> {
        match &self.state.lock().trouble {
            None => Ok(()),
            Some(trouble) => {
                Err(format!("redis {} {}: {trouble}", self.instance.number, self.part.name()))
            }
        }
    }

    fn set_gauge(&self, up: f64) {
        let gauge = match self.part {
            Part::Publisher | Part::Subscriber => {
                metrics::gauge!("imserver_bus_link_up", &self.labels())
            }
            Part::Presence => {
                let instance = self.instance.number.to_string();
                metrics::gauge!("imserver_presence_link_up", "instance" => instance)
            }
            // The first is seen by what it misses; the others have no connection of their own.
            Part::PresenceListener | Part::PresenceReads | Part::Limits => return,
        };
        gauge.set(up);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("instance", self.instance.number.to_string()), ("direction", self.part.name().to_owned())]
    }
}

/// When to try again: exponential backoff with jitter.
#[derive(Debug)]
struct Backoff {
    wait: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: MIN_BACKOFF }
    }
}

impl Backoff {
    /// When the attempt after the one that began then may begin.
    ///
    /// Counted from the beginning of that attempt, so that one that timed out is not followed by a wait
    /// as well.
    fn after(&mut self, begun: Instant) -> Instant {
        let wait = self.wait.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.wait = (self.wait * 2).min(MAX_BACKOFF);
        // A link that breaks after a while is tried again at once, with jitter.
        (begun + wait).max(Instant::now() + MIN_BACKOFF.mul_f64(rand::random()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::Instances;

    fn link(part: Part) -> Link {
        let urls = ["redis://localhost", "redis://localhost"].map(|url| url.parse().unwrap());
        Link::new(Instances::new(&urls).unwrap().iter().nth(1).unwrap(), part)
    }

    #[tokio::test]
    async fn health_says_which_and_why() {
        let link = link(Part::Subscriber);
        link.up();
        assert_eq!(link.health(), Ok(()));
        link.down("refused".into());
        assert_eq!(link.health(), Err("redis 2 subscriber: refused".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_fail_together_are_one_attempt() {
        let link = link(Part::Limits);
        assert!(link.is_worth_trying());
        for _ in 0..100 {
            link.down("refused".into());
        }
        assert!(!link.is_worth_trying());
        tokio::time::advance(MIN_BACKOFF).await;
        assert!(link.is_worth_trying());
        link.up();
        link.down("refused".into());
        assert!(!link.is_worth_trying());
        tokio::time::advance(2 * MIN_BACKOFF).await;
        assert!(link.is_worth_trying());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_come_ever_later_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            sleep_until(backoff.after(begun)).await;
            waits.push(begun.elapsed());
        }
        assert!(waits[0] <= MIN_BACKOFF + Duration::from_millis(2), "{waits:?}");
        assert!(waits[19] >= Duration::from_millis(2_500), "{waits:?}");
        // What the promise of 7 s from a heal to live leaves for the wait.
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(5_002)), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_stood_is_tried_again_at_once() {
        let link = link(Part::Subscriber);
        for _ in 0..20 {
            link.attempt().await;
            link.down("refused".into());
        }
        link.attempt().await;
        link.up();
        link.down("lost".into());
        assert!(link.retry_at() <= Instant::now() + 2 * MIN_BACKOFF);
    }
}
