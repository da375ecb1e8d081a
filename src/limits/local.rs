//! The limiter within a process: what it counts itself, all there is to one that runs alone, and what a
//! replica goes by while Redis is away.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Answer, Key, Limiter, Rate};

/// The most keys that are kept, some 15 MB. Each was used within the time that its rate needs to recover, so
/// it takes a flood to get here; what uses further keys passes, uncounted.
const MAX_KEYS: usize = 200_000;

/// The fewest keys for which the map is searched for those that have recovered.
const MIN_SWEEP: usize = 1_024;

/// A limiter that knows of this process only.
#[derive(Debug, Default)]
pub struct LocalLimiter(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    /// When each key that has not recovered will have: its theoretical arrival time.
    recovers_at: HashMap<Key, Instant>,
    /// How many keys there may be before those that have recovered are removed.
    sweep_at: usize,
}

impl LocalLimiter {
    /// Whether a key may be used so many times, and `takes` uses it then. `Some`: not for that long.
    pub(super) fn decide(&self, key: Key, rate: Rate, times: u32, takes: bool) -> Option<Duration> {
        let now = Instant::now();
        let mut used = self.0.lock();
        let recovers = used.recovers_at.get(&key).map_or(now, |at| *at);
        // Never further ahead than a burst can be, should the rate have been another one.
        let recovers = recovers.clamp(now, now + rate.depth());
        let next = recovers + rate.interval() * times;
        let wait = next.saturating_duration_since(now + rate.depth());
        if !wait.is_zero() {
            return Some(wait);
        }
        if takes {
            used.set(key, next, now);
        }
        None
    }

    /// How long until a key has recovered, as far as is known here.
    pub(super) fn recovers_in(&self, key: Key) -> Duration {
        let used = self.0.lock();
        let at = used.recovers_at.get(&key);
        at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Notes what the replicas together have counted: a key has recovered after this time.
    pub(super) fn note(&self, key: Key, recovers_in: Duration) {
        let now = Instant::now();
        self.0.lock().set(key, now + recovers_in, now);
    }
}

impl Used {
    fn set(&mut self, key: Key, recovers_at: Instant, now: Instant) {
        let keys = self.recovers_at.len();
        if keys >= self.sweep_at.max(MIN_SWEEP) {
            self.recovers_at.retain(|_, at| *at > now);
            self.sweep_at = (self.recovers_at.len() * 2).min(MAX_KEYS);
            self.recovers_at.shrink_to(self.sweep_at);
        }
        if self.recovers_at.len() < MAX_KEYS || self.recovers_at.contains_key(&key) {
            self.recovers_at.insert(key, recovers_at);
        } else {
            metrics::counter!("imserver_limit_uncounted_total").increment(1);
        }
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn take(&self, key: Key, rate: Rate) -> Answer {
        Answer { wait: self.decide(key, rate, 1, true), is_shared: true }
    }

    async fn look(&self, key: Key, rate: Rate) -> Answer {
        Answer { wait: self.decide(key, rate, 1, false), is_shared: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::UserId,
        limits::{Limit, Subject},
    };

    fn key(user: i64) -> Key {
        Key { limit: Limit::Send, subject: Subject::User(UserId::new(user).unwrap()) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_recovered_is_forgotten_and_nothing_grows_without_bound() {
        let limiter = LocalLimiter::default();
        let rate = Rate::per_sec(1, 60);
        for user in 1..=5_000 {
            assert_eq!(limiter.decide(key(user), rate, 1, true), None);
            if user % 1_000 == 0 {
                tokio::time::advance(Duration::from_secs(2)).await;
            }
        }
        assert!(limiter.0.lock().recovers_at.len() <= 2 * MIN_SWEEP);
        let limit = i64::try_from(MAX_KEYS).unwrap();
        for user in 1..=limit + 10 {
            assert_eq!(limiter.decide(key(user), rate, 1, true), None);
        }
        assert_eq!(limiter.0.lock().recovers_at.len(), MAX_KEYS);
        // A flood of others gives nobody a fresh burst.
        for _ in 0..59 {
            limiter.decide(key(limit), rate, 1, true);
        }
        assert!(limiter.decide(key(limit), rate, 1, true).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_was_another_one_locks_nobody_out() {
        let limiter = LocalLimiter::default();
        limiter.note(key(1), Duration::from_hours(1));
        let wait = limiter.decide(key(1), Rate::per_sec(5, 10), 1, true).unwrap();
        assert_eq!(wait, Duration::from_millis(200));
    }
}
