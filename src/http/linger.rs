//! The end of a connection and of requests that nobody has read whole.
//!
//! A kernel that closes a connection with bytes unread resets it, and a reset destroys the answer that
//! is on its way. A load balancer that still sends then takes the replica for dead, and tries the next
//! one with the same. So what nobody reads is read away before a connection closes, within bounds.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
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

/// What is left of a request that was answered.
pub(super) enum Leftover {
    /// A body that may be read away.
    Drain(Incoming),
    /// A body that is too long, or that the client sends only if it is asked to: the connection ends.
    Close,
}

impl Leftover {
    /// `is_awaited`: the client waits for a word before it sends the body.
    pub(super) fn of(body: Incoming, is_awaited: bool) -> Self {
        if is_awaited || body.size_hint().lower() > DRAIN_BYTES as u64 {
            Self::Close
        } else {
            Self::Drain(body)
        }
    }
}

/// Reads a body away. `true`: all of it came.
pub(super) async fn drain(mut body: Incoming) -> bool {
    let mut left = DRAIN_BYTES;
    let drain = async {
        while let Some(frame) = body.frame().await {
            let length = frame.map_or(usize::MAX, |frame| frame.data_ref().map_or(0, Bytes::len));
            let Some(rest) = left.checked_sub(length) else { return false };
            left = rest;
        }
        true
    };
    timeout(DRAIN_WAIT, drain).await.unwrap_or(false)
}

/// What outlives the HTTP of a connection.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Whether bytes came after the last request that came whole.
    is_within: AtomicBool,
    stream: Mutex<Option<TcpStream>>,
}

impl Remains {
    /// Notes that a request has come whole.
    pub(super) fn request_ended(&self) {
        self.is_within.store(false, Ordering::Relaxed);
    }

    /// Closes the connection so that its last answer arrives. Only after its HTTP is over.
    pub(super) async fn close(&self) {
        let stream = self.stream.lock().take();
        // Nothing is unread of a client that waits between two requests.
        let Some(mut stream) = stream.filter(|_| self.is_within.load(Ordering::Relaxed)) else {
            return;
        };
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

/// A connection lent to the HTTP library, which gives it back by dropping it.
#[derive(Debug)]
pub(super) struct Lent {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    remains: Arc<Remains>,
}

impl Lent {
    pub(super) fn new(stream: TcpStream) -> (Self, Arc<Remains>) {
        let remains = Arc::new(Remains::default());
        (Self { stream: Some(stream), remains: Arc::clone(&remains) }, remains)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.remains.stream.lock() = self.stream.take();
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream()?.poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.remains.is_within.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
