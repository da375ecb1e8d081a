//! The task that writes to one Redis instance: in order, one call at a time, for as long as it takes.

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use redis::aio::MultiplexedConnection;

use super::{
    Times,
    keeper::Keeper,
    link::{Link, Trouble},
};
use crate::{
    domain::{ConnectionId, UserId},
    instances::{Backoff, Renewal},
};

/// Which part of the service asks, where refusals are named.
const PART: &str = "presence";

/// How many changes wait for the writer. Those beyond are made by its next beat.
pub(super) const CHANGES: usize = 4_096;

/// The most changes that go to Redis together.
const BATCH: usize = 500;

/// A socket that has opened or closed.
pub(super) struct Change {
    pub(super) user: UserId,
    pub(super) connection: ConnectionId,
    /// Told once Redis has it; dropped if it could not be written.
    pub(super) written: oneshot::Sender<()>,
}

/// One instance's writer.
pub(super) struct Writer {
    link: Link,
    keeper: Keeper,
    times: Times,
    connection: Option<MultiplexedConnection>,
    renewal: Renewal,
    backoff: Backoff,
    /// When it last began to connect, and when to do so again.
    tried_at: Instant,
    retry_at: Instant,
    /// What has gone wrong since a beat last succeeded, as it was logged.
    logged: Option<Trouble>,
    /// Whether a sweep has left something for the next one.
    has_more_to_sweep: bool,
}

impl Writer {
    pub(super) fn new(link: Link, keeper: Keeper, times: Times) -> Self {
        Self {
            renewal: link.instance.renewal(),
            link,
            keeper,
            times,
            connection: None,
            backoff: Backoff::default(),
            tried_at: Instant::now(),
            retry_at: Instant::now(),
            logged: None,
            has_more_to_sweep: false,
        }
    }

    /// Writes until `closing`, and then leaves with all sockets. Ends without a word when the register
    /// is dropped.
    pub(super) async fn run(
        mut self,
        mut changes: mpsc::Receiver<Change>,
        closing: CancellationToken,
    ) {
        let mut beats = tokio::time::interval(self.times.heartbeat);
        let mut sweeps = tokio::time::interval(self.times.sweep());
        // After a pause one is enough.
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let retry_at = self.retry_at;
            tokio::select! {
                // A storm of changes must not cost the lease.
                biased;
                () = closing.cancelled() => break,
                trouble = self.renewal.due() => self.fail(&trouble.into(), "presence link given up"),
                _ = beats.tick() => self.beat().await,
                () = tokio::time::sleep_until(retry_at), if self.connection.is_none() => {
                    self.beat().await;
                }
                _ = sweeps.tick() => self.sweep().await,
                taken = changes.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        // Dropped, not closed: it ends as if killed.
                        return;
                    }
                    self.write(&mut batch).await;
                }
                () = std::future::ready(()), if self.has_more_to_sweep => self.sweep().await,
            }
        }
        // Also when the link is down: it may be back.
        self.retry_at = Instant::now();
        if let Some(mut connection) = self.connected().await
            && let Err(error) = self.keeper.close(&mut connection).await
        {
            self.fail(&error.into(), "presence not left, the lease ends by itself");
        }
    }

    async fn write(&mut self, batch: &mut Vec<Change>) {
        let sockets: Vec<_> = batch.iter().map(|change| (change.user, change.connection)).collect();
        let written = match self.connected().await {
            None => false,
            Some(mut connection) => {
                let applied = self.keeper.apply(&mut connection, &sockets).await;
                self.link.instance.note(PART, applied.as_ref());
                if let Err(error) = &applied {
                    self.fail(&error.clone().into(), "presence not written");
                }
                applied.is_ok()
            }
        };
        for change in batch.drain(..) {
            if written && self.keeper.is_settled(change.user) {
                // Nobody waits any more: no harm.
                let _ = change.written.send(());
            } else {
                self.keeper.fall_behind(change.user);
            }
        }
    }

    async fn beat(&mut self) {
        if let Some(mut connection) = self.connected().await {
            let beaten = self.keeper.beat(&mut connection).await;
            self.link.instance.note(PART, beaten.as_ref());
            match beaten {
                Ok(()) => {
                    self.backoff.reset();
                    if self.logged.take().is_some() {
                        tracing::info!(
                            instance = self.link.instance.number,
                            "presence is written again"
                        );
                    }
                }
                Err(error) => self.fail(&error.into(), "presence lease not renewed"),
            }
        }
    }

    async fn sweep(&mut self) {
        self.has_more_to_sweep = false;
        // Whoever connects beats first: a sweep must not reap what a beat would have kept.
        if let Some(connection) = &mut self.connection {
            match self.keeper.sweep(connection).await {
                Ok(swept) => self.has_more_to_sweep = swept.has_more,
                Err(error) => self.fail(&error.into(), "presence not swept"),
            }
        }
    }

    /// The connection, if there is one or it is time to try.
    async fn connected(&mut self) -> Option<MultiplexedConnection> {
        if self.connection.is_none() && self.retry_at <= Instant::now() {
            self.tried_at = Instant::now();
            match self.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.gauge();
                }
                Err(error) => self.fail(&error, "presence has no connection"),
            }
        }
        self.connection.clone()
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, Trouble> {
        // What is made from here on is new.
        self.renewal.skip();
        let mut connection = self.link.writer().await?;
        self.keeper.reconnected(&mut connection).await?;
        Ok(connection)
    }

    /// Drops the connection: what was asked on it is unknown, and must not be confused with what is
    /// asked next.
    fn fail(&mut self, error: &Trouble, what: &str) {
        self.connection = None;
        // Once for each cause: one attempt follows the other for as long as it takes.
        if self.logged.as_ref() != Some(error) {
            tracing::warn!(instance = self.link.instance.number, %error, "{what}");
            self.logged = Some(error.clone());
        }
        self.retry_at = self.backoff.after(self.tried_at);
        self.gauge();
    }

    fn gauge(&self) {
        let up = if self.connection.is_some() { 1.0 } else { 0.0 };
        let instance = self.link.instance.number.to_string();
        metrics::gauge!("imserver_presence_link_up", "instance" => instance).set(up);
    }
}
