//! Where the bytes of media are: a folder, or a bucket of S3.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use tokio::time::timeout;

use crate::{config::MediaUrl, domain::MediaId};

/// How long storing or deleting one thing may take, with what is tried again.
const WORK_WAIT: Duration = Duration::from_secs(30);

/// How long the first bytes of a read may take.
const READ_WAIT: Duration = Duration::from_secs(10);

/// What S3 is asked with, unless the environment or the URL says otherwise: a slow phone may take its time
/// over a large file, a silent server may not.
const S3_DEFAULTS: [(&str, &str); 3] =
    [("connect_timeout", "5 seconds"), ("read_timeout", "10 seconds"), ("timeout", "10 minutes")];

/// What is stored of one upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The thing itself.
    Original,
    /// The thumbnail of a picture.
    Thumb,
}

impl Variant {
    /// Its word in URLs and in the storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Thumb => "thumb",
        }
    }

    /// Reads the word; `None` if it is another one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Original, Self::Thumb].into_iter().find(|variant| variant.as_str() == word)
    }
}

/// Why the storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A setting that no storage can be made of.
    #[error("setting `media.url`: {0}")]
    Setting(object_store::Error),
    /// Its folder cannot be made.
    #[error("the folder of `media.url` cannot be made")]
    NoFolder,
    /// It did not answer as it should.
    #[error("the media storage is not available: {0}")]
    Unavailable(object_store::Error),
    /// It did not answer in time.
    #[error("the media storage did not answer in time")]
    TimedOut,
}

/// The storage. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Storage {
    /// `None`: its folder cannot be made, which is found out at the start and said there.
    objects: Option<Arc<dyn ObjectStore>>,
    prefix: Path,
}

impl Storage {
    /// The storage at a URL; credentials of S3 are those of the environment, `AWS_*`. Chats do not need it: a
    /// folder that cannot be made is logged, and a bucket is not asked yet.
    pub fn open(url: &MediaUrl) -> Result<Self, StorageError> {
        let (objects, prefix): (Option<Arc<dyn ObjectStore>>, &str) = match url {
            MediaUrl::Folder(folder) => match std::fs::create_dir_all(folder) {
                Ok(()) => {
                    let files = LocalFileSystem::new_with_prefix(folder);
                    let files = files.map_err(StorageError::Setting)?.with_fsync(true);
                    (Some(Arc::new(files)), "")
                }
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(%error, %folder, "uploads are refused: the folder of media.url cannot be made");
                    (None, "")
                }
            },
            MediaUrl::S3 { bucket, prefix, options } => {
                // An error means that the process has chosen a provider already, which is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let bucket = s3(bucket, options).map_err(StorageError::Setting)?;
                (Some(Arc::new(bucket)), prefix)
            }
        };
        let prefix =
            Path::from_url_path(prefix).map_err(|error| StorageError::Setting(error.into()))?;
        Ok(Self { objects, prefix })
    }

    /// Stores bytes; when it returns, they are there for good.
    pub async fn put(
        &self,
        id: MediaId,
        variant: Variant,
        bytes: Bytes,
    ) -> Result<(), StorageError> {
        let (objects, path) = (self.objects()?, self.path(id, variant));
        in_time("put", WORK_WAIT, objects.put(&path, PutPayload::from(bytes))).await?;
        Ok(())
    }

    /// Some of the bytes, as they come; `None` if they are not there.
    pub async fn read(
        &self,
        id: MediaId,
        variant: Variant,
        range: std::ops::Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, StorageError>>>, StorageError> {
        let (objects, path) = (self.objects()?, self.path(id, variant));
        let options = object_store::GetOptions::new().with_range(Some(range));
        match in_time("get", READ_WAIT, objects.get_opts(&path, options)).await {
            Ok(found) => {
                let stream = found.into_stream().map(|part| {
                    part.map_err(|error| noted("get", StorageError::Unavailable(error)))
                });
                Ok(Some(stream.boxed()))
            }
            Err(StorageError::Unavailable(object_store::Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes all that is stored of an upload. What is not there is as good.
    pub async fn delete(&self, id: MediaId) -> Result<(), StorageError> {
        for variant in [Variant::Original, Variant::Thumb] {
            let (objects, path) = (self.objects()?, self.path(id, variant));
            match in_time("delete", WORK_WAIT, objects.delete(&path)).await {
                Ok(()) | Err(StorageError::Unavailable(object_store::Error::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn objects(&self) -> Result<&dyn ObjectStore, StorageError> {
        self.objects.as_deref().ok_or(StorageError::NoFolder)
    }

    /// Spread over folders by the beginning of the id.
    fn path(&self, id: MediaId, variant: Variant) -> Path {
        let id = id.to_string();
        let name = format!("{id}.{}", variant.as_str());
        self.prefix.clone().join(&id[..2]).join(name)
    }
}

fn s3(
    bucket: &str,
    options: &[(String, String)],
) -> object_store::Result<object_store::aws::AmazonS3> {
    let mut builder = AmazonS3Builder::new();
    for (key, value) in S3_DEFAULTS {
        builder = builder.with_config(key.parse()?, value);
    }
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    for (key, value) in environment {
        if !key.starts_with("AWS_") || value.is_empty() {
            continue;
        }
        // The environment has variables for other programs, too.
        if let Ok(key) = key.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    for (key, value) in options {
        let is_plain = value.starts_with("http://");
        builder = builder.with_config(key.parse()?, value);
        if key == "endpoint" && is_plain {
            builder = builder.with_allow_http(true);
        }
    }
    builder.with_bucket_name(bucket).build()
}

async fn in_time<T>(
    what: &'static str,
    wait: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> Result<T, StorageError> {
    match timeout(wait, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error @ object_store::Error::NotFound { .. })) => {
            Err(StorageError::Unavailable(error))
        }
        Ok(Err(error)) => Err(noted(what, StorageError::Unavailable(error))),
        Err(_) => Err(noted(what, StorageError::TimedOut)),
    }
}

/// Counts a failure.
fn noted(what: &'static str, error: StorageError) -> StorageError {
    metrics::counter!("imserver_media_storage_errors_total", "work" => what).increment(1);
    error
}
