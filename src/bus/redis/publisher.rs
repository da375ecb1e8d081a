//! Publishes to one Redis, in order, in batches of whatever waits, and never makes anybody wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::{Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior},
};

use super::{
    Channels,
    wire::{MAX_PAYLOAD_BYTES, Message},
};
use crate::{
    bus::BusError,
    domain::{ReplicaId, UserId},
    redis::{Instance, Link, Part, Renewal, Trouble},
};

/// The most signals that wait for one Redis; more are dropped.
pub const PUBLISH_QUEUE: usize = 16_384;

/// The most bytes of signals that wait for one Redis; more are dropped.
pub const PUBLISH_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// The most signals of one round trip.
const BATCH: usize = 512;

/// How long a connection, or the answer to a batch, may take; longer is a dead link.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// At most one announcement of losses in this time: each makes all replicas read the database.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);

/// How long a sign of life stands in Redis, in milliseconds: several probes.
const ALIVE_MS: u32 = 15_000;

/// What waits to be published.
#[derive(Debug)]
struct Queued {
    /// Whose channel it goes to; `None`: that of all replicas.
    user: Option<UserId>,
    message: Message,
    since: Instant,
}

/// The handle of the task.
#[derive(Debug)]
pub(super) struct Publisher {
    queue: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

/// What the handle and the task have in common.
#[derive(Debug)]
struct Shared {
    link: Link,
    channels: Arc<Channels>,
    queued_bytes: AtomicUsize,
    /// Signals were dropped, and the other replicas do not know yet.
    lost: AtomicBool,
    /// The connection that carries what is published, while the link stands.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Publisher {
    /// A publisher, and the task that has to run for it.
    pub(super) fn new(
        instance: &Arc<Instance>,
        channels: &Arc<Channels>,
        probe_every: Duration,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (queue, receiver) = mpsc::channel(PUBLISH_QUEUE);
        let shared = Arc::new(Shared {
            link: Link::new(instance, Part::Publisher),
            channels: Arc::clone(channels),
            queued_bytes: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            connection: Mutex::default(),
        });
        let task =
            Task { queue: receiver, shared: Arc::clone(&shared), probe_every, announced: None };
        (Self { queue, shared }, task.run())
    }

    /// Queues a message to a user's channel or to all replicas, or drops it.
    pub(super) fn publish(&self, user: Option<UserId>, message: Message) {
        let bytes = message.size();
        let waiting = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = bytes <= MAX_PAYLOAD_BYTES && waiting + bytes <= PUBLISH_QUEUE_BYTES;
        let queued = Queued { user, message, since: Instant::now() };
        if !fits || self.queue.try_send(queued).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped(1, "overflow");
        }
    }

    /// How many signals wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Which of these replicas write to the server that this one writes to, in their order.
    pub(super) async fn are_alive(&self, replicas: &[ReplicaId]) -> Result<Vec<bool>, BusError> {
        if replicas.is_empty() {
            return Ok(Vec::new());
        }
        let Shared { link, channels, connection, .. } = &*self.shared;
        // Over the same connection: another one may lead to another server.
        let connection = connection.lock().clone();
        let Some(mut connection) = connection else {
            let trouble = link.health().err().unwrap_or_else(|| "connecting".to_owned());
            return Err(BusError::Unavailable(trouble));
        };
        let mut pipeline = Pipeline::new();
        for replica in replicas {
            pipeline.cmd("EXISTS").arg(channels.alive((*replica).into()));
        }
        let answer = pipeline.query_async(&mut connection).await;
        answer.map_err(|error| BusError::Unavailable(Trouble::from(error).to_string()))
    }

    /// The state of this direction.
    pub(super) fn link(&self) -> &Link {
        &self.shared.link
    }
}

impl Shared {
    fn dropped(&self, count: usize, why: &'static str) {
        if count > 0 {
            self.lost.store(true, Ordering::Relaxed);
            metrics::counter!("imserver_bus_dropped_total", "why" => why).increment(count as u64);
        }
    }
}

struct Task {
    queue: mpsc::Receiver<Queued>,
    shared: Arc<Shared>,
    probe_every: Duration,
    /// When losses were last announced.
    announced: Option<Instant>,
}

impl Task {
    /// Publishes until the handle is dropped.
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !self.queue.is_closed() {
            self.drop_until(shared.link.retry_at()).await;
            let renewal = shared.link.attempt().await;
            if let Err(trouble) = self.publish(renewal).await {
                // A connection whose answer did not come must never be used again.
                *shared.connection.lock() = None;
                shared.link.down(trouble);
            }
        }
    }

    /// Drops what is queued until then: a signal that comes late may do harm, as the order to close all
    /// sockets of a device but the one that was its newest then.
    async fn drop_until(&mut self, until: Instant) {
        while let Ok(Some(queued)) = tokio::time::timeout_at(until, self.queue.recv()).await {
            self.shared.queued_bytes.fetch_sub(queued.message.size(), Ordering::Relaxed);
            self.shared.dropped(1, "link");
        }
    }

    /// Publishes over one connection until it fails, or the handle is dropped.
    async fn publish(&mut self, mut renewal: Renewal) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let mut connection = shared.link.instance.writer(ANSWER_TIMEOUT).await?;
        // Before anything else, so that a server that is no master gets nothing.
        self.send(&mut connection, &mut Vec::new(), true).await?;
        *shared.connection.lock() = Some(connection.clone());
        shared.link.up();
        let mut probes = probes(self.probe_every);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let is_probe_due = tokio::select! {
                count = self.queue.recv_many(&mut batch, BATCH) => if count == 0 {
                    return Ok(());
                } else {
                    false
                },
                _ = probes.tick() => true,
                trouble = renewal.due() => return Err(trouble),
            };
            self.send(&mut connection, &mut batch, is_probe_due).await?;
        }
    }

    /// Sends a batch in one round trip. If that fails, all of it counts as lost: whether it arrived is not
    /// known, and a signal must not be heard twice.
    async fn send(
        &mut self,
        connection: &mut MultiplexedConnection,
        batch: &mut Vec<Queued>,
        probes: bool,
    ) -> Result<(), Trouble> {
        let oldest = batch.first().map(|queued| queued.since);
        let count = batch.len();
        let announced_lately = self.announced.is_some_and(|at| at.elapsed() < ANNOUNCE_EVERY);
        let announces = !announced_lately && self.shared.lost.swap(false, Ordering::Relaxed);
        let pipeline = self.pipeline(batch.drain(..), announces, probes);
        if let Err(trouble) = self.execute(connection, &pipeline, probes).await {
            self.shared.dropped(count, "link");
            if announces {
                self.shared.lost.store(true, Ordering::Relaxed);
            }
            return Err(trouble);
        }
        if announces {
            self.announced = Some(Instant::now());
        }
        metrics::counter!("imserver_bus_published_total").increment(count as u64);
        if let Some(since) = oldest {
            metrics::histogram!("imserver_publish_seconds").record(since.elapsed());
        }
        Ok(())
    }

    fn pipeline(
        &self,
        batch: impl Iterator<Item = Queued>,
        announces: bool,
        probes: bool,
    ) -> Pipeline {
        let Shared { channels, queued_bytes, .. } = &*self.shared;
        let mut pipeline = Pipeline::new();
        // The test write may be refused, and the rest has arrived all the same.
        pipeline.ignore_errors();
        let mut publish = |channel: &str, message: &Message| {
            pipeline.cmd("PUBLISH").arg(channel).arg(message.encode(channels.origin));
        };
        for Queued { user, message, .. } in batch {
            queued_bytes.fetch_sub(message.size(), Ordering::Relaxed);
            match user {
                Some(user) => publish(&channels.user(user), &message),
                None => publish(&channels.all, &message),
            }
        }
        if announces {
            publish(&channels.all, &Message::Gap);
        }
        if probes {
            publish(&channels.own, &Message::Probe(0));
            // Publishing needs neither a master nor memory, so it succeeds on a server that has been
            // demoted, and reaches nobody who is connected to the new master.
            let alive = channels.alive(channels.origin);
            pipeline.cmd("SET").arg(alive).arg(1).arg("PX").arg(ALIVE_MS);
        }
        pipeline
    }

    /// Fails if anything could not be published. A server that refuses only the test write is as good, unless
    /// it is no master.
    async fn execute(
        &self,
        connection: &mut MultiplexedConnection,
        pipeline: &Pipeline,
        probes: bool,
    ) -> Result<(), Trouble> {
        let link = &self.shared.link;
        let mut answers: Vec<RedisResult<Value>> = pipeline.query_async(connection).await?;
        let written = if probes { answers.pop() } else { None };
        answers.into_iter().collect::<RedisResult<Vec<_>>>()?;
        let Some(written) = written else { return Ok(()) };
        link.instance.note(Part::Publisher, written.as_ref());
        match written {
            Err(error) if crate::redis::is_of_no_master(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn probes(every: Duration) -> Interval {
    let mut probes = tokio::time::interval_at(Instant::now() + every, every);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    probes
}
