//! The task that writes to one Redis instance: in order, one call at a time.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Notify, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use super::{
    lease::{Held, LeaseManager},
    script::Script,
};
use crate::redis::{Link, Part, Renewal, Trouble};

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
    /// How long Redis may take to accept a connection, or to answer.
    pub(super) answer: Duration,
    pub(super) script: Arc<Script>,
    pub(super) manager: LeaseManager,
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) renewal: Renewal,
    pub(super) connection: Option<MultiplexedConnection>,
}

impl Writer {
    /// Writes until `closing`, and then leaves with all sockets.
    pub(super) async fn run(mut self, has_changes: Arc<Notify>, closing: CancellationToken) {
        loop {
            let is_connected = self.connection.is_some();
            let next = if is_connected { self.manager.step_at() } else { self.link.retry_at() };
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
        self.write(true).await;
    }

    /// Brings Redis to what is open here, if there is a connection or it is time to try.
    async fn write(&mut self, is_closing: bool) -> bool {
        let has_connection = self.connection.is_some();
        if !has_connection && !is_closing && !self.link.is_worth_trying() {
            return false;
        }
        match self.try_write(is_closing).await {
            Ok(is_written) => {
                self.link.up();
                is_written
            }
            Err(trouble) => {
                self.fail(trouble);
                false
            }
        }
    }

    async fn try_write(&mut self, is_closing: bool) -> Result<bool, Trouble> {
        let redis = if let Some(connection) = &mut self.connection {
            connection
        } else {
            // What is made from here on is new.
            self.renewal.skip();
            let mut connection = self.link.instance.writer(self.answer).await?;
            self.script.expire_former().exec_async(&mut connection).await?;
            self.manager.reconnected();
            self.connection.insert(connection)
        };
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
        self.link.down(trouble);
    }
}
