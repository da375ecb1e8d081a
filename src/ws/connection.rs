//! One WebSocket connection: writes with a deadline, closes politely, notices silence, bounds what comes.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout};
use tungstenite::error::CapacityError;

use crate::{
    drain,
    http::progress::Progress,
    hub::Mailbox,
    protocol::{MAX_MESSAGE_BYTES, Text, close::CloseCode},
};

/// Interval of pings.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(25);

/// A socket that receives no frame for so long is closed.
const SILENCE: Duration = Duration::from_mins(1);

/// How long a write may wait without the kernel taking a byte.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// How long the client may take to read the close frame and answer it.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// A socket over its limit of frames for so many seconds in a row is closed.
const FLOOD_SECONDS: u32 = 10;

/// A socket with this many times its limit in one second is closed at once. It is high because a client
/// that reconnects sends its whole outbox, and a replica that was held up reads seconds of frames together.
const BURST: u32 = 50;

/// The most frames within one second where the limits are off.
const UNLIMITED_BURST: u32 = 20_000;

/// The most bytes that one message may take on the wire. Fragments of one byte take seven; those of no
/// byte would never end, and no limit of frames counts them.
const MESSAGE_WIRE_BYTES: u64 = 8 * MAX_MESSAGE_BYTES as u64;

/// What a client's control frame takes on the wire beside its payload: two bytes and the mask.
const CONTROL_HEADER: u64 = 6;

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The service closes it.
    Close(CloseCode),
    /// The client took nothing for too long. It is closed as [`CloseCode::TooSlow`], of which it is
    /// not told: that would have to wait behind the frame.
    WriteTimeout,
    /// The client closed it, or is gone.
    Gone,
}

/// A received frame.
pub(super) enum Inbound {
    /// A text frame within the limit.
    Text(Text),
    /// A binary frame within the limit.
    Binary,
    /// A ping or pong: the client is alive.
    Life,
}

/// The connection of one socket.
pub(super) struct Connection {
    socket: WebSocket,
    progress: Progress,
    received_at: Instant,
    next_ping: Instant,
    flood: Flood,
    /// Whether the library may hold a pong that it has not written yet.
    owes_pong: bool,
    /// Bytes of complete messages, of all that were read.
    received_bytes: u64,
}

impl Connection {
    /// A connection on which at most `frames_per_sec` may come, if there is a limit.
    pub(super) fn new(socket: WebSocket, progress: Progress, frames_per_sec: Option<u32>) -> Self {
        let now = Instant::now();
        Self {
            socket,
            received_at: now,
            next_ping: now + HEARTBEAT,
            flood: Flood::new(frames_per_sec, now),
            owes_pong: false,
            received_bytes: progress.bytes_read(),
            progress,
        }
    }

    /// Waits for a frame. May be dropped without loss.
    ///
    /// Reads nothing while a pong waits for the client to read: the library would go on, and queue a
    /// pong for each further ping. A client that takes no byte of it for [`WRITE_WAIT`] is
    /// [`End::WriteTimeout`].
    pub(super) async fn recv(&mut self) -> Result<Inbound, End> {
        if self.owes_pong {
            let flushed = poll_fn(|cx| Poll::Ready(self.socket.poll_flush_unpin(cx))).await;
            match flushed {
                Poll::Ready(flushed) => flushed.map_err(|_| End::Gone)?,
                Poll::Pending => Box::pin(self.flush()).await?,
            }
            self.owes_pong = false;
        }
        let message = match poll_fn(|cx| self.poll_message(cx)).await? {
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(end_of(error)),
            Some(Ok(message)) => message,
        };
        self.received_at = Instant::now();
        self.owes_pong = matches!(message, Message::Ping(_));
        self.received_bytes = match &message {
            Message::Ping(payload) | Message::Pong(payload) => {
                self.received_bytes + CONTROL_HEADER + payload.len() as u64
            }
            _ => self.progress.bytes_read(),
        };
        if self.flood.count(self.received_at) {
            return Err(End::Close(CloseCode::TooManyFrames));
        }
        match message {
            Message::Text(text) if text.len() > MAX_MESSAGE_BYTES => {
                Err(End::Close(CloseCode::TooBig))
            }
            Message::Text(text) => Ok(Inbound::Text(text)),
            Message::Binary(bytes) if bytes.len() > MAX_MESSAGE_BYTES => {
                Err(End::Close(CloseCode::TooBig))
            }
            Message::Binary(_) => Ok(Inbound::Binary),
            Message::Ping(_) | Message::Pong(_) => Ok(Inbound::Life),
            Message::Close(_) => Err(End::Gone),
        }
    }

    /// Polls for a message. The library is silent about fragments, so their bytes are counted here; it
    /// returns to this after 64 KiB of them at most, when the runtime's budget for one poll is spent.
    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Result<Message, axum::Error>>, End>> {
        let polled = self.socket.poll_next_unpin(cx);
        let unreceived = self.progress.bytes_read().saturating_sub(self.received_bytes);
        if polled.is_pending() && unreceived > MESSAGE_WIRE_BYTES {
            return Poll::Ready(Err(End::Close(CloseCode::TooBig)));
        }
        polled.map(Ok)
    }

    /// Waits until the kernel has taken all that was written. May be dropped without loss.
    async fn flush(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let flushed = self.progress.in_time(WRITE_WAIT, self.socket.flush()).await;
        // Nobody listened meanwhile, so that is not the client's silence.
        self.received_at += begun.elapsed();
        match flushed {
            Some(flushed) => flushed.map_err(|_| End::Gone),
            None => Err(End::WriteTimeout),
        }
    }

    /// When [`Connection::heartbeat`] is due.
    pub(super) fn due(&self) -> Instant {
        self.next_ping.min(self.received_at + SILENCE)
    }

    /// Pings, or ends the socket of a client that has been silent for too long.
    pub(super) async fn heartbeat(&mut self, mailbox: &Mailbox) -> Result<(), End> {
        if self.received_at.elapsed() >= SILENCE {
            return Err(End::Close(CloseCode::Silent));
        }
        self.next_ping = Instant::now() + HEARTBEAT;
        let ping = [Message::Ping(axum::body::Bytes::new())];
        Box::pin(self.write_messages(ping, mailbox)).await
    }

    /// Writes frames, those of one call together. Gives up when the client does not read, or when
    /// the socket is to be closed meanwhile.
    pub(super) async fn write(
        &mut self,
        frames: impl IntoIterator<Item = Text>,
        mailbox: &Mailbox,
    ) -> Result<(), End> {
        let mut messages = frames.into_iter().map(Message::Text);
        // Nearly always the kernel takes all of it at once.
        let tried = poll_fn(|cx| Poll::Ready(self.try_write(&mut messages, cx))).await;
        if let Poll::Ready(written) = tried {
            return written.map_err(|_| End::Gone);
        }
        // Its state is needed for a moment and would be most of what an idle socket keeps.
        Box::pin(self.write_messages(messages, mailbox)).await
    }

    /// Writes and flushes as far as it goes without waiting. [`Poll::Pending`]: what is left of the
    /// messages, and the flush, are to be done.
    fn try_write(
        &mut self,
        messages: &mut impl Iterator<Item = Message>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), axum::Error>> {
        let mut is_fed = false;
        loop {
            // Before a message is taken, so that none is lost.
            ready!(self.socket.poll_ready_unpin(cx))?;
            let Some(message) = messages.next() else { break };
            self.socket.start_send_unpin(message)?;
            is_fed = true;
        }
        if is_fed { self.socket.poll_flush_unpin(cx) } else { Poll::Ready(Ok(())) }
    }

    async fn write_messages(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
        mailbox: &Mailbox,
    ) -> Result<(), End> {
        let begun = Instant::now();
        let socket = &mut self.socket;
        let write = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        // Whoever takes something has time: a long replay or a large frame on a slow line is no slow
        // reader.
        let write = self.progress.in_time(WRITE_WAIT, write);
        let written = tokio::select! {
            // What was begun is finished if it can be: a close may wait for one poll.
            biased;
            written = write => match written {
                Some(Ok(())) => Ok(()),
                Some(Err::<_, axum::Error>(_)) => Err(End::Gone),
                None => Err(End::WriteTimeout),
            },
            code = mailbox.closing() => Err(End::Close(code)),
        };
        // Nobody listened meanwhile, so that is not the client's silence.
        self.received_at += begun.elapsed();
        written
    }

    /// Ends the socket: writes a last frame, says why, and waits a little for the client to read it.
    pub(super) async fn end(mut self, last: Option<Text>, end: End) {
        if end == End::WriteTimeout {
            return;
        }
        let farewell = async {
            if let Some(frame) = last {
                self.socket.feed(Message::Text(frame)).await?;
            }
            if let End::Close(code) = end {
                let frame = CloseFrame { code: code.code(), reason: code.reason().into() };
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            // Whoever closes a connection with bytes unread resets it, and the client may lose the
            // close frame that it has not read yet.
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<_, axum::Error>(())
        };
        let is_restart = end == End::Close(CloseCode::Restart);
        let wait = if is_restart { drain::CLOSE_WAIT } else { CLOSE_WAIT };
        let _ = timeout(wait, farewell).await;
    }
}

fn end_of(error: axum::Error) -> End {
    match error.into_inner().downcast::<tungstenite::Error>().map(|error| *error) {
        Ok(tungstenite::Error::Utf8(_)) => End::Close(CloseCode::BadUtf8),
        Ok(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. })) => {
            End::Close(CloseCode::TooBig)
        }
        _ => End::Gone,
    }
}

/// Counts frames by the second.
struct Flood {
    /// In a second, for seconds on end. None: the limits are off.
    limit: Option<u32>,
    /// In one second.
    burst: u32,
    second: Instant,
    frames: u32,
    over: u32,
}

impl Flood {
    fn new(limit: Option<u32>, now: Instant) -> Self {
        let burst = limit.map_or(UNLIMITED_BURST, |limit| limit.saturating_mul(BURST));
        Self { limit, burst, second: now, frames: 0, over: 0 }
    }

    /// Counts one; `true`: too many at once, or for too long.
    fn count(&mut self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.second).as_secs();
        if elapsed > 0 {
            // A second without frames in between was within the limit.
            let was_over = self.limit.is_some_and(|limit| self.frames > limit) && elapsed == 1;
            self.over = if was_over { self.over + 1 } else { 0 };
            self.second += Duration::from_secs(elapsed);
            self.frames = 0;
        }
        self.frames = self.frames.saturating_add(1);
        self.over >= FLOOD_SECONDS || self.frames > self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_over_the_limit_are_too_many() {
        let mut now = Instant::now();
        let mut flood = Flood::new(Some(20), now);
        for _ in 0..10 * 21 {
            assert!(!flood.count(now));
            now += Duration::from_millis(47);
        }
        assert!((0..30).any(|_| {
            let is_over = flood.count(now);
            now += Duration::from_millis(47);
            is_over
        }));
        let mut calm = Flood::new(Some(20), now);
        for _ in 0..2_000 {
            now += Duration::from_millis(52);
            assert!(!calm.count(now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_too_many_at_once() {
        let now = Instant::now();
        for (limit, burst) in [(Some(20), 1_000), (None, UNLIMITED_BURST)] {
            let mut flood = Flood::new(limit, now);
            assert!((0..burst).all(|_| !flood.count(now)));
            // The next second has room for as many.
            let mut next = Flood { frames: burst, ..Flood::new(limit, now) };
            assert!(!next.count(now + Duration::from_secs(1)));
            assert!(flood.count(now));
        }
    }
}
