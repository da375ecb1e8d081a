//! A tar that is written as a stream of chunks, into a bounded channel.

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use super::ExportError;
use crate::clock::Timestamp;

/// A tar consists of blocks of so many bytes.
const BLOCK: usize = 512;

/// Zeros, to fill a block up, and to end the archive.
static ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What goes through the channel: bytes, why there are no more, or the end. Without either of the last two the
/// writer is gone.
pub(super) type Chunk = Result<Option<Bytes>, ExportError>;

/// The writing end of an archive.
pub(super) struct Archive {
    chunks: mpsc::Sender<Chunk>,
    /// When its files were made.
    at: Timestamp,
}

impl Archive {
    pub(super) fn new(chunks: mpsc::Sender<Chunk>, at: Timestamp) -> Self {
        Self { chunks, at }
    }

    /// Writes a file.
    pub(super) async fn file(&self, name: &str, bytes: Bytes) -> Result<(), ExportError> {
        let size = bytes.len() as u64;
        self.begin_file(name, size).await?;
        self.write(bytes).await?;
        self.end_file(size).await
    }

    /// Begins a file, of which so many bytes are to follow.
    pub(super) async fn begin_file(&self, name: &str, size: u64) -> Result<(), ExportError> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("the names are short and have no root");
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at.as_millis() / 1000).unwrap_or_default());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.write(Bytes::copy_from_slice(header.as_bytes())).await
    }

    /// Writes bytes of the file that has begun.
    pub(super) async fn write(&self, bytes: Bytes) -> Result<(), ExportError> {
        self.send(Ok(Some(bytes))).await
    }

    /// Fills up the last block of a file of this size.
    pub(super) async fn end_file(&self, size: u64) -> Result<(), ExportError> {
        let last = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        if last == 0 {
            return Ok(());
        }
        self.write(Bytes::from_static(&ZEROS[..BLOCK - last])).await
    }

    /// Ends the archive.
    pub(super) async fn end(&self) -> Result<(), ExportError> {
        self.write(Bytes::from_static(&ZEROS)).await?;
        self.send(Ok(None)).await
    }

    /// Says why the archive has no end.
    pub(super) async fn fail(&self, error: ExportError) {
        // Whoever reads no more needs no reason.
        let _ = self.send(Err(error)).await;
    }

    async fn send(&self, chunk: Chunk) -> Result<(), ExportError> {
        self.chunks.send(chunk).await.map_err(|_| ExportError::Abandoned)
    }
}

/// The archive as its writer sends it.
pub(super) fn read(
    chunks: mpsc::Receiver<Chunk>,
) -> impl Stream<Item = Result<Bytes, ExportError>> + Send + 'static {
    stream::try_unfold(chunks, |mut chunks| async {
        let chunk = chunks.recv().await.unwrap_or(Err(ExportError::BrokenOff))?;
        Ok(chunk.map(|bytes| (bytes, chunks)))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures_util::TryStreamExt;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    /// What a writer makes, and how it is read.
    async fn written<W: Future<Output = ()> + Send + 'static>(
        write: impl FnOnce(Archive) -> W,
    ) -> Result<Vec<Bytes>, ExportError> {
        let (sender, receiver) = mpsc::channel(1);
        let writer = tokio::spawn(write(Archive::new(sender, AT)));
        let read = read(receiver).try_collect().await;
        let _ = writer.await;
        read
    }

    #[tokio::test]
    async fn any_tar_reader_reads_the_files() {
        let sizes = [0, 1, 511, 512, 513, 100_000];
        let archive = written(async move |archive| {
            for size in sizes {
                archive.file(&format!("a/{size}"), vec![7; size].into()).await.unwrap();
            }
            archive.end().await.unwrap();
        });
        let bytes = archive.await.unwrap().concat();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut read = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(entry.path().unwrap().to_str().unwrap(), format!("a/{}", content.len()));
            assert_eq!(entry.header().mtime().unwrap(), 1_764_000_000);
            assert!(content.iter().all(|byte| *byte == 7));
            read.push(content.len());
        }
        assert_eq!(read, sizes);
    }

    #[tokio::test]
    async fn an_archive_without_its_end_is_an_error() {
        let failed = written(async |archive| archive.fail(ExportError::WrongSize).await).await;
        assert!(matches!(failed, Err(ExportError::WrongSize)), "{failed:?}");
        let gone = written(async |archive| archive.file("a", "b".into()).await.unwrap()).await;
        assert!(matches!(gone, Err(ExportError::BrokenOff)), "{gone:?}");
    }
}
