//! The Redis instances of `bus.url`: how one is reached, which of them has what, and when one that
//! is away is tried again.

use std::{borrow::Cow, time::Duration};

use rand::Rng;
use redis::{
    ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, io::tcp::TcpSettings,
};
use tokio::time::Instant;
use url::Url;

/// The wait between the beginnings of two attempts, at first and at most.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// What is wrong, in a word. Never holds a URL.
pub(crate) type Trouble = Cow<'static, str>;

/// A setting that no way to Redis can be made of. Says nothing of the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no URL.
    #[error("at least one URL of Redis is needed")]
    NoUrl,
    /// One of them cannot be used.
    #[error("URL number {number} of the list: {problem}")]
    Url {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Which of `count` instances has what this number stands for: the one with the highest draw for it.
///
/// All replicas must agree, of whatever version, so this function stays as it is. An instance added
/// at the end of the list takes over its share, and moves nothing else.
pub(crate) fn place(number: u64, count: usize) -> usize {
    let number = mix(number);
    (0..count).max_by_key(|place| mix(number ^ mix(*place as u64))).unwrap_or(0)
}

/// The finalizer of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// How an instance is reached. The refusal says nothing of the URL, which may hold a password.
pub(crate) fn connection_info(url: &Url) -> Result<ConnectionInfo, String> {
    if url.scheme() != "redis" {
        return Err("must begin with redis://".to_owned());
    }
    let info = url.clone().into_connection_info().map_err(|error| trouble(&error).into_owned())?;
    // RESP2 whatever the URL says: it is all that is needed, on a subscriber's connection too.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Ok(info
        .set_redis_settings(settings.set_skip_set_lib_name())
        .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// What went wrong, for logs and health. The driver's words hold neither the URL nor the password.
pub(crate) fn trouble(error: &RedisError) -> Trouble {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    error.to_string().into()
}

/// When to try again, for ever: soon at first, then ever later, and never in step with others.
#[derive(Debug)]
pub(crate) struct Backoff {
    wait: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: MIN_BACKOFF }
    }
}

impl Backoff {
    /// Begins anew: an attempt has succeeded.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether an attempt has failed since the last one that succeeded.
    pub(crate) fn is_failing(&self) -> bool {
        self.wait > MIN_BACKOFF
    }

    /// When the attempt that follows the one begun then may begin.
    ///
    /// Counted from its beginning, so that an attempt that hung for its whole time is not followed
    /// by a wait as well. One that has lasted counts as a success.
    pub(crate) fn after(&mut self, begun: Instant) -> Instant {
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

    #[test]
    fn everything_stays_where_other_replicas_look_for_it() {
        let places = |count| (1..=12).map(|number| place(number, count)).collect::<Vec<_>>();
        assert_eq!(places(1), [0; 12]);
        assert_eq!(places(2), [1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0]);
        assert_eq!(places(3), [1, 2, 2, 2, 0, 2, 0, 1, 0, 1, 0, 0]);
    }

    #[test]
    fn it_is_spread_evenly_and_moves_only_to_a_new_instance() {
        let mut counts = [0_u32; 4];
        for number in 1_000_000..1_040_000 {
            let (before, after) = (place(number, 3), place(number, 4));
            assert!(after == before || after == 3);
            counts[after] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

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
}
