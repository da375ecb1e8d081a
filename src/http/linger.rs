//! The requests of one connection: whether the next one is awaited, and which bytes of them are unread.
//!
//! A kernel that closes a connection with unread bytes resets it, and a reset destroys the answer that is on
//! its way. A load balancer that is still sending then takes the replica for dead, and sends the same to the
//! next one. So unread bytes are read and dropped before a connection closes, up to a limit.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    BoxError,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    idle_connections::{IdleConnections, Slot},
    progress::Progress,
};

/// How many bytes of a body are read away after its request was answered, so that the connection can
/// take the next one.
const DRAIN_BYTES: usize = 4 * 1024 * 1024;

/// How long reading a body away may take. Its client has the answer meanwhile.
const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// How long, and how many bytes, a connection that the service closes is read on for the client to close
/// it too. A body that was announced as too large comes here whole.
const LINGER_WAIT: Duration = Duration::from_secs(5);
const LINGER_BYTES: u64 = 8 * 1024 * 1024;

/// What the requests of one connection share.
pub(super) struct Requests {
    /// Cancelled where the connection has to make room.
    pub(super) evicted: CancellationToken,
    idle: Arc<IdleConnections>,
    /// Held while the next request is awaited.
    slot: Mutex<Option<Slot>>,
    progress: Progress,
    /// How many bytes had been read when the last request that came whole had come.
    whole: AtomicU64,
    /// Whether the connection ends with the next answer.
    is_last: AtomicBool,
}

impl Requests {
    /// Those of a connection that has just been accepted.
    pub(super) fn new(idle: &Arc<IdleConnections>, progress: Progress) -> Arc<Self> {
        let evicted = CancellationToken::new();
        Arc::new(Self {
            slot: Mutex::new(Some(idle.enter(&evicted))),
            idle: Arc::clone(idle),
            evicted,
            progress,
            whole: AtomicU64::new(0),
            is_last: AtomicBool::new(false),
        })
    }

    /// Takes a request of which the head has come.
    pub(super) fn begin(self: &Arc<Self>, request: Request<Incoming>) -> Request<RequestBody> {
        let is_held_back = request.headers().contains_key(header::EXPECT);
        request.map(|body| {
            let (slot, requests) = (self.slot.lock().take(), Arc::clone(self));
            let mut body = RequestBody { body: Some(body), slot, is_held_back, requests };
            if body.is_end_stream() {
                body.end();
            }
            body
        })
    }

    /// Completes the answer to a request, and waits for the next one.
    pub(super) fn answer(&self, answer: &mut Response) {
        if self.is_last.load(Ordering::Relaxed) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        // A socket has deadlines of its own.
        let is_socket = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !is_socket && !self.evicted.is_cancelled() {
            *self.slot.lock() = Some(self.idle.enter(&self.evicted));
        }
    }

    /// Whether a request is being received or answered.
    pub(super) fn is_busy(&self) -> bool {
        self.slot.lock().is_none()
    }

    fn came_whole(&self) {
        self.whole.store(self.progress.bytes_read(), Ordering::Relaxed);
    }

    /// Closes a connection whose HTTP is over, so that its last answer arrives.
    pub(super) async fn close(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        if self.progress.bytes_read() == self.whole.load(Ordering::Relaxed) {
            // Nothing is unread of a client that waits between two requests.
            return;
        }
        let linger = async {
            stream.shutdown().await?;
            let mut rest = stream.take(LINGER_BYTES);
            while rest.read(&mut [0; 4096]).await? > 0 {}
            io::Result::Ok(())
        };
        // It ends in any case; whether by the client, a reset or the clock makes no difference.
        let _ = timeout(LINGER_WAIT, linger).await;
    }
}

/// The body of a request. The connection is idle until all of it has come. What its route does not read of
/// it is read away.
pub(super) struct RequestBody {
    /// `None` once all of it has come.
    body: Option<Incoming>,
    slot: Option<Slot>,
    /// The client waits for `100 Continue` before it sends anything. The first read causes that.
    is_held_back: bool,
    requests: Arc<Requests>,
}

impl RequestBody {
    fn end(&mut self) {
        self.slot = None;
        self.body = None;
        self.requests.came_whole();
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if self.is_held_back || body.size_hint().lower() > DRAIN_BYTES as u64 {
            self.requests.is_last.store(true, Ordering::Relaxed);
            return;
        }
        let requests = Arc::clone(&self.requests);
        // It ends with the connection at the latest.
        tokio::spawn(async move {
            if timeout(DRAIN_WAIT, drain(body)).await == Ok(true) {
                requests.came_whole();
            }
        });
    }
}

/// Reads a body away. `true`: all of it came.
async fn drain(mut body: Incoming) -> bool {
    let mut left = DRAIN_BYTES;
    while let Some(frame) = body.frame().await {
        let length = frame.map_or(usize::MAX, |frame| frame.data_ref().map_or(0, Bytes::len));
        let Some(rest) = left.checked_sub(length) else { return false };
        left = rest;
    }
    true
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.requests.evicted.is_cancelled() {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        }
        self.is_held_back = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if frame.is_none() || body.is_end_stream() {
            self.end();
        } else if matches!(frame, Some(Err(_))) {
            self.slot = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
