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
    presence::{
        Presence, Transition,
        local::LocalPresence,
        redis::{RedisPresence, SOURCE, Script, Times},
    },
    redis::Instances,
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
        // In step, since a time of day is reckoned back from the end of the grace.
        for _ in 0..time.as_millis() {
            self.clock.advance(Duration::from_millis(1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
}

/// A register over a Redis whose time stands until a test moves it, with its own.
pub(super) struct RedisFactory {
    presence: Arc<RedisPresence>,
    transitions: mpsc::Receiver<Transition>,
    clock: RedisClock,
    _still: StillTime,
}

impl PresenceFactory for RedisFactory {
    const HISTORIES: u32 = 64;

    async fn start(grace: Duration) -> Self {
        let clock = RedisClock::start(Redis::shared());
        // A test may let any time pass between two beats.
        let times =
            Times { grace, lease: Duration::from_hours(1), answer: DEADLINE, ..Times::default() };
        let instances = Instances::new(&[Redis::shared().url()]).unwrap();
        let script = clock.script(str::to_owned);
        let (presence, transitions) = RedisPresence::connect_with(&instances, times, script).await;
        tokio::time::pause();
        Self { presence: Arc::new(presence), transitions, clock, _still: StillTime::begin() }
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
        self.clock.pass(time).await;
    }
}

/// While it lives, paused time stands although everything waits for Redis.
pub struct StillTime(#[expect(dead_code, reason = "dropped with it")] std::sync::mpsc::Sender<()>);

impl StillTime {
    pub fn begin() -> Self {
        let (alive, ended) = std::sync::mpsc::channel();
        // Tokio moves no time on by itself while this runs. Not for ever: then deadlines pass.
        tokio::task::spawn_blocking(move || ended.recv_timeout(DEADLINE * 3));
        Self(alive)
    }
}

/// The time of the script in one namespace: it stands until it is moved, together with paused time.
pub struct RedisClock {
    namespace: String,
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
        started.tell();
        started
    }

    /// The script on this clock, with another change.
    pub fn script(&self, edit: impl Fn(&str) -> String) -> Script {
        let time = format!("redis.call('HMGET', '{}:clock', 's', 'us')", self.namespace);
        assert!(SOURCE.contains("redis.call('TIME')"));
        Script::new(&edit(&SOURCE.replace("redis.call('TIME')", &time)), &self.namespace)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.tell();
        tokio::time::advance(time).await;
    }

    fn tell(&self) {
        let now = self.now().as_millis();
        let (s, us) = (now / 1_000, now % 1_000 * 1_000);
        self.redis.ask(&format!("HSET {}:clock s {s} us {us}", self.namespace)).unwrap();
    }
}
