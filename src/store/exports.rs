//! The contract about reading all that is kept of a user.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{AvatarHash, Media, MediaId, UserId},
};

/// A list of what is kept of a user. Its records have neither secrets nor the words of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportPart {
    /// The user's sessions, without their tokens.
    Sessions,
    /// The conversations that the user is or was a member of, with the user's own settings.
    Conversations,
    /// The ranges of chats that the user may still read of groups that the user has left.
    Stretches,
    /// The chats that the user has deleted for oneself.
    Hidden,
    /// The chats that the user has sent, as they are now.
    Chats,
    /// Whom the user has blocked.
    Blocks,
    /// What the user has reported.
    Reports,
    /// The user's chats on which somebody else decides.
    Held,
}

/// The place of a record in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportKey {
    /// By an id.
    Id(i64),
    /// By two ids.
    Ids(i64, i64),
    /// By a text.
    Text(String),
}

/// Some records of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPage {
    /// The records, each a JSON object on one line.
    pub records: Vec<String>,
    /// The place of the last one, if others may follow.
    pub next: Option<ExportKey>,
}

/// What is kept of a user only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedUser {
    /// The user, with the profile, the identities and a restriction: a JSON object on one line.
    pub record: String,
    /// The user's own picture.
    pub avatar: Option<AvatarHash>,
}

/// Reading all that is kept of a user. Each call is a page of its own, and sees what is there at that moment.
#[async_trait]
pub trait Exports {
    /// The user; `None` if there is none, or only an erased one.
    async fn exported_user(&self, user: UserId) -> Result<Option<ExportedUser>, StoreError>;

    /// At most `limit` records of a list after this place.
    async fn export_page(
        &self,
        user: UserId,
        part: ExportPart,
        after: Option<&ExportKey>,
        limit: u32,
    ) -> Result<ExportPage, StoreError>;

    /// At most `limit` uploads of a user that are kept, in ascending id after this one, and since when.
    async fn uploads(
        &self,
        user: UserId,
        after: Option<MediaId>,
        limit: u32,
    ) -> Result<Vec<(Media, Timestamp)>, StoreError>;
}
