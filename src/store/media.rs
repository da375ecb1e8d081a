//! The contract about pictures, voice and files that people upload. Their bytes are elsewhere.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use sqlx::FromRow;

use super::{StoreError, error::corrupt};
use crate::{
    clock::Timestamp,
    domain::{FileName, Media, MediaId, MediaKind, MediaShape, UserId},
};

/// What the URLs of media are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaKey {
    /// Rises with each key.
    pub id: i64,
    /// The key itself.
    pub secret: [u8; 32],
    /// When it began to sign, by the database's time.
    pub created_at: Timestamp,
}

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaKey({})", self.id)
    }
}

/// Uploads from the moment before their bytes are stored until after they are deleted.
///
/// Whatever is called concurrently, what a chat shows, sent or held back, is not collected: [`Appends::append`] commits a chat
/// only with what is kept and is not being collected.
///
/// [`Appends::append`]: super::Appends::append
#[async_trait]
pub trait MediaRecords {
    /// Notes an upload whose bytes are about to be stored. If they never are, it is collected.
    async fn begin_media(&self, media: &Media) -> Result<(), StoreError>;

    /// Notes that its bytes are stored: from now on it is found. `false`: it was collected meanwhile.
    async fn keep_media(&self, id: MediaId) -> Result<bool, StoreError>;

    /// What is kept under this id.
    async fn media(&self, id: MediaId) -> Result<Option<Media>, StoreError>;

    /// What a user may send: one's own upload, and what a chat shows that was not recalled, which the user
    /// may read as a member of its conversation.
    async fn sendable_media(&self, user: UserId, id: MediaId) -> Result<Option<Media>, StoreError>;

    /// Takes at most `limit` uploads that no chat has shown since `before`, the oldest first: nobody finds
    /// them any more. Those that an earlier call has taken and nobody has forgotten come again.
    async fn collect_media(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError>;

    /// Forgets uploads that were collected, once their bytes are deleted.
    async fn forget_media(&self, media: &[MediaId]) -> Result<(), StoreError>;

    /// Makes the first key, unless there is one. Replicas that start together may make one each.
    async fn ensure_media_key(&self, secret: [u8; 32]) -> Result<(), StoreError>;

    /// Makes a new key, which signs from now on, and returns its id. Forgets keys that were replaced
    /// longer than `keep` ago.
    async fn rotate_media_key(&self, secret: [u8; 32], keep: Duration) -> Result<i64, StoreError>;

    /// All keys, the newest first.
    async fn media_keys(&self) -> Result<Vec<MediaKey>, StoreError>;
}

/// A row of `media`.
#[derive(FromRow)]
pub(super) struct MediaRow {
    id: MediaId,
    owner_id: UserId,
    kind: String,
    content_type: String,
    size: i64,
    sha256: Vec<u8>,
    width: Option<i32>,
    height: Option<i32>,
    thumb_size: Option<i64>,
    duration_ms: Option<i32>,
    name: Option<String>,
}

impl TryFrom<MediaRow> for Media {
    type Error = sqlx::Error;

    fn try_from(row: MediaRow) -> sqlx::Result<Self> {
        let id = row.id;
        let wrong = || corrupt(format!("media {id} are not what they say"));
        let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
        let shape = match MediaKind::parse(&row.kind) {
            Some(MediaKind::Image) => {
                let sides = number(row.width).zip(number(row.height));
                let thumb_size = row.thumb_size.and_then(|size| u64::try_from(size).ok());
                sides.zip(thumb_size).map(|((width, height), thumb_size)| MediaShape::Image {
                    width,
                    height,
                    thumb_size,
                })
            }
            Some(MediaKind::Voice) => number(row.duration_ms)
                .map(|ms| MediaShape::Voice { duration: Duration::from_millis(ms.into()) }),
            Some(MediaKind::File) => {
                row.name.map(|name| MediaShape::File { name: FileName::stored(name) })
            }
            None => None,
        };
        Ok(Self {
            id,
            owner: row.owner_id,
            content_type: row.content_type,
            size: u64::try_from(row.size).map_err(|_| wrong())?,
            sha256: row.sha256.try_into().map_err(|_| wrong())?,
            shape: shape.ok_or_else(wrong)?,
        })
    }
}

/// A row of `media_keys`.
#[derive(FromRow)]
pub(super) struct KeyRow {
    id: i64,
    secret: Vec<u8>,
    created_at: Timestamp,
}

impl TryFrom<KeyRow> for MediaKey {
    type Error = sqlx::Error;

    fn try_from(KeyRow { id, secret, created_at }: KeyRow) -> sqlx::Result<Self> {
        let secret = secret.try_into().map_err(|_| corrupt("a key of media has another size"))?;
        Ok(Self { id, secret, created_at })
    }
}
