//! All that is kept of a user, as one tar: JSON, and the user's pictures, voice and files.

mod archive;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use self::archive::Archive;
use crate::{
    clock::{Clock, Timestamp},
    domain::{Media, MediaShape, UserId},
    media::{Storage, StorageError, Variant},
    protocol::fault::ApiError,
    store::{ExportPart, ExportedUser, Store, StoreError},
};

/// How many archives are written at once. Each keeps a few MiB in memory.
const AT_ONCE: usize = 4;

/// After how long somebody who found no place may try again.
const RETRY: Duration = Duration::from_secs(10);

/// How many chunks wait for the reader.
const CHUNKS: usize = 2;

/// How many records are read at once.
const PAGE: u32 = 100;

/// The most records of a file.
const FILE_RECORDS: usize = 1_000;

/// A file of so many bytes gets no further record.
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// How long the storage may take for the next bytes of an upload.
const BYTES_WAIT: Duration = Duration::from_secs(10);

/// The lists, and what their files are called.
const PARTS: [(ExportPart, &str); 8] = [
    (ExportPart::Sessions, "sessions"),
    (ExportPart::Conversations, "conversations"),
    (ExportPart::Stretches, "stretches"),
    (ExportPart::Hidden, "hidden"),
    (ExportPart::Chats, CHATS),
    (ExportPart::Blocks, "blocks"),
    (ExportPart::Reports, "reports"),
    (ExportPart::Held, "held"),
];

/// The list that has a number in the name of its first file, too.
const CHATS: &str = "chats";

/// Why there is no archive, or no end of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// Too many are being written.
    #[error("too many users are being exported")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage of media failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The storage has other bytes than the database says.
    #[error("an upload has another size than it should")]
    WrongSize,
    /// What the database says of an upload is no JSON.
    #[error("the description of an upload cannot be written: {0}")]
    Description(serde_json::Error),
    /// Nobody reads the archive any more.
    #[error("the archive is not read to its end")]
    Abandoned,
    /// The writer ended without a word.
    #[error("the writing of the archive broke off")]
    BrokenOff,
}

/// Tells the client, and logs what the client is not told.
impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NotFound => Self::user_not_found(),
            ExportError::Busy => {
                Self { retry_after: Some(RETRY), ..Self::unavailable(error.to_string()) }
            }
            ExportError::Store(error) => error.into(),
            ExportError::Storage(error) => error.into(),
            ExportError::WrongSize
            | ExportError::Description(_)
            | ExportError::Abandoned
            | ExportError::BrokenOff => {
                tracing::error!(%error, "answered as an internal error");
                Self::internal()
            }
        }
    }
}

/// Exports users. Clones share the places.
#[derive(Clone)]
pub struct Exporter {
    store: Arc<dyn Store>,
    storage: Storage,
    clock: Clock,
    places: Arc<Semaphore>,
}

impl Exporter {
    /// An exporter over these parts.
    pub fn new(store: Arc<dyn Store>, storage: Storage, clock: Clock) -> Self {
        Self { store, storage, clock, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Finds the user, and begins an archive, of which nothing is written yet.
    pub async fn begin(&self, id: UserId) -> Result<Export, ExportError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ExportError::Busy)?;
        let user = self.store.exported_user(id).await?.ok_or(ExportError::NotFound)?;
        let (store, storage) = (Arc::clone(&self.store), self.storage.clone());
        Ok(Export { id, user, store, storage, at: self.clock.now(), _place: place })
    }
}

/// The export of a user, which has begun.
pub struct Export {
    id: UserId,
    user: ExportedUser,
    store: Arc<dyn Store>,
    storage: Storage,
    at: Timestamp,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The archive. Whatever goes wrong is its last item: only a whole archive ends without an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ExportError>> + Send + 'static {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::spawn(async move {
            let archive = Archive::new(sender, self.at);
            if let Err(error) = self.write(&archive).await {
                archive.fail(error).await;
            }
        });
        archive::read(receiver)
    }

    async fn write(&self, archive: &Archive) -> Result<(), ExportError> {
        let record = format!("{}\n", self.user.record);
        archive.file("user.json", record.into()).await?;
        if let Some(hash) = &self.user.avatar
            && let Some((content_type, picture)) = self.store.avatar(hash).await?
        {
            let name = format!("avatar.{}", extension_of_type(&content_type));
            archive.file(&name, picture).await?;
        }
        for (part, name) in PARTS {
            self.write_part(archive, part, name).await?;
        }
        self.write_uploads(archive).await?;
        archive.end().await
    }

    async fn write_part(
        &self,
        archive: &Archive,
        part: ExportPart,
        name: &'static str,
    ) -> Result<(), ExportError> {
        let mut list = List::new(archive, name);
        let mut after = None;
        loop {
            let page = self.store.export_page(self.id, part, after.as_ref(), PAGE).await?;
            for record in page.records {
                list.add(&record).await?;
            }
            after = page.next;
            if after.is_none() {
                return list.end().await;
            }
        }
    }

    /// Writes the uploads, each before its record.
    async fn write_uploads(&self, archive: &Archive) -> Result<(), ExportError> {
        let mut list = List::new(archive, "media");
        let mut after = None;
        loop {
            let page = self.store.uploads(self.id, after, PAGE).await?;
            for (media, since) in &page {
                let file = self.write_upload(archive, media).await?;
                let record = description(media, *since, file);
                list.add(&record.map_err(ExportError::Description)?).await?;
            }
            after = page.last().map(|(media, _)| media.id);
            if after.is_none() {
                return list.end().await;
            }
        }
    }

    /// Writes the bytes of an upload. Returns the name of the file; `None` if the storage has them no more.
    async fn write_upload(
        &self,
        archive: &Archive,
        media: &Media,
    ) -> Result<Option<String>, ExportError> {
        let Media { id, size, .. } = *media;
        let Some(mut bytes) = self.storage.read(id, Variant::Original, 0..size).await? else {
            tracing::warn!(media = %id, "exported without its bytes: the storage has none");
            return Ok(None);
        };
        let name = format!("media/{id}.{}", extension(media));
        archive.begin_file(&name, size).await?;
        let mut left = size;
        let late = |_| StorageError::TimedOut;
        while let Some(chunk) = timeout(BYTES_WAIT, bytes.next()).await.map_err(late)? {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len() as u64).ok_or(ExportError::WrongSize)?;
            archive.write(chunk).await?;
        }
        if left > 0 {
            return Err(ExportError::WrongSize);
        }
        archive.end_file(size).await?;
        Ok(Some(name))
    }
}

/// Records that are written as files of JSON lines: at least one file, and another one when it is full.
struct List<'a> {
    archive: &'a Archive,
    name: &'static str,
    files: u32,
    records: usize,
    text: String,
}

impl<'a> List<'a> {
    fn new(archive: &'a Archive, name: &'static str) -> Self {
        Self { archive, name, files: 0, records: 0, text: String::new() }
    }

    async fn add(&mut self, record: &str) -> Result<(), ExportError> {
        if self.records >= FILE_RECORDS || self.text.len() >= FILE_BYTES {
            self.flush().await?;
        }
        self.records += 1;
        self.text.push_str(record);
        self.text.push('\n');
        Ok(())
    }

    async fn end(mut self) -> Result<(), ExportError> {
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.files += 1;
        self.records = 0;
        let name = if self.files == 1 && self.name != CHATS {
            format!("{}.jsonl", self.name)
        } else {
            format!("{}-{:05}.jsonl", self.name, self.files)
        };
        self.archive.file(&name, std::mem::take(&mut self.text).into()).await
    }
}

/// An upload as a JSON object: what a chat says of it, and more.
fn description(
    media: &Media,
    since: Timestamp,
    file: Option<String>,
) -> serde_json::Result<String> {
    let mut record: Map<String, Value> = serde_json::from_str(media.body().as_str())?;
    record.insert("kind".to_owned(), media.kind().as_str().into());
    record.insert("createTime".to_owned(), since.to_string().into());
    record.insert("file".to_owned(), file.into());
    serde_json::to_string(&record)
}

/// The extension of an upload's file.
fn extension(media: &Media) -> &str {
    let MediaShape::File { name } = &media.shape else {
        return extension_of_type(&media.content_type);
    };
    let extension = name.as_str().rsplit_once('.').map(|(_, extension)| extension);
    let is_plain = |text: &&str| {
        (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    extension.filter(is_plain).unwrap_or("bin")
}

fn extension_of_type(content_type: &str) -> &'static str {
    match content_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "audio/wav" => "wav",
        _ => "bin",
    }
}
