//! When a connection last took bytes, which tells a client that reads slowly from one that reads nothing;
//! and how many bytes it has brought.
//!
//! Not `tokio-io-timeout`: its deadline would also hold for answers over HTTP, and the bytes would still have
//! to be counted here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tokio_util::io::{InspectReader, InspectWriter};

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

/// Notes the progress of a stream. The kernel takes bytes as the peer reads.
pub(super) fn watch<S>(
    stream: S,
) -> (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Progress)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let progress = Progress::new();
    let (reading, writing) = (progress.clone(), progress.clone());
    let stream = InspectReader::new(stream, move |bytes: &[u8]| {
        reading.0.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    let stream =
        InspectWriter::new(stream, move |_: &[u8]| *writing.0.written_at.lock() = Instant::now());
    (stream, progress)
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
        let (mut stream, progress) = watch(stream);
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
