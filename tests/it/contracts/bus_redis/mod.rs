//! What is true of the bus over Redis beyond the contract: faults of every kind, and load.

mod failover;
mod faults;
mod load;
mod strangers;
mod subscriptions;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    bus::{
        Bus, Incoming, Receiver,
        redis::{RedisBus, Timing},
    },
    domain::UserId,
    redis::Instances,
};
use url::Url;
use uuid::Uuid;

use crate::{
    contracts::bus::{BusFactory, Replica, notice},
    harness::{DEADLINE, Redis},
};

/// Replicas that hear each other: these instances, one namespace.
struct Net {
    urls: Vec<Url>,
    namespace: String,
    timing: Timing,
}

impl Net {
    /// On these instances.
    fn on(urls: impl IntoIterator<Item = Url>) -> Self {
        Self {
            urls: urls.into_iter().collect(),
            namespace: format!("test:{}", Uuid::new_v4()),
            timing: Timing::default(),
        }
    }

    /// The same replicas, for one that reaches Redis by another way.
    fn by_way_of(&self, url: Url) -> Self {
        Self { urls: vec![url], namespace: self.namespace.clone(), timing: self.timing }
    }

    /// A bus, for what the trait does not have.
    async fn bus(&self) -> (RedisBus, Receiver) {
        let instances = Instances::new(&self.urls).unwrap();
        RedisBus::connect(&instances, &self.namespace, self.timing).await
    }

    /// A replica that is subscribed to these.
    async fn replica(&self, users: &[UserId]) -> Replica {
        Replica::of(self, users).await
    }

    fn channel(&self, user: UserId) -> String {
        format!("{}:user:{user}", self.namespace)
    }

    /// How many connections of an instance are subscribed to a user.
    fn subscribers(&self, redis: &Redis, user: UserId) -> usize {
        let answer = redis.ask(&format!("PUBSUB NUMSUB {}", self.channel(user))).unwrap();
        // The name, then the number; the answer to QUIT comes last.
        let number = answer.lines().find_map(|line| line.strip_prefix(':'));
        number.unwrap().parse().unwrap()
    }
}

impl BusFactory for Net {
    async fn start() -> Self {
        Self::on([Redis::shared().url()])
    }

    async fn connect(&self) -> (Arc<dyn Bus>, Receiver) {
        let (bus, receiver) = self.bus().await;
        (Arc::new(bus), receiver)
    }
}

/// Publishes again and again until something arrives, and returns how long that took and whether
/// there was a gap before.
async fn until_it_flows(from: &Replica, user: UserId, to: &mut Replica) -> (Duration, bool) {
    let begun = Instant::now();
    let marker = notice(&format!("marker {}", Uuid::new_v4()));
    let mut gap = false;
    loop {
        assert!(begun.elapsed() < DEADLINE * 2, "nothing flows: {:?}", to.bus.health());
        from.bus.publish(user, marker.clone());
        let wait = tokio::time::timeout(Duration::from_millis(20), to.receiver.recv());
        match wait.await {
            Ok(Some(Incoming::Signal(_, signal))) if signal == marker => {
                return (begun.elapsed(), gap);
            }
            Ok(heard) => gap |= heard.expect("the bus is alive") == Incoming::Gap,
            Err(_) => {}
        }
    }
}

/// Waits for a gap; whatever comes before it is passed over.
async fn gap(replica: &mut Replica) {
    while replica.hear().await != Incoming::Gap {}
}

/// How long it takes until a replica's health is good, or bad.
async fn until_health(replica: &Replica, good: bool) -> Duration {
    let begun = Instant::now();
    while replica.bus.health().is_ok() != good {
        assert!(begun.elapsed() < DEADLINE * 2, "{:?}", replica.bus.health());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}
