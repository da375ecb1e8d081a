//! A socket of version 1 after its hello: replay, live events, requests.
//!
//! One task owns the socket. What it waits for are tasks of their own, so that nothing is lost when
//! one wait is dropped for another: a database read that is dropped halfway may harm the pool.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{FuturesOrdered, FuturesUnordered},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    Counted, V1,
    connection::{Connection, End, Inbound},
    count_end,
    hello::{Attached, hello},
    joined, requests,
    send_tracker::{Outcome, SendTracker},
};
use crate::{
    admission::Admitted,
    delivery::Pulled,
    domain::{ClientMsgId, ConnectionId, Destination, Epoch, Seq, UserId},
    http::extract::Actor,
    hub::{Batch, Outbound, Socket},
    protocol::{
        Text,
        client::{Request, read_frame},
        close::CloseCode,
        fault::ApiError,
        server::{ServerFrame, millis},
    },
    service::Service,
    store::StoreError,
};

/// The most requests of one socket that are under way. With more, nothing is read from it.
const MAX_IN_FLIGHT: usize = 64;

/// How long the same pair of users gets no second `typing`.
const TYPING_PAUSE: Duration = Duration::from_secs(2);

/// The most users to whom one socket may type within [`TYPING_PAUSE`].
const MAX_TYPED: usize = 32;

/// The wait before a failed read of the timeline is retried.
const PULL_RETRY: Duration = Duration::from_secs(1);

/// How long a socket may take to finish what is under way when its replica drains: a send is answered
/// within 5 s.
const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// Serves a socket to its end.
///
/// The futures of its beginning and its end are boxed: inlined they would dominate idle memory.
pub(super) async fn run(
    service: Arc<Service>,
    mut connection: Box<Connection>,
    actor: Actor,
    id: ConnectionId,
) {
    let counted = Counted::new(V1);
    let end = match Box::pin(hello(&service, &mut connection, actor, id)).await {
        Ok(Attached { socket, attachment, cursor, is_behind }) => {
            let mut session = Session::new(Arc::clone(&service), socket, cursor, is_behind);
            let end = session.serve(&mut connection).await;
            session.commit_rest().await;
            drop(attachment);
            Box::pin(farewell(&service, connection, end)).await;
            // A request that is still being carried out may be a `watch`.
            joined(&mut session.request).await;
            service.messaging.unwatch(&session.socket, &session.watched.lock().await);
            end
        }
        Err(end) => {
            Box::pin(farewell(&service, connection, end)).await;
            end
        }
    };
    drop(counted);
    count_end(end);
    tracing::debug!(user = %actor.user, connection = %id, ?end, "socket has ended");
}

/// Ends the connection; a client whose replica restarts is told when to come back.
async fn farewell(service: &Service, connection: Box<Connection>, end: End) {
    let reconnect = (end == End::Close(CloseCode::Restart)).then(|| {
        let after_ms = millis(service.drain.return_after());
        ServerFrame::Reconnect { after_ms }.encode()
    });
    connection.end(reconnect, end).await;
}

/// The key of a send, and whether it was admitted.
type Admission = (ClientMsgId, Result<Admitted, ApiError>);

type Watched = Arc<tokio::sync::Mutex<Vec<UserId>>>;

struct Session {
    service: Arc<Service>,
    socket: Arc<Socket>,
    /// What the client has been sent, and its open sends.
    tracker: SendTracker,
    /// The read of what is missing, while the socket is behind.
    pulling: Option<JoinHandle<Result<Pulled, StoreError>>>,
    is_behind: bool,
    /// A reset is pending; its resume position has not been read yet.
    is_lost: bool,
    /// Sends that await admission, in the order of their frames. They are committed in that order.
    admitting: FuturesOrdered<BoxFuture<'static, Admission>>,
    /// Sends that wait for their commit.
    sends: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// Other requests, which run one after another.
    requests: VecDeque<Request>,
    request: Option<JoinHandle<Vec<Text>>>,
    watched: Watched,
    /// Where a `typing` went within [`TYPING_PAUSE`], and when.
    typed: Vec<(Destination, Instant)>,
    /// Drain deadline.
    drain_by: Option<Instant>,
}

impl Session {
    fn new(service: Arc<Service>, socket: Arc<Socket>, cursor: Seq, is_behind: bool) -> Self {
        Self {
            service,
            socket,
            tracker: SendTracker::new(cursor),
            pulling: None,
            is_behind,
            is_lost: false,
            admitting: FuturesOrdered::new(),
            sends: FuturesUnordered::new(),
            requests: VecDeque::new(),
            request: None,
            watched: Arc::default(),
            typed: Vec::new(),
            drain_by: None,
        }
    }

    async fn serve(&mut self, connection: &mut Connection) -> End {
        // One timer for all turns: to enter one and take it out again costs more than to keep it.
        let alarm = sleep_until(connection.due());
        tokio::pin!(alarm);
        loop {
            if self.is_behind && self.pulling.is_none() {
                self.pulling = Some(self.pull(Duration::ZERO));
            }
            if self.request.is_none()
                && let Some(request) = self.requests.pop_front()
            {
                self.request = Some(self.carry_out(request));
            }
            if self.drain_by.is_some() && self.is_finished() {
                return End::Close(CloseCode::Restart);
            }
            let sends = self.admitting.len() + self.sends.len() + self.tracker.waiting();
            let is_open = sends < MAX_IN_FLIGHT
                && self.requests.len() < MAX_IN_FLIGHT
                && self.drain_by.is_none();
            let due = self.drain_by.map_or(connection.due(), |by| by.min(connection.due()));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            let step = tokio::select! {
                batch = self.socket.mailbox.take() => self.deliver(connection, batch).await,
                pulled = joined(&mut self.pulling), if self.pulling.is_some() => {
                    self.pulling = None;
                    self.pulled(connection, pulled).await
                }
                Some(admission) = self.admitting.next() => {
                    let refused = self.commit(admission);
                    connection.write(refused, &self.socket.mailbox).await
                }
                Some(outcome) = self.sends.next() => {
                    let frame = self.tracker.settle(outcome);
                    connection.write(frame, &self.socket.mailbox).await
                }
                frames = joined(&mut self.request), if self.request.is_some() => {
                    self.request = None;
                    connection.write(frames.unwrap_or_default(), &self.socket.mailbox).await
                }
                inbound = connection.recv(), if is_open => match inbound {
                    Ok(Inbound::Text(text)) => self.accept(connection, &text).await,
                    Ok(Inbound::Binary) => Err(End::Close(CloseCode::NoProtocol)),
                    Ok(Inbound::Life) => Ok(()),
                    Err(end) => Err(end),
                },
                () = &mut alarm => match self.drain_by {
                    Some(by) if by <= Instant::now() => Err(End::Close(CloseCode::Restart)),
                    _ => connection.heartbeat(&self.socket.mailbox).await,
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Whether everything that the client asked for was answered.
    fn is_finished(&self) -> bool {
        self.admitting.is_empty()
            && self.sends.is_empty()
            && self.requests.is_empty()
            && self.request.is_none()
            && self.tracker.is_settled()
    }

    /// Writes what waited in the mailbox.
    async fn deliver(&mut self, connection: &mut Connection, batch: Batch) -> Result<(), End> {
        if let Some(code) = batch.close {
            return Err(End::Close(code));
        }
        if batch.drain {
            self.drain_by = Some(Instant::now() + DRAIN_WAIT);
        }
        if batch.reset {
            // What is being read belongs to the past.
            self.pulling = None;
            self.is_lost = true;
        }
        let mut frames = Vec::with_capacity(batch.frames.len());
        for frame in batch.frames {
            match frame {
                // Read again after the reset.
                Outbound::Event(_) if self.is_lost => {}
                // Those before it were dropped for a reset that came while the socket went live: all are read.
                Outbound::Event(event) if event.seq > self.tracker.cursor().next() => {
                    self.is_behind = true;
                }
                Outbound::Event(event) => self.tracker.show(&event, &mut frames),
                Outbound::Notice(text) => frames.push(text),
            }
        }
        self.is_behind |= batch.pull || batch.reset;
        connection.write(frames, &self.socket.mailbox).await?;
        if let Some(since) = batch.since {
            metrics::histogram!("imserver_delivery_seconds").record(since.elapsed());
        }
        Ok(())
    }

    /// Writes a page that was read, and goes live at the end of the timeline.
    async fn pulled(
        &mut self,
        connection: &mut Connection,
        pulled: Option<Result<Pulled, StoreError>>,
    ) -> Result<(), End> {
        match pulled {
            Some(Ok(Pulled::Events { frames: events, is_end })) => {
                let mut frames = Vec::with_capacity(events.len());
                for event in events {
                    self.tracker.show(&event, &mut frames);
                }
                connection.write(frames, &self.socket.mailbox).await?;
                if is_end {
                    let cursor = self.tracker.cursor();
                    self.is_behind = !self.service.delivery.go_live(&self.socket, cursor);
                }
                Ok(())
            }
            Some(Ok(Pulled::Reset { epoch, last })) => self.reset(connection, epoch, last).await,
            failed => {
                if let Some(Err(error)) = failed {
                    tracing::warn!(user = %self.socket.user, %error, "timeline not read, later again");
                }
                self.pulling = Some(self.pull(PULL_RETRY));
                Ok(())
            }
        }
    }

    /// Tells the client to load anew, and goes on from the end of the timeline.
    async fn reset(
        &mut self,
        connection: &mut Connection,
        epoch: Epoch,
        last: Seq,
    ) -> Result<(), End> {
        let frames = self.tracker.restart(last);
        metrics::counter!("imserver_resets_total").increment(1);
        let reset = ServerFrame::Reset { epoch, last_seq: last }.encode();
        self.is_behind = true;
        self.is_lost = false;
        connection.write(std::iter::once(reset).chain(frames), &self.socket.mailbox).await
    }

    fn pull(&self, wait: Duration) -> JoinHandle<Result<Pulled, StoreError>> {
        let delivery = Arc::clone(&self.service.delivery);
        let socket = Arc::clone(&self.socket);
        let (after, is_lost) = (self.tracker.cursor(), self.is_lost);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if is_lost {
                delivery.begin_anew(&socket).await
            } else {
                delivery.pull(&socket, after).await
            }
        })
    }

    /// Begins the request of a frame.
    async fn accept(&mut self, connection: &mut Connection, text: &str) -> Result<(), End> {
        let Some((kind, fields)) = read_frame(text) else {
            return Err(End::Close(CloseCode::NoProtocol));
        };
        let max_chars = self.service.settings.chat.max_content_chars;
        let frame = match Request::read(&kind, &fields, self.socket.user, max_chars) {
            Ok(Request::Ping) => Some(ServerFrame::Pong.encode()),
            Ok(Request::Send(send)) => {
                let key = send.contents.client_msg_id.clone();
                self.tracker.open(&key);
                let admitted = self.service.messaging.admit_send(self.socket.user, send);
                let mut admission = Box::pin(async move { (key, admitted.await) });
                // Nearly always no rule waits, and no earlier send does.
                let at_once = self.admitting.is_empty().then(|| (&mut admission).now_or_never());
                if let Some(admission) = at_once.flatten() {
                    self.commit(admission)
                } else {
                    self.admitting.push_back(admission);
                    None
                }
            }
            Ok(Request::Typing { to }) if !self.may_type(to) => None,
            Ok(request) => {
                self.requests.push_back(request);
                None
            }
            Err(bad) => Some(ServerFrame::fault(&bad.fault, bad.client_msg_id.as_ref()).encode()),
        };
        connection.write(frame, &self.socket.mailbox).await
    }

    /// Queues an admitted send for its commit. Returns the error frame of one that was refused.
    fn commit(&mut self, (key, admitted): Admission) -> Option<Text> {
        match admitted.and_then(|admitted| self.service.messaging.commit(admitted)) {
            Ok(sending) => {
                self.sends.push(Box::pin(async move { (key, sending.done().await) }));
                None
            }
            Err(error) => self.tracker.settle((key, Err(error))),
        }
    }

    /// Commits the admitted sends among those that were read before the socket ended. Takes no longer than
    /// admission does.
    async fn commit_rest(&mut self) {
        while let Some(admission) = self.admitting.next().await {
            self.commit(admission);
        }
    }

    /// Whether a `typing` may go there now.
    fn may_type(&mut self, to: Destination) -> bool {
        self.typed.retain(|(_, at)| at.elapsed() < TYPING_PAUSE);
        let may = self.typed.len() < MAX_TYPED && self.typed.iter().all(|(other, _)| *other != to);
        if may {
            self.typed.push((to, Instant::now()));
        }
        may
    }

    fn carry_out(&self, request: Request) -> JoinHandle<Vec<Text>> {
        let service = Arc::clone(&self.service);
        let (socket, watched) = (Arc::clone(&self.socket), Arc::clone(&self.watched));
        tokio::spawn(async move {
            let done = requests::carry_out(&service, &socket, &watched, request).await;
            done.unwrap_or_else(|error| vec![ServerFrame::fault(&error, None).encode()])
        })
    }
}
