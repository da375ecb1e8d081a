//! When a connection last took bytes, which tells a client that reads slowly from one that reads nothing;
//! and how many bytes it has brought.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout_at},
};

/// When bytes were last taken, and how many were read. Clones tell of the same connection.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Moved>);

#[derive(Debug)]
struct Moved {
    written_at: Mutex<Instant>,
    read: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Moved { written_at: Mutex::new(Instant::now()), read: AtomicU64::new(0) }))
    }

    /// How many bytes the peer has sent, as far as they were read.
    pub fn bytes_read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// Waits for a write, however long it takes, unless no byte is taken for `wait`; then `None`.
    pub async fn in_time<T>(&self, wait: Duration, write: impl Future<Output = T>) -> Option<T> {
        let mut write = std::pin::pin!(write);
        // What was taken before says nothing of this write.
        let mut deadline = Instant::now() + wait;
        loop {
            if let Ok(written) = timeout_at(deadline, write.as_mut()).await {
                return Some(written);
            }
            let later = *self.0.written_at.lock() + wait;
            if later <= deadline {
                return None;
            }
            deadline = later;
        }
    }
}

/// A stream whose progress is noted: what the kernel takes, which it does as the peer reads.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
}

impl<S> Watched<S> {
    /// Watches a stream.
    pub(super) fn new(stream: S) -> (Self, Progress) {
        let progress = Progress::new();
        (Self { stream, progress: progress.clone() }, progress)
    }

    fn note(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(written, Ok(1..)) {
            *self.progress.0.written_at.lock() = Instant::now();
        }
        Poll::Ready(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        self.progress.0.read.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes));
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    /// How long it takes until a write of so many bytes is given up, or done, where the peer reads one
    /// of 100 bytes after each of these pauses.
    async fn written(bytes: usize, pauses: &[u64]) -> (bool, Duration) {
        let (peer, stream) = duplex(100);
        let (mut stream, progress) = Watched::new(stream);
        let mut peer = peer;
        let pauses = pauses.to_vec();
        let reading = tokio::spawn(async move {
            for pause in pauses {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                peer.read_exact(&mut [0; 100]).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        // What went well long ago is no excuse.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let begun = Instant::now();
        let done = progress.in_time(WAIT, stream.write_all(&vec![0; bytes])).await.is_some();
        reading.abort();
        (done, begun.elapsed())
    }

    fn secs(elapsed: Duration) -> u64 {
        (elapsed + Duration::from_millis(10)).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_may_take_long_but_not_stand_still() {
        let (done, took) = written(100, &[]).await;
        assert!(done && took.is_zero());
        // Slow, and never slower than one reading in ten seconds.
        let (done, took) = written(600, &[9; 5]).await;
        assert!(done && secs(took) == 45, "{took:?}");
        // Ten seconds after the last byte, not after some later look.
        let (done, took) = written(600, &[]).await;
        assert!(!done && secs(took) == 10, "{took:?}");
        let (done, took) = written(600, &[3, 4]).await;
        assert!(!done && secs(took) == 17, "{took:?}");
        let (done, took) = written(600, &[3, 11]).await;
        assert!(!done && secs(took) == 13, "{took:?}");
    }
}
