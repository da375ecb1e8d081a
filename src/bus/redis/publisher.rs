//! Publishes to one Redis, in order, in batches of whatever waits, and never makes anybody wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{Connection, Pool, PoolError};
use parking_lot::Mutex;
use redis::{Pipeline, RedisResult};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    ALIVE, Channels, PUBLISH_TIMEOUT,
    link::Link,
    wire::{MAX_PAYLOAD_BYTES, Message, weight, wide_weight},
};
use crate::{
    bus::{BusError, Signal, WideEvent},
    domain::{ReplicaId, UserId},
    instances::{self, Backoff, Instance, Renewal, Trouble},
};

/// Which part of the service asks, where refusals are named.
const PART: &str = "bus";

/// The most signals that wait for one Redis; more are dropped.
pub const PUBLISH_QUEUE: usize = 16_384;

/// The most bytes of signals that wait for one Redis; more are dropped.
pub const PUBLISH_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// The most signals of one round trip.
const BATCH: usize = 512;

/// How long a connection is kept without use before the pool is asked whether it still works.
const KEEP: Duration = Duration::from_secs(1);

/// At most one announcement of losses in this time: each makes all replicas read the database.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);

/// What waits, and since when.
type Queued = (News, Instant);

/// What is published.
#[derive(Debug)]
enum News {
    /// For the sockets of a user.
    Of(UserId, Signal),
    /// For those of many.
    Wide(WideEvent),
}

impl News {
    /// How many bytes of it wait, about.
    fn weight(&self) -> usize {
        match self {
            Self::Of(_, signal) => weight(signal),
            Self::Wide(event) => wide_weight(event),
        }
    }
}

/// The handle of the task.
#[derive(Debug)]
pub(super) struct Publisher {
    queue: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

/// What the handle and the task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    link: Link,
    channels: Arc<Channels>,
    queued_bytes: AtomicUsize,
    /// Signals were dropped, and the other replicas do not know yet.
    lost: AtomicBool,
    /// The number of the newest probe that is to be published.
    probe: AtomicU64,
    probe_due: Notify,
    /// Asked with the next probe.
    question: Mutex<Option<Question>>,
}

/// Which of these replicas write to the Redis that this one writes to.
#[derive(Debug)]
struct Question {
    others: Vec<ReplicaId>,
    answer: oneshot::Sender<Vec<bool>>,
}

#[derive(PartialEq)]
enum Refusal {
    /// The server is not the master.
    NoMaster,
    /// By any other error.
    Other(Trouble),
}

impl Publisher {
    /// A publisher, and the task that has to run for it.
    pub(super) fn new(
        pool: Pool,
        channels: Arc<Channels>,
        link: Link,
        instance: Arc<Instance>,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, queue) = mpsc::channel(PUBLISH_QUEUE);
        let shared = Arc::new(Shared {
            link,
            channels,
            queued_bytes: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            probe: AtomicU64::new(0),
            probe_due: Notify::new(),
            question: Mutex::default(),
        });
        // The first batch is a probe, so that a link that cannot be made is known at once.
        shared.probe(0);
        let task = Task {
            pool,
            queue,
            connection: None,
            renewal: instance.renewal(),
            instance,
            backoff: Backoff::default(),
            announced: None,
            refusal: None,
            shared: Arc::clone(&shared),
        };
        (Self { queue: sender, shared }, task.run())
    }

    /// Queues a signal, or drops it.
    pub(super) fn publish(&self, user: UserId, signal: Signal) {
        self.enqueue(News::Of(user, signal));
    }

    /// Queues an event of many users, or drops it.
    pub(super) fn publish_wide(&self, event: WideEvent) {
        self.enqueue(News::Wide(event));
    }

    fn enqueue(&self, news: News) {
        let bytes = news.weight();
        let waiting = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = bytes <= MAX_PAYLOAD_BYTES && waiting + bytes <= PUBLISH_QUEUE_BYTES;
        if !fits || self.queue.try_send((news, Instant::now())).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped(1, "overflow");
        }
    }

    /// How many signals wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Which of these replicas write to the same server, in their order.
    pub(super) async fn is_alive(&self, others: &[ReplicaId]) -> Result<Vec<bool>, BusError> {
        let (answer, answered) = oneshot::channel();
        *self.shared.question.lock() = Some(Question { others: others.to_vec(), answer });
        self.shared.probe_due.notify_one();
        match tokio::time::timeout(2 * PUBLISH_TIMEOUT, answered).await {
            Ok(Ok(alive)) => Ok(alive),
            _ => Err(BusError::Unavailable(
                self.link().health().err().unwrap_or_else(|| "no answer in time".into()),
            )),
        }
    }

    /// The state of this direction.
    pub(super) fn link(&self) -> &Link {
        &self.shared.link
    }

    /// What the subscriber needs of it.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Shared {
    /// Has this probe published to the replica's own channel, beside the queue: a queue that is full
    /// is no dead link.
    pub(super) fn probe(&self, number: u64) {
        self.probe.store(number, Ordering::Relaxed);
        self.probe_due.notify_one();
    }

    fn dropped(&self, count: usize, why: &'static str) {
        if count > 0 {
            self.lost.store(true, Ordering::Relaxed);
            metrics::counter!("imserver_bus_dropped_total", "why" => why).increment(count as u64);
        }
    }
}

struct Task {
    pool: Pool,
    queue: mpsc::Receiver<Queued>,
    /// The one connection that is in use: a second one would break the order.
    connection: Option<Connection>,
    instance: Arc<Instance>,
    renewal: Renewal,
    backoff: Backoff,
    /// When losses were last announced.
    announced: Option<Instant>,
    /// How the last test write was refused.
    refusal: Option<Refusal>,
    shared: Arc<Shared>,
}

impl Task {
    /// Publishes until the handle is dropped.
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let mut probe = None;
            tokio::select! {
                count = self.queue.recv_many(&mut batch, BATCH) => if count == 0 {
                    return;
                },
                () = self.shared.probe_due.notified() => {
                    probe = Some(self.shared.probe.load(Ordering::Relaxed));
                }
                trouble = self.renewal.due() => {
                    self.disconnect();
                    self.shared.link.down(trouble);
                    self.shared.probe_due.notify_one();
                    continue;
                }
                () = tokio::time::sleep(KEEP), if self.connection.is_some() => {
                    self.connection = None;
                    continue;
                }
            }
            let bytes = batch.iter().map(|(news, _)| news.weight()).sum();
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let count = batch.len();
            let begun = Instant::now();
            let oldest = batch.first().map(|(_, since)| *since);
            match self.send(batch.drain(..), probe).await {
                Ok(()) => {
                    metrics::counter!("imserver_bus_published_total").increment(count as u64);
                    if let Some(since) = oldest {
                        metrics::histogram!("imserver_publish_seconds").record(since.elapsed());
                    }
                    self.shared.link.up();
                    self.backoff = Backoff::default();
                }
                Err(error) => {
                    self.shared.dropped(count, "link");
                    self.shared.link.down(trouble(&error));
                    // A connection whose answer did not come must never be used again.
                    self.disconnect();
                    self.wait_out(begun).await;
                }
            }
        }
    }

    /// One round trip. What it does not bring over is lost: whether it arrived is not known, and a
    /// signal must not be heard twice.
    async fn send(
        &mut self,
        batch: impl Iterator<Item = Queued>,
        probe: Option<u64>,
    ) -> Result<(), PoolError> {
        let channels = &self.shared.channels;
        let mut pipeline = Pipeline::new();
        let mut publish = |channel: &str, message: Message| {
            let payload = message.encode(channels.origin);
            pipeline.cmd("PUBLISH").arg(channel).arg(payload).ignore();
        };
        for (news, _) in batch {
            match news {
                News::Of(user, signal) => publish(&channels.user(user), Message::Signal(signal)),
                News::Wide(event) => publish(&channels.all, Message::Wide(event)),
            }
        }
        if let Some(number) = probe {
            publish(&channels.own, Message::Probe(number));
        }
        let announced_lately = self.announced.is_some_and(|at| at.elapsed() < ANNOUNCE_EVERY);
        let announces = !announced_lately && self.shared.lost.swap(false, Ordering::Relaxed);
        if announces {
            publish(&channels.all, Message::Gap);
        }
        let sent = self.execute(&pipeline).await;
        if announces {
            match &sent {
                Ok(()) => self.announced = Some(Instant::now()),
                Err(_) => self.shared.lost.store(true, Ordering::Relaxed),
            }
        }
        sent?;
        if probe.is_some() { self.test_write().await } else { Ok(()) }
    }

    async fn execute(&mut self, pipeline: &Pipeline) -> Result<(), PoolError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.pool.get().await?),
        };
        Ok(pipeline.exec_async(connection).await?)
    }

    /// Writes a sign of life. Publishing needs neither a master nor memory, so it succeeds on a server
    /// that has been demoted, and reaches nobody who is connected to the new master.
    async fn test_write(&mut self) -> Result<(), PoolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let channels = &self.shared.channels;
        let question = self.shared.question.lock().take();
        let mut pipeline = Pipeline::new();
        pipeline.ignore_errors();
        pipeline.add_command(instances::test_write(&channels.alive(channels.origin), ALIVE));
        for other in question.iter().flat_map(|question| &question.others) {
            pipeline.cmd("EXISTS").arg(channels.alive((*other).into()));
        }
        let mut answers: Vec<RedisResult<redis::Value>> = pipeline.query_async(connection).await?;
        let alive = answers.split_off(1).into_iter();
        let alive: RedisResult<Vec<bool>> =
            alive.map(|answer| Ok(redis::from_redis_value(answer?)?)).collect();
        let written = answers.remove(0);
        self.instance.note(PART, written.as_ref());
        self.note(written)?;
        if let (Some(question), Ok(alive)) = (question, alive) {
            // Nobody waits any more: no harm.
            let _ = question.answer.send(alive);
        }
        Ok(())
    }

    /// Takes note of the outcome of a test write. The link lasts, unless there is a master elsewhere: a
    /// server that is full publishes all the same.
    fn note(&mut self, written: RedisResult<redis::Value>) -> RedisResult<()> {
        let instance = self.instance.number;
        let Err(error) = written else {
            match self.refusal.take() {
                // Those that were made anew meanwhile may lead to where this one led.
                Some(Refusal::NoMaster) => {
                    self.instance.renew();
                    self.renewal.skip();
                }
                Some(Refusal::Other(_)) => tracing::info!(instance, "Redis takes writes again"),
                None => {}
            }
            return Ok(());
        };
        if instances::is_of_no_master(&error) {
            self.renewal.skip();
            self.refusal = Some(Refusal::NoMaster);
            return Err(error);
        }
        let trouble = instances::trouble(&error);
        let refusal = Some(Refusal::Other(trouble.clone()));
        if self.refusal != refusal {
            tracing::warn!(instance, %trouble, "Redis refuses writes");
            self.refusal = refusal;
        }
        Ok(())
    }

    /// Gives up the connection, and what the pool keeps.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Connection::take(connection));
        }
        self.pool.retain(|_, _| false);
    }

    /// Drops what is queued until the next attempt is due: a signal that comes late may do harm, as
    /// the order to close all sockets of a device but the one that was its newest then.
    async fn wait_out(&mut self, begun: Instant) {
        let until = self.backoff.after(begun);
        while let Ok(Some((news, _))) = tokio::time::timeout_at(until, self.queue.recv()).await {
            self.shared.queued_bytes.fetch_sub(news.weight(), Ordering::Relaxed);
            self.shared.dropped(1, "link");
        }
    }
}

/// What went wrong, without the URL.
fn trouble(error: &PoolError) -> Trouble {
    match error {
        PoolError::Timeout(_) => "no answer in time".into(),
        PoolError::Backend(error) => instances::trouble(error),
        _ => "the pool of connections is closed".into(),
    }
}
