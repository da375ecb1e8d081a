//! One direction of the way to one Redis: whether it stands, and when it is tried again.

use std::{borrow::Cow, time::Duration};

use parking_lot::Mutex;
use rand::Rng;
use tokio::{sync::Notify, time::Instant};

/// The wait between the beginnings of two attempts, at first and at most.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// What is wrong, in a word. Never holds a URL.
pub(super) type Trouble = Cow<'static, str>;

/// The state of a direction, as health checks and metrics see it.
#[derive(Debug)]
pub(super) struct Link {
    /// Which Redis of the list, from 1.
    instance: usize,
    direction: &'static str,
    state: Mutex<State>,
    /// Becomes ready when the link has come up, or has failed to.
    pub(super) tried: Notify,
}

#[derive(Debug)]
struct State {
    trouble: Option<Trouble>,
    has_stood: bool,
}

impl Link {
    pub(super) fn new(instance: usize, direction: &'static str) -> Self {
        let state = State { trouble: Some("connecting".into()), has_stood: false };
        let link = Self { instance, direction, state: Mutex::new(state), tried: Notify::new() };
        link.gauge(0.0);
        link
    }

    /// It stands.
    pub(super) fn up(&self) {
        let mut state = self.state.lock();
        let Some(trouble) = state.trouble.take() else { return };
        let Self { instance, direction, .. } = self;
        tracing::info!(instance, direction, %trouble, "link to Redis stands");
        if std::mem::replace(&mut state.has_stood, true) {
            metrics::counter!("imserver_bus_reconnects_total", &self.labels()).increment(1);
        }
        self.gauge(1.0);
        self.tried.notify_one();
    }

    /// It broke, or was not made.
    pub(super) fn down(&self, trouble: Trouble) {
        let mut state = self.state.lock();
        // Once for each cause: one attempt follows the other for as long as it takes.
        if state.trouble.as_ref() != Some(&trouble) {
            let Self { instance, direction, .. } = self;
            tracing::warn!(instance, direction, %trouble, "no link to Redis, trying again");
        }
        state.trouble = Some(trouble);
        self.gauge(0.0);
        self.tried.notify_one();
    }

    /// What is wrong with it now.
    pub(super) fn health(&self) -> Result<(), String> {
        match &self.state.lock().trouble {
            None => Ok(()),
            Some(trouble) => Err(format!("redis {} {}: {trouble}", self.instance, self.direction)),
        }
    }

    fn gauge(&self, up: f64) {
        metrics::gauge!("imserver_bus_link_up", &self.labels()).set(up);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("instance", self.instance.to_string()), ("direction", self.direction.to_owned())]
    }
}

/// When to try again, for ever: soon at first, then ever later, and never in step with others.
#[derive(Debug)]
pub(super) struct Backoff {
    wait: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: MIN_BACKOFF }
    }
}

impl Backoff {
    /// When the attempt that follows the one begun then may begin.
    ///
    /// Counted from its beginning, so that an attempt that hung for its whole time is not followed
    /// by a wait as well. One that has lasted counts as a success.
    pub(super) fn after(&mut self, begun: Instant) -> Instant {
        if begun.elapsed() > 2 * MAX_BACKOFF {
            self.wait = MIN_BACKOFF;
        }
        let wait = self.wait.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.wait = (self.wait * 2).min(MAX_BACKOFF);
        // A link that breaks after a while is tried again at once, but not in step.
        (begun + wait).max(Instant::now() + MIN_BACKOFF.mul_f64(rand::random()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_come_ever_later_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            tokio::time::sleep_until(backoff.after(begun)).await;
            waits.push(begun.elapsed());
        }
        assert!(waits[0] <= MIN_BACKOFF + Duration::from_millis(2), "{waits:?}");
        assert!(waits[19] >= Duration::from_millis(2_500), "{waits:?}");
        // What the promise of 7 s from a heal to live leaves for the wait.
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(5_002)), "{waits:?}");

        // What has stood for long is tried again at once.
        let begun = Instant::now();
        tokio::time::sleep(3 * MAX_BACKOFF).await;
        assert!(backoff.after(begun) <= Instant::now() + MIN_BACKOFF);
    }

    #[test]
    fn health_says_which_and_why() {
        let link = Link::new(2, "subscriber");
        link.up();
        assert_eq!(link.health(), Ok(()));
        link.down("refused".into());
        assert_eq!(link.health(), Err("redis 2 subscriber: refused".into()));
    }
}
