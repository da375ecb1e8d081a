//! The registers that the suite runs on, and the time of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use imserver::{
    clock::{Clock, Timestamp},
    instances::Instances,
    presence::{
        Presence, Transition,
        local::LocalPresence,
        redis::{RedisPresence, Scripts, Times},
    },
};
use tokio::sync::mpsc;

use super::PresenceFactory;
use crate::harness::{DEADLINE, Redis};

pub(super) struct LocalFactory {
    presence: Arc<LocalPresence>,
    transitions: mpsc::Receiver<Transition>,
    clock: Clock,
}

impl PresenceFactory for LocalFactory {
    const HISTORIES: u32 = 256;

    async fn start(grace: Duration) -> Self {
        tokio::time::pause();
        let clock = Clock::manual(Timestamp::from_millis(1_763_804_459_120));
        let (presence, transitions) = LocalPresence::with_grace(clock.clone(), grace);
        Self { presence: Arc::new(presence), transitions, clock }
    }

    fn presence(&self) -> Arc<dyn Presence> {
        Arc::clone(&self.presence) as Arc<dyn Presence>
    }

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition> {
        &mut self.transitions
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }
}

/// A register over a Redis whose time stands until a test moves it.
pub(super) struct RedisFactory {
    presence: Arc<RedisPresence>,
    transitions: mpsc::Receiver<Transition>,
    clock: RedisClock,
}

impl PresenceFactory for RedisFactory {
    const HISTORIES: u32 = 64;

    async fn start(grace: Duration) -> Self {
        let clock = RedisClock::start(Redis::shared());
        // A test may let any time pass between two beats.
        let times =
            Times { grace, lease: Duration::from_hours(1), answer: DEADLINE, ..Times::default() };
        let urls = [Redis::shared().url()];
        let connected = RedisPresence::connect_with(
            &urls,
            &clock.namespace,
            &Instances::new(urls.len()),
            times,
            clock.scripts(),
        )
        .await;
        let (presence, transitions) = connected.unwrap();
        Self { presence: Arc::new(presence), transitions, clock }
    }

    fn presence(&self) -> Arc<dyn Presence> {
        Arc::clone(&self.presence) as Arc<dyn Presence>
    }

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition> {
        &mut self.transitions
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

/// The time of the scripts of one namespace: it stands until it is moved.
pub struct RedisClock {
    pub namespace: String,
    redis: &'static Redis,
    clock: Clock,
}

impl RedisClock {
    /// A clock of a new namespace.
    pub fn start(redis: &'static Redis) -> Self {
        static NAMESPACES: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("presence-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let clock = Clock::manual(Timestamp::from_millis(1_763_804_459_120));
        let started = Self { namespace, redis, clock };
        started.pass(Duration::ZERO);
        started
    }

    /// The scripts, on this clock.
    pub fn scripts(&self) -> Scripts {
        self.edited_scripts(|_, source| source)
    }

    /// The scripts with another change.
    pub fn edited_scripts(&self, edit: impl Fn(&'static str, String) -> String) -> Scripts {
        let time = format!("redis.call('HMGET', '{}:clock', 's', 'us')", self.namespace);
        Scripts::edited(|name, source| {
            assert!(source.contains("redis.call('TIME')"));
            edit(name, source.replace("redis.call('TIME')", &time))
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.now().as_millis();
        let (s, us) = (now / 1_000, now % 1_000 * 1_000);
        self.redis.ask(&format!("HSET {}:clock s {s} us {us}", self.namespace)).unwrap();
    }
}
