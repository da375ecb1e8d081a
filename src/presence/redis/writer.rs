//! The task that writes to one Redis instance: in order, one call at a time.

use std::sync::Arc;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    lease::{Held, LeaseManager},
    link::Link,
    script::Script,
};
use crate::redis::{Backoff, Part, Renewal, Trouble};

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The number of the last change that it has tried to write.
    pub(super) tried: u64,
    /// Whether Redis has what was open then. If not, it is tried again with the next renewal.
    pub(super) is_written: bool,
}

/// One instance's writer.
pub(super) struct Writer {
    pub(super) link: Link,
    pub(super) script: Arc<Script>,
    pub(super) manager: LeaseManager,
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) renewal: Renewal,
    pub(super) connection: Option<MultiplexedConnection>,
    pub(super) backoff: Backoff,
    pub(super) retry_at: Instant,
    /// The trouble that was logged last, since when nothing was written.
    pub(super) logged: Option<Trouble>,
}

impl Writer {
    /// Writes until `closing`, and then leaves with all sockets.
    pub(super) async fn run(mut self, has_changes: Arc<Notify>, closing: CancellationToken) {
        loop {
            let is_connected = self.connection.is_some();
            let next = if is_connected { self.manager.step_at() } else { self.retry_at };
            tokio::select! {
                () = closing.cancelled() => break,
                trouble = self.renewal.due() => self.fail(trouble),
                () = sleep_until(next) => {}
                () = has_changes.notified() => {}
            }
            let tried = self.held.lock().changes();
            let is_written = self.write(false).await;
            self.progress.send_replace(Progress { tried, is_written });
        }
        // Also when the link is down: it may be back.
        self.retry_at = Instant::now();
        self.write(true).await;
    }

    /// Brings Redis to what is open here, if there is a connection or it is time to try.
    async fn write(&mut self, is_closing: bool) -> bool {
        let begun = Instant::now();
        if self.connection.is_none() && begun < self.retry_at {
            return false;
        }
        self.retry_at = self.backoff.after(begun);
        match self.try_write(is_closing).await {
            Ok(is_written) => {
                self.backoff.reset();
                if self.logged.take().is_some() {
                    let instance = self.link.instance.number;
                    tracing::info!(instance, "presence is written again");
                }
                is_written
            }
            Err(trouble) => {
                self.fail(trouble);
                false
            }
        }
    }

    async fn try_write(&mut self, is_closing: bool) -> Result<bool, Trouble> {
        if self.connection.is_none() {
            // What is made from here on is new.
            self.renewal.skip();
            let mut connection = self.link.writer().await?;
            self.script.expire_former().exec_async(&mut connection).await?;
            self.connection = Some(connection);
            self.manager.reconnected();
            self.gauge(1.0);
        }
        let Some(redis) = &mut self.connection else { return Ok(false) };
        let written = if is_closing {
            self.manager.close(redis).await.map(|()| true)
        } else {
            self.manager.step(redis).await
        };
        self.link.instance.note(Part::Presence, written.as_ref());
        Ok(written?)
    }

    /// Drops the connection: what was asked over it may still arrive.
    fn fail(&mut self, trouble: Trouble) {
        self.connection = None;
        self.gauge(0.0);
        // Once for each cause: one attempt follows the other for as long as it takes.
        if self.logged.as_ref() != Some(&trouble) {
            let instance = self.link.instance.number;
            tracing::warn!(instance, error = %trouble, "presence not written");
            self.logged = Some(trouble);
        }
    }

    fn gauge(&self, up: f64) {
        let instance = self.link.instance.number.to_string();
        metrics::gauge!("imserver_presence_link_up", "instance" => instance).set(up);
    }
}
