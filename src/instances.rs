//! The Redis instances of `bus.url`: how one is reached, which of them has what, when one that is away
//! is tried again, and what the links to one tell each other.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rand::Rng;
use redis::{
    ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, io::tcp::TcpSettings,
};
use tokio::{sync::watch, time::Instant};
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

/// The instances, as all links of one replica know them together. Clones are the same.
#[derive(Clone, Debug)]
pub struct Instances(Arc<[Arc<Instance>]>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Its place in the list, from 1.
    pub(crate) number: usize,
    /// Since when links that were made before are to be made anew.
    renewed: watch::Sender<Option<std::time::Instant>>,
    /// What Redis refuses, by the part of the service that asked: the codes of its errors.
    refusals: Mutex<BTreeMap<&'static str, String>>,
}

impl Instances {
    /// Makes this many instances, whose state is unknown yet.
    pub fn new(count: usize) -> Self {
        let instance = |number| {
            let (renewed, refusals) = (watch::Sender::new(None), Mutex::default());
            Arc::new(Instance { number, renewed, refusals })
        };
        Self((1..=count).map(instance).collect())
    }

    /// What Redis refuses although it answers, as reasons of `/readyz`: `bus_oom` if it is full,
    /// `bus_refused` for any other error.
    pub fn refusals(&self) -> BTreeSet<&'static str> {
        let codes = |instance: &Arc<Instance>| -> Vec<_> {
            let refusals = instance.refusals.lock();
            let reason = |code: &String| if code == "OOM" { "bus_oom" } else { "bus_refused" };
            refusals.values().map(reason).collect()
        };
        self.0.iter().flat_map(codes).collect()
    }

    /// Has all links to all instances made anew: the servers behind them may be others by now.
    pub(crate) fn renew_all(&self) {
        self.0.iter().for_each(|instance| instance.renew());
    }

    /// Each URL with what is known of its instance.
    pub(crate) fn of<'a>(&self, urls: &'a [Url]) -> Vec<(Arc<Instance>, &'a Url)> {
        assert_eq!(self.0.len(), urls.len(), "an instance for each URL");
        self.0.iter().map(Arc::clone).zip(urls).collect()
    }
}

impl Instance {
    /// Takes note of how Redis has answered a part of the service. A server that is no master has all
    /// links to this instance made anew, since those that write nothing cannot tell.
    pub(crate) fn note<T>(&self, part: &'static str, answer: Result<&T, &RedisError>) {
        if answer.is_err_and(is_of_no_master) {
            self.renew();
        }
        let code = answer.err().and_then(code);
        let mut refusals = self.refusals.lock();
        match code {
            Some(code) => drop(refusals.insert(part, code)),
            None => drop(refusals.remove(part)),
        }
    }

    /// Has all links to this instance made anew.
    pub(crate) fn renew(&self) {
        self.renewed.send_replace(Some(std::time::Instant::now()));
    }

    /// For a link that is about to be made: waits until it is to be made anew.
    pub(crate) fn renewal(&self) -> Renewal {
        Renewal(self.renewed.subscribe())
    }

    /// Whether a link that was made then may stay.
    pub(crate) fn is_current(&self, made: std::time::Instant) -> bool {
        self.renewed.borrow().is_none_or(|renewed| made > renewed)
    }
}

/// Tells one link when it is to be made anew.
#[derive(Debug)]
pub(crate) struct Renewal(watch::Receiver<Option<std::time::Instant>>);

impl Renewal {
    /// Waits until then, and says why.
    pub(crate) async fn due(&mut self) -> Trouble {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        "made anew: the server behind it may be another".into()
    }

    /// Passes over what is due now.
    pub(crate) fn skip(&mut self) {
        self.0.mark_unchanged();
    }
}

/// The code of the error that a server has answered, such as `OOM`; `None`: it has answered none.
pub(crate) fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

/// Whether a server with this error is not the one that is to be written to.
pub(crate) fn is_of_no_master(error: &RedisError) -> bool {
    matches!(code(error).as_deref(), Some("READONLY" | "MASTERDOWN"))
}

/// A write that a server refuses if it refuses those of the service. The key is gone after `kept`.
pub(crate) fn test_write(key: &str, kept: Duration) -> redis::Cmd {
    let mut write = redis::cmd("SET");
    write.arg(key).arg(1).arg("PX").arg(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
    write
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
    match error.clone().into_server_errors().as_deref() {
        Some([(_, error), ..]) => match error.details() {
            Some(details) => format!("{}: {details}", error.code()).into(),
            None => error.code().to_owned().into(),
        },
        _ => error.to_string().into(),
    }
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
