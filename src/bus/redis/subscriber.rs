//! Hears what one Redis brings: a connection of its own, made again for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use redis::{
    Client, Msg,
    aio::{PubSub, PubSubSink},
};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};

use super::{
    CONNECT_TIMEOUT, Channels,
    link::Link,
    publisher,
    wanted::{Command, Wanted},
    wire::{Message, WireError},
};
use crate::{
    bus::{BusError, Incoming, inbox::Inbox},
    domain::UserId,
    instances::{Backoff, Instance, Renewal, Trouble, trouble},
};

/// How long the server may take to confirm one command; longer is a dead link.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a subscription may take before it is reported as not made.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many probes in a row may be missed before the link is dead.
const MISSES: u32 = 2;

/// The most messages that are taken at a time.
const BATCH: usize = 256;

/// The subscriptions at one Redis.
#[derive(Debug)]
pub(super) struct Subscriber {
    client: Client,
    instance: Arc<Instance>,
    channels: Arc<Channels>,
    probe_every: Duration,
    pub(super) link: Link,
    wanted: Mutex<Wanted>,
    /// Wakes the task: there may be a command to send.
    changed: Notify,
    /// The newest probe that came back.
    heard: AtomicU64,
    /// The other direction, by which probes are sent.
    publisher: Arc<publisher::Shared>,
    inbox: Arc<Inbox>,
}

impl Subscriber {
    pub(super) fn new(
        client: Client,
        instance: Arc<Instance>,
        channels: Arc<Channels>,
        timing: super::Timing,
        link: Link,
        publisher: Arc<publisher::Shared>,
        inbox: Arc<Inbox>,
    ) -> Self {
        Self {
            client,
            instance,
            channels,
            probe_every: timing.probe,
            link,
            wanted: Mutex::new(Wanted::new(timing.linger)),
            changed: Notify::new(),
            heard: AtomicU64::new(0),
            publisher,
            inbox,
        }
    }

    /// Wants a user, and waits until the server has confirmed it.
    pub(super) async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        let Some(stands) = self.wanted.lock().subscribe(user) else { return Ok(()) };
        self.changed.notify_one();
        match tokio::time::timeout(SUBSCRIBE_TIMEOUT, stands).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BusError::Unavailable("ended before it stood".into())),
            Err(_) => Err(BusError::Unavailable(
                self.link.health().err().unwrap_or_else(|| "no answer in time".into()),
            )),
        }
    }

    /// Wants a user no more.
    pub(super) fn unsubscribe(&self, user: UserId) {
        self.wanted.lock().unsubscribe(user, Instant::now());
        self.changed.notify_one();
    }

    /// Keeps the connection, for ever.
    pub(super) async fn run(&self) {
        let mut backoff = Backoff::default();
        let mut interrupted = false;
        loop {
            let begun = Instant::now();
            // From before there is a connection, which may lead to a server that is demoted meanwhile.
            let renewal = self.instance.renewal();
            let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub());
            let trouble = match connecting.await {
                Ok(Ok(connection)) => self.hear(connection, renewal, interrupted).await,
                Ok(Err(error)) => trouble(&error),
                Err(_) => "no connection in time".into(),
            };
            interrupted = true;
            self.link.down(trouble);
            self.wanted.lock().start_over();
            tokio::time::sleep_until(backoff.after(begun)).await;
        }
    }

    /// Lives as long as this connection, and says what it died of.
    async fn hear(&self, connection: PubSub, mut renewal: Renewal, interrupted: bool) -> Trouble {
        let (sink, stream) = connection.split();
        // Side by side: while a command waits for its answer, messages must be taken all the same,
        // since the driver's queue between the socket and this task has no bound of its own.
        tokio::select! {
            () = self.read(stream) => "connection lost".into(),
            trouble = self.steer(sink, interrupted) => trouble,
            () = self.probe() => "silent".into(),
            trouble = renewal.due() => trouble,
        }
    }

    /// Takes messages until the connection ends. Waits for nothing else.
    async fn read(&self, stream: impl Stream<Item = Msg>) {
        let mut batches = std::pin::pin!(stream.ready_chunks(BATCH));
        while let Some(batch) = batches.next().await {
            for message in &batch {
                if let Err(error) = self.take(message) {
                    let (error, reason) = (error.to_string(), error.label());
                    tracing::debug!(error, "a payload on the bus cannot be read");
                    metrics::counter!("imserver_bus_garbage_total", "reason" => reason)
                        .increment(1);
                }
            }
        }
    }

    fn take(&self, message: &Msg) -> Result<(), WireError> {
        let payload = message.get_payload_bytes();
        // Half of what comes under load: the events of senders here, who saw them at the commit.
        if Message::is_signal_of(self.channels.origin, payload) {
            return Ok(());
        }
        let user = self.channels.user_of(message.get_channel_name());
        if user.is_some_and(|user| !self.wanted.lock().hears(user)) {
            return Ok(());
        }
        let (origin, what) = Message::decode(payload)?;
        let is_own = origin == self.channels.origin;
        match (user, what) {
            (None, Message::Probe(number)) if is_own => {
                self.heard.fetch_max(number, Ordering::Relaxed);
            }
            (Some(user), Message::Signal(signal)) if !is_own => {
                self.pass_on(Incoming::Signal(user, signal));
            }
            (None, Message::Wide(event)) if !is_own => self.pass_on(Incoming::Wide(event)),
            (None, Message::Gap) if is_own => {}
            (None, Message::Gap) => self.gap("another replica lost signals"),
            // What is on a channel where it does not belong is a stranger's.
            (_, _) => return Err(WireError::Value),
        }
        Ok(())
    }

    fn pass_on(&self, incoming: Incoming) {
        if !self.inbox.hear(|| incoming) {
            metrics::counter!("imserver_bus_dropped_total", "why" => "undrained").increment(1);
        }
    }

    fn gap(&self, why: &'static str) {
        tracing::info!(why, "signals may have been lost, comparing with the database");
        metrics::counter!("imserver_bus_gaps_total").increment(1);
        self.inbox.gap();
    }

    /// Brings the server's subscriptions to what is wanted, one command at a time, until one fails.
    async fn steer(&self, mut sink: PubSubSink, interrupted: bool) -> Trouble {
        let Channels { own, all, .. } = &*self.channels;
        if let Err(trouble) = confirmed(CONNECT_TIMEOUT, sink.subscribe(&[own, all])).await {
            return trouble;
        }
        let mut restored = false;
        loop {
            if !restored && self.wanted.lock().is_restored() {
                restored = true;
                // After the subscriptions stand, so that whatever was missed is in the database by
                // the time it is read.
                if interrupted {
                    self.gap("the link was down");
                }
                self.link.up();
            }
            let command = self.wanted.lock().next(Instant::now());
            let Some(command) = command else {
                self.wait_for_change().await;
                continue;
            };
            let result = match &command {
                Command::Subscribe(users) => {
                    let channels = self.channels.users(users);
                    confirmed(COMMAND_TIMEOUT, sink.subscribe(channels)).await
                }
                Command::Unsubscribe(users) => {
                    let channels = self.channels.users(users);
                    confirmed(COMMAND_TIMEOUT, sink.unsubscribe(channels)).await
                }
            };
            if let Err(trouble) = result {
                return trouble;
            }
            self.wanted.lock().confirmed(&command, Instant::now());
        }
    }

    async fn wait_for_change(&self) {
        let next_at = self.wanted.lock().next_at();
        let Some(next_at) = next_at else {
            return self.changed.notified().await;
        };
        // The outcome does not matter: either way there may be a command.
        let _ = tokio::time::timeout_at(next_at, self.changed.notified()).await;
    }

    /// Publishes to a channel of its own and waits to hear it, until too many in a row are missed.
    /// A link that was cut silently shows nothing else for minutes.
    async fn probe(&self) {
        let mut ticks = tokio::time::interval(self.probe_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = self.heard.load(Ordering::Relaxed);
        let mut heard = number;
        let mut misses = 0;
        for tick in 0_u64.. {
            ticks.tick().await;
            let heard_now = self.heard.load(Ordering::Relaxed);
            if heard_now > heard {
                (heard, misses) = (heard_now, 0);
            } else if tick > 0 {
                misses += 1;
            }
            if misses == MISSES {
                return;
            }
            number += 1;
            self.publisher.probe(number);
        }
    }
}

/// Waits for the server's confirmation, but not for ever.
async fn confirmed(
    within: Duration,
    command: impl Future<Output = redis::RedisResult<()>>,
) -> Result<(), Trouble> {
    match tokio::time::timeout(within, command).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(trouble(&error)),
        Err(_) => Err("no answer in time".into()),
    }
}
