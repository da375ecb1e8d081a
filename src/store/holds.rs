//! The contract about chats that are held back until somebody decides.

use async_trait::async_trait;

use super::{KeyState, NewChat, Refusal, StoreError, Told};
use crate::{clock::Timestamp, domain::HeldId};

/// The word of an event that tells a sender that a held chat was refused.
pub const REFUSED: &str = "refused";

/// A chat that is held back.
#[derive(Clone, Debug)]
pub struct HeldChat {
    /// Rises in the order in which the keys of chats were first seen.
    pub id: HeldId,
    /// The chat.
    pub chat: NewChat,
    /// Since when.
    pub created_at: Timestamp,
}

/// Some chats that are held back.
#[derive(Clone, Debug)]
pub struct HeldPage {
    /// The chats, the oldest first.
    pub chats: Vec<HeldChat>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Chats that are held back.
#[async_trait]
pub trait Holds {
    /// Holds a chat back, whose key may have been taken, and says how far the key is then:
    /// [`KeyState::Held`] if the chat is held now or was before. What it shows is not collected meanwhile.
    async fn hold(&self, chat: &NewChat) -> Result<KeyState, StoreError>;

    /// Chats after `after` that are held, or whose release has not ended, the oldest first.
    async fn held_chats(&self, after: Option<HeldId>, limit: u32) -> Result<HeldPage, StoreError>;

    /// Begins to release a chat: from now on it is not refused by [`Holds::refuse_held`]. `None` if it is not
    /// held. May be repeated until [`Holds::end_release`].
    async fn begin_release(&self, id: HeldId) -> Result<Option<NewChat>, StoreError>;

    /// Forgets a chat that was released and is committed.
    async fn end_release(&self, id: HeldId) -> Result<(), StoreError>;

    /// Refuses a chat that is held, or whose release has failed if `is_releasing`, and tells its sender by the
    /// event [`REFUSED`]. `None` if there is none. Remembered for [`VERDICT_KEPT`](super::VERDICT_KEPT).
    async fn refuse_held(
        &self,
        id: HeldId,
        is_releasing: bool,
        refusal: &Refusal,
    ) -> Result<Option<Told>, StoreError>;
}
