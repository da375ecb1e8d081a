//! The legacy kind of socket: after each chat, a snapshot of the latest ones as a JSON array.
//!
//! It follows the timeline as every other socket does, and keeps the chats that a snapshot shows, encoded,
//! in a [`Ring`]. The database is read to fill the ring, not for each snapshot.

mod pace;
mod ring;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    Counted, LEGACY,
    connection::{Connection, End, Inbound},
    count_end, joined,
};
use crate::{
    delivery::{Attachment, Latest},
    domain::{ConnectionId, UserId},
    http::{Problem, extract::Caller, push},
    hub::{Batch, Mailbox, Outbound, Socket},
    protocol::{Text, close::CloseCode, fault::ApiError, fields::Fields},
    service::Service,
    store::StoreError,
};
use pace::Pace;
use ring::{Applied, Ring};

/// How long to wait before chats are read again that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// A legacy socket and its task's state.
pub(super) struct Legacy {
    service: Arc<Service>,
    caller: Caller,
    socket: Arc<Socket>,
    attachment: Attachment,
    ring: Ring,
    /// The read that fills the ring.
    reading: Option<JoinHandle<Result<Latest, StoreError>>>,
    /// Whether no events come until the database was read.
    is_behind: bool,
    /// Whether the client lacks a chat that no snapshot has shown.
    is_due: bool,
    is_draining: bool,
    pace: Pace,
    retry_at: Instant,
}

impl Legacy {
    /// Attaches a socket. This comes before its `101`, so that no chat after that is missed.
    pub(super) async fn open(
        service: &Arc<Service>,
        caller: Caller,
        user: UserId,
        id: ConnectionId,
    ) -> Result<Self, ApiError> {
        let session = match &caller {
            Caller::User(actor) => Some(actor.session.id),
            Caller::Anonymous => None,
        };
        let mailbox = Mailbox::legacy();
        let socket = Arc::new(Socket { id, user, session, device: None, mailbox });
        let attachment = service.delivery.attach(Arc::clone(&socket)).await;
        let range = service.store.timeline_range(user).await?;
        let is_behind = !service.delivery.go_live(&socket, range.last);
        let (now, settings) = (Instant::now(), &service.settings);
        Ok(Self {
            ring: Ring::new(settings.chat.classic_limit),
            reading: None,
            is_behind,
            is_due: is_behind,
            is_draining: false,
            pace: Pace::new(settings.limits.sends_per_sec, now),
            retry_at: now,
            service: Arc::clone(service),
            caller,
            socket,
            attachment,
        })
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self, mut connection: Box<Connection>) {
        let counted = Counted::new(LEGACY);
        let end = self.serve(&mut connection).await;
        drop(self.attachment);
        drop(counted);
        count_end(end);
        let Socket { id, user, .. } = &*self.socket;
        tracing::debug!(%user, connection = %id, ?end, "legacy socket has ended");
        Box::pin(connection.end(None, end)).await;
    }

    async fn serve(&mut self, connection: &mut Connection) -> End {
        loop {
            if self.is_draining && !self.is_due {
                return End::Close(CloseCode::Restart);
            }
            let is_next = self.is_due && self.reading.is_none();
            // A replica that stops has no time for a pause.
            let pause_end = if self.is_draining { self.retry_at } else { self.pace.next() };
            let next = self.retry_at.max(pause_end);
            if is_next && next <= Instant::now() {
                if self.ring.is_filled() {
                    if let Err(end) = self.write_snapshot(connection).await {
                        return end;
                    }
                } else {
                    self.read();
                }
                continue;
            }
            let due = connection.due();
            let step = tokio::select! {
                batch = self.socket.mailbox.take() => self.deliver(batch),
                latest = joined(&mut self.reading), if self.reading.is_some() => {
                    self.reading = None;
                    self.fill(latest);
                    Ok(())
                }
                () = sleep_until(next), if is_next => Ok(()),
                inbound = connection.recv() => match inbound {
                    Ok(inbound) => self.accept(connection, inbound).await,
                    Err(end) => Err(end),
                },
                () = sleep_until(due) => {
                    self.ring.drop_if_old();
                    connection.heartbeat(&self.socket.mailbox).await
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Applies what waited in the mailbox. A chat makes a snapshot due, if it is new and direct or has changed.
    fn deliver(&mut self, batch: Batch) -> Result<(), End> {
        if let Some(code) = batch.close {
            return Err(End::Close(code));
        }
        if batch.pull || batch.reset {
            self.is_behind = true;
            self.is_due = true;
            self.refill();
        }
        for frame in batch.frames {
            // Notices are not for this kind of socket.
            let Outbound::Event(event) = frame else { continue };
            tracing::debug!(seq = event.seq.get(), "event for the next snapshot");
            match self.ring.apply(event.body) {
                Applied::Added => self.is_due = true,
                Applied::Elsewhere => {}
                Applied::Outdated { is_of_chat } => {
                    self.is_due |= is_of_chat;
                    self.refill();
                }
            }
        }
        self.is_draining |= batch.drain;
        Ok(())
    }

    /// Has the ring filled anew. A read that is under way may miss why.
    fn refill(&mut self) {
        self.ring.clear();
        self.reading = None;
    }

    /// Begins to fill the ring. What was in it, the database has.
    fn read(&mut self) {
        self.ring.clear();
        let delivery = Arc::clone(&self.service.delivery);
        let socket = Arc::clone(&self.socket);
        let limit = self.service.settings.chat.classic_limit;
        // A task of its own: a read that is dropped halfway may harm the pool's connection.
        let latest = async move { delivery.latest(&socket, limit).await };
        self.reading = Some(tokio::spawn(latest));
    }

    fn fill(&mut self, latest: Option<Result<Latest, StoreError>>) {
        match latest {
            Some(Ok(Latest { last, chats })) => {
                self.ring.fill(&chats);
                self.is_behind =
                    self.is_behind && !self.service.delivery.go_live(&self.socket, last);
            }
            failed => {
                let error = failed.and_then(Result::err).map(tracing::field::display);
                tracing::warn!(user = %self.socket.user, error, "snapshot not read, later again");
                self.retry_at = Instant::now() + RETRY;
            }
        }
    }

    async fn write_snapshot(&mut self, connection: &mut Connection) -> Result<(), End> {
        let text = self.ring.snapshot();
        self.pace.wrote(text.len(), Instant::now());
        // There is more than was read.
        self.is_due = self.is_behind;
        if self.is_behind {
            self.ring.clear();
        }
        connection.write([text], &self.socket.mailbox).await
    }

    /// Handles a chat as `/push` does, and answers anything else by a problem.
    async fn accept(&self, connection: &mut Connection, inbound: Inbound) -> Result<(), End> {
        let pushed = match inbound {
            Inbound::Life => return Ok(()),
            Inbound::Binary => Err(ApiError::invalid("a frame must be text")),
            Inbound::Text(text) => match Fields::parse(text.as_bytes()) {
                Ok(fields) => push(&self.service, &self.caller, &fields).await,
                Err(_) => Err(ApiError::invalid("a frame must be a chat: a JSON object")),
            },
        };
        let problem = pushed.err().map(|fault| {
            let json = serde_json::to_string(&Problem::from(&fault));
            Text::from(json.expect("a problem can be encoded"))
        });
        connection.write(problem, &self.socket.mailbox).await
    }
}
