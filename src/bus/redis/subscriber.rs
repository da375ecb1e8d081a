//! Hears what one Redis brings: a connection of its own, made again for ever.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use redis::{
    Msg,
    aio::{PubSub, PubSubSink},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use super::{
    CONNECT_TIMEOUT, Channels, Timing,
    subscriptions::{Command, SubscriptionSet},
    wire::{Message, WireError},
};
use crate::{
    bus::{BusError, Incoming, inbox::Inbox},
    domain::UserId,
    redis::{Instance, Link, Part, Renewal, Trouble},
};

/// How long the server may take to confirm one command; longer is a dead link.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a subscription may take before it is reported as not made.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A link that brings no probe for so many times the pause between two is dead: two have been missed.
const SILENT_AFTER: f64 = 2.5;

/// The most messages that are taken at a time.
const BATCH: usize = 256;

/// The subscriptions at one Redis.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) link: Link,
    channels: Arc<Channels>,
    silent_after: Duration,
    subscriptions: Mutex<SubscriptionSet>,
    /// Wakes the task: there may be a command to send.
    changed: Notify,
    /// A probe came back.
    probed: Notify,
    inbox: Arc<Inbox>,
}

impl Subscriber {
    pub(super) fn new(
        instance: &Arc<Instance>,
        channels: &Arc<Channels>,
        timing: Timing,
        inbox: &Arc<Inbox>,
    ) -> Self {
        Self {
            link: Link::new(instance, Part::Subscriber),
            channels: Arc::clone(channels),
            silent_after: timing.probe.mul_f64(SILENT_AFTER),
            subscriptions: Mutex::new(SubscriptionSet::new(timing.linger)),
            changed: Notify::new(),
            probed: Notify::new(),
            inbox: Arc::clone(inbox),
        }
    }

    /// Subscribes to a user, and waits until the server has confirmed it.
    pub(super) async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        let Some(stands) = self.subscriptions.lock().subscribe(user) else { return Ok(()) };
        self.changed.notify_one();
        match timeout(SUBSCRIBE_TIMEOUT, stands).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BusError::Unavailable("ended before it stood".into())),
            Err(_) => Err(BusError::Unavailable(
                self.link.health().err().unwrap_or_else(|| "no answer in time".into()),
            )),
        }
    }

    /// Ends the subscription to a user.
    pub(super) fn unsubscribe(&self, user: UserId) {
        self.subscriptions.lock().unsubscribe(user, Instant::now());
        self.changed.notify_one();
    }

    /// Keeps the connection, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut interrupted = false;
        loop {
            let renewal = self.link.attempt().await;
            let trouble = match self.link.instance.listener(CONNECT_TIMEOUT).await {
                Ok(connection) => self.hear(connection, renewal, interrupted).await,
                Err(trouble) => trouble,
            };
            interrupted = true;
            self.link.down(trouble);
            self.subscriptions.lock().start_over();
        }
    }

    /// Lives as long as this connection, and says what it died of.
    async fn hear(&self, connection: PubSub, mut renewal: Renewal, interrupted: bool) -> Trouble {
        let (sink, stream) = connection.split();
        // Side by side: while a command waits for its answer, messages must be taken all the same,
        // since the driver's queue between the socket and this task has no bound of its own.
        tokio::select! {
            () = self.read(stream) => "connection lost".into(),
            Err(trouble) = self.steer(sink, interrupted) => trouble,
            () = self.until_silent() => "silent".into(),
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
        if user.is_some_and(|user| !self.subscriptions.lock().hears(user)) {
            return Ok(());
        }
        let (origin, what) = Message::decode(payload)?;
        let is_own = origin == self.channels.origin;
        match (user, what) {
            (None, Message::Probe(_)) if is_own => self.probed.notify_one(),
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
    async fn steer(&self, mut sink: PubSubSink, interrupted: bool) -> Result<Infallible, Trouble> {
        let Channels { own, all, .. } = &*self.channels;
        timeout(CONNECT_TIMEOUT, sink.subscribe(&[own, all])).await??;
        let mut restored = false;
        loop {
            if !restored && self.subscriptions.lock().is_restored() {
                restored = true;
                // After the subscriptions stand, so that whatever was missed is in the database by
                // the time it is read.
                if interrupted {
                    self.gap("the link was down");
                }
                self.link.up();
            }
            let command = self.subscriptions.lock().next(Instant::now());
            let Some(command) = command else {
                self.wait_for_change().await;
                continue;
            };
            match &command {
                Command::Subscribe(users) => {
                    let channels = self.channels.users(users);
                    timeout(COMMAND_TIMEOUT, sink.subscribe(channels)).await??;
                }
                Command::Unsubscribe(users) => {
                    let channels = self.channels.users(users);
                    timeout(COMMAND_TIMEOUT, sink.unsubscribe(channels)).await??;
                }
            }
            self.subscriptions.lock().confirmed(&command, Instant::now());
        }
    }

    async fn wait_for_change(&self) {
        let next_at = self.subscriptions.lock().next_at();
        let Some(next_at) = next_at else {
            return self.changed.notified().await;
        };
        // The outcome does not matter: either way there may be a command.
        let _ = timeout_at(next_at, self.changed.notified()).await;
    }

    /// Waits until the publisher's probes come back no more. A link that was cut silently shows nothing
    /// else for minutes.
    async fn until_silent(&self) {
        while timeout(self.silent_after, self.probed.notified()).await.is_ok() {}
    }
}
