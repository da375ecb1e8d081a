//! Pictures, voice and files: from an upload to what is served of it.

mod collection;
mod links;
mod prepare;
mod storage;
pub mod voice;
mod worker;

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

pub use collection::keep_collecting;
pub use links::{KEY_KEEPS, MediaLinks, Pass, Refusal};
pub use prepare::{PrepareError, Upload};
pub use storage::{Storage, StorageError, Variant};
pub use worker::Worker;

use self::{prepare::Prepared, worker::Undone};
use crate::{
    domain::{Media, MediaId, MediaKind, MediaShape, UserId},
    limits::Limits,
    protocol::fault::{ApiError, ErrorCode},
    store::{Store, StoreError},
};

/// The most bytes of all uploads that are in memory, whether they arrive, wait or are worked on, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;

/// How many uploads wait for memory, unread, and for how long. nginx waits longer.
const WAITING: usize = 256;
const MEMORY_WAIT: Duration = Duration::from_secs(20);

/// After how long an upload that found no room may be tried again.
const RETRY: Duration = Duration::from_secs(2);

/// The most bytes of an upload with all that is around it in its form.
pub const MAX_FORM_BYTES: u64 = max_bytes(MediaKind::File) + 64 * 1024;

/// How often the keys of URLs are read, besides whenever one is not known.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
const KEYS_PAUSE: Duration = Duration::from_secs(1);

/// The most bytes of an upload.
pub const fn max_bytes(kind: MediaKind) -> u64 {
    const MIB: u64 = 1024 * 1024;
    match kind {
        MediaKind::Image => 10 * MIB,
        MediaKind::Voice => 2 * MIB,
        MediaKind::File => 20 * MIB,
    }
}

/// The use cases around media. Clones share everything.
#[derive(Clone)]
pub struct MediaLibrary {
    store: Arc<dyn Store>,
    storage: Storage,
    worker: Worker,
    links: MediaLinks,
    limits: Limits,
    memory: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    keys_read_at: Arc<Mutex<Option<Instant>>>,
}

/// The right to bring an upload into memory; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _memory: OwnedSemaphorePermit,
}

/// Something to be served.
pub struct Served {
    /// What it is of.
    pub media: Media,
    /// Its size, in bytes.
    pub size: u64,
}

/// Bytes as they come.
pub type ByteStream = BoxStream<'static, Result<Bytes, StorageError>>;

impl MediaLibrary {
    /// The use cases over these parts. The first key is made, unless there is one.
    pub async fn open(
        store: Arc<dyn Store>,
        storage: Storage,
        worker: Worker,
        links: MediaLinks,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let mut keys = store.media_keys().await?;
        if keys.is_empty() {
            store.ensure_media_key(new_secret()).await?;
            keys = store.media_keys().await?;
        }
        links.set_keys(&keys);
        Ok(Self {
            store,
            storage,
            worker,
            links,
            limits,
            memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            keys_read_at: Arc::default(),
        })
    }

    /// What makes URLs.
    pub fn links(&self) -> &MediaLinks {
        &self.links
    }

    /// A place for an upload of this user, to be had before its form is read, which has so many bytes, if
    /// that is known.
    pub async fn place(&self, user: UserId, length: Option<u64>) -> Result<Place, ApiError> {
        if length.is_some_and(|length| length > MAX_FORM_BYTES) {
            return Err(too_large(MediaKind::File));
        }
        let kib = kib(length.unwrap_or(MAX_FORM_BYTES));
        self.limits.may_upload(user, kib)?;
        let _line = self.waiting.try_acquire().map_err(|_| busy("line"))?;
        let memory = Arc::clone(&self.memory).acquire_many_owned(kib);
        let memory = timeout(MEMORY_WAIT, memory).await.map_err(|_| busy("memory"))?;
        // The closing of the semaphore never happens.
        Ok(Place { _memory: memory.map_err(|_| ApiError::internal())? })
    }

    /// Checks an upload and keeps it, to its end, whether or not the client waits. `received` bytes count
    /// against what the user may upload in a day, taken or not.
    pub async fn keep(
        &self,
        user: UserId,
        upload: Upload,
        received: u64,
        place: Place,
    ) -> Result<Media, ApiError> {
        self.limits.uploaded(user, kib(received))?;
        if upload.bytes.len() as u64 > max_bytes(upload.kind) {
            return Err(too_large(upload.kind));
        }
        let library = self.clone();
        let kept = tokio::spawn(async move {
            let kind = upload.kind.as_str();
            let kept = library.keep_to_the_end(user, upload).await;
            drop(place);
            let outcome = match &kept {
                Ok(_) => "kept",
                Err(error) => error.code.as_str(),
            };
            metrics::counter!("imserver_media_uploads_total", "kind" => kind, "outcome" => outcome)
                .increment(1);
            kept
        });
        kept.await.map_err(|_| ApiError::internal())?
    }

    async fn keep_to_the_end(&self, user: UserId, upload: Upload) -> Result<Media, ApiError> {
        let kind = upload.kind;
        let prepared = self.worker.run(kind.as_str(), move || prepare::prepare(upload)).await;
        let Prepared { content_type, bytes, thumb, sha256, shape } = match prepared {
            Ok(prepared) => prepared?,
            Err(Undone::Full) => return Err(busy("work")),
            Err(Undone::Panicked) => return Err(ApiError::internal()),
        };
        let (id, size) = (MediaId::random(), bytes.len() as u64);
        let media = Media { id, owner: user, content_type, size, sha256, shape };
        self.store.begin_media(&media).await?;
        self.storage.put(id, Variant::Original, bytes).await?;
        if let Some(thumb) = thumb {
            self.storage.put(id, Variant::Thumb, thumb).await?;
        }
        if self.store.keep_media(id).await? {
            Ok(media)
        } else {
            tracing::error!("an upload was collected before it was stored");
            Err(ApiError::internal())
        }
    }

    /// What a URL leads to; `None`: nothing any more.
    pub async fn serve(
        &self,
        id: MediaId,
        variant: Variant,
        pass: Pass<'_>,
    ) -> Result<Option<Served>, ApiError> {
        let mut checked = self.links.check(id, variant, pass);
        if checked == Err(Refusal::UnknownKey) && self.may_read_keys() {
            // Another replica has the new key before this one.
            self.read_keys().await?;
            checked = self.links.check(id, variant, pass);
        }
        checked.map_err(|_| {
            ApiError::new(
                ErrorCode::Forbidden,
                "the URL is too old or was not made here; load its chat anew",
            )
        })?;
        let Some(media) = self.store.media(id).await? else { return Ok(None) };
        let size = match (variant, &media.shape) {
            (Variant::Original, _) => media.size,
            (Variant::Thumb, MediaShape::Image { thumb_size, .. }) => *thumb_size,
            (Variant::Thumb, _) => return Ok(None),
        };
        Ok(Some(Served { media, size }))
    }

    /// Some bytes of what is served; `None`: they are not there.
    pub async fn read(
        &self,
        id: MediaId,
        variant: Variant,
        range: Range<u64>,
    ) -> Result<Option<ByteStream>, ApiError> {
        Ok(self.storage.read(id, variant, range).await?)
    }

    /// Reads the keys again and again, for ever.
    pub async fn follow_keys(self) {
        loop {
            tokio::time::sleep(KEYS_INTERVAL).await;
            if let Err(error) = self.read_keys().await {
                tracing::debug!(%error, "the keys of media are not read");
            }
        }
    }

    /// Whether they were not read just now: whoever makes URLs up asks the database nothing.
    fn may_read_keys(&self) -> bool {
        let mut read_at = self.keys_read_at.lock();
        let may = read_at.is_none_or(|at| at.elapsed() >= KEYS_PAUSE);
        if may {
            *read_at = Some(Instant::now());
        }
        may
    }

    async fn read_keys(&self) -> Result<(), StoreError> {
        let keys = self.store.media_keys().await?;
        // A database that was emptied has none: what is known goes on.
        if !keys.is_empty() {
            self.links.set_keys(&keys);
        }
        Ok(())
    }
}

/// Makes a new key for URLs, and returns its number.
pub async fn rotate_key(store: &dyn Store) -> Result<i64, StoreError> {
    store.rotate_media_key(new_secret(), KEY_KEEPS).await
}

fn new_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("the operating system gives randomness");
    secret
}

/// In KiB, rounded up.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// The refusal of an upload that is too large.
pub fn too_large(kind: MediaKind) -> ApiError {
    let most = max_bytes(kind) / 1024 / 1024;
    let detail = format!("an upload of kind `{}` has at most {most} MiB", kind.as_str());
    ApiError::new(ErrorCode::PayloadTooLarge, detail)
}

/// The refusal of an upload that finds no room; `what` is full.
fn busy(what: &'static str) -> ApiError {
    metrics::counter!("imserver_media_refusals_total", "full" => what).increment(1);
    let detail = "too much is being uploaded";
    ApiError { retry_after: Some(RETRY), ..ApiError::unavailable(detail) }
}

impl From<PrepareError> for ApiError {
    fn from(error: PrepareError) -> Self {
        let code = if error.is_unsupported() {
            ErrorCode::UnsupportedMedia
        } else {
            ErrorCode::InvalidMedia
        };
        Self::new(code, error.to_string())
    }
}

/// Tells the client, and logs what the client is not told: this is where such errors end.
impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        tracing::warn!(%error, "answered as unavailable");
        Self::unavailable("the media storage is away")
    }
}
