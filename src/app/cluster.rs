//! What replicas share beside the database: the bus, who is online, and the counts of rare limits.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;

use crate::{
    bus::{
        self, Bus,
        local::LocalBroker,
        redis::{RedisBus, Timing},
    },
    clock::Clock,
    config::{BusKind, Settings},
    limits::{Limiter, local::LocalLimiter, redis::RedisLimiter},
    presence::{Presence, Transition, local::LocalPresence, redis::RedisPresence},
    redis::Instances,
};

/// One replica's share in the cluster.
pub(super) struct Cluster {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) incoming: bus::Receiver,
    pub(super) presence: Arc<dyn Presence>,
    pub(super) transitions: mpsc::Receiver<Transition>,
    pub(super) limiter: Arc<dyn Limiter>,
    /// The Redis instances behind all of these; none where the replica is alone.
    pub(super) instances: Instances,
}

impl Cluster {
    /// Connects to the other replicas, if the settings say that there may be some.
    pub(super) async fn connect(settings: &Settings, clock: &Clock) -> anyhow::Result<Self> {
        match &settings.bus.kind {
            BusKind::Local => Ok(Self::alone(clock)),
            BusKind::Redis(urls) => {
                let instances = Instances::new(urls).context("setting `bus.url`")?;
                Ok(Self::over_redis(instances, &settings.bus.namespace).await)
            }
        }
    }

    fn alone(clock: &Clock) -> Self {
        let (bus, incoming) = LocalBroker::default().connect();
        let (presence, transitions) = LocalPresence::new(clock.clone());
        Self {
            bus: Arc::new(bus),
            incoming,
            presence: Arc::new(presence),
            transitions,
            limiter: Arc::new(LocalLimiter::default()),
            instances: Instances::default(),
        }
    }

    async fn over_redis(instances: Instances, namespace: &str) -> Self {
        let (bus, incoming) = RedisBus::connect(&instances, namespace, Timing::default()).await;
        let (presence, transitions) = RedisPresence::connect(&instances, namespace).await;
        Self {
            bus: Arc::new(bus),
            incoming,
            presence: Arc::new(presence),
            transitions,
            limiter: Arc::new(RedisLimiter::new(&instances, namespace)),
            instances,
        }
    }
}
