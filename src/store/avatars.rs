//! The contract about pictures of users.

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;
use crate::domain::{AvatarHash, User, UserId};

/// Pictures of users. A picture is kept for as long as somebody has it; several users may have the same.
#[async_trait]
pub trait Avatars {
    /// Keeps a picture and makes it the user's. `None` if there is no such user. The picture that it
    /// replaces is deleted, unless somebody else has it. Whatever is called concurrently, nobody has a
    /// picture that is not kept, and none is kept that nobody has.
    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError>;

    /// A picture and its content type.
    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError>;

    /// Looks at no more than `limit` pictures, in the order of their hashes after `after`, and deletes
    /// those that nobody has: earlier versions left some behind. Returns the last hash that it looked
    /// at; `None` if there were none.
    async fn drop_unused_avatars(
        &self,
        after: Option<&AvatarHash>,
        limit: u32,
    ) -> Result<Option<AvatarHash>, StoreError>;
}
