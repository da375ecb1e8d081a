//! The contract about keys of chats: whoever decides about a chat takes its key first, so that of several replicas
//! one decides, and a repeat gets the same answer.

use std::time::Duration;

use async_trait::async_trait;

use super::{NewChat, RequestDigest, StoreError};
use crate::{
    clock::Timestamp,
    domain::{ClientMsgId, Content, ConversationId, Destination, UserId, UserName},
};

/// How long a verdict is remembered: a repeat of its key gets the same answer.
pub const VERDICT_KEPT: Duration = Duration::from_hours(7 * 24);

/// What is asked about: a sender's key, and what the sender wants under it.
#[derive(Clone, Debug)]
pub struct WantedKey {
    /// The sender.
    pub sender: UserId,
    /// The sender's key for the chat.
    pub key: ClientMsgId,
    /// The user or the conversation that the chat is for.
    pub destination: Destination,
    /// Stands for all else that the sender asked for.
    pub digest: RequestDigest,
}

impl WantedKey {
    /// What this chat's sender wants.
    pub fn of(chat: &NewChat) -> Self {
        let NewChat { sender, destination, client_msg_id, .. } = chat;
        let (sender, destination, key) = (*sender, *destination, client_msg_id.clone());
        Self { sender, key, destination, digest: chat.digest() }
    }
}

/// Why a chat was refused, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable word.
    pub code: String,
    /// What was wrong, for the sender to read.
    pub detail: String,
}

/// That a chat may be sent, whose key was taken.
#[derive(Clone, Debug)]
pub struct AllowedKey {
    /// The sender.
    pub sender: UserId,
    /// The sender's key for the chat.
    pub key: ClientMsgId,
    /// Until when the key was taken.
    pub until: Timestamp,
    /// What the chat says in place of what was asked for.
    pub content: Option<Content>,
}

/// How far a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The caller has it now, until this time: nobody else asks about it. What is known of the chat.
    Taken(Timestamp, Preview),
    /// Somebody asks about it, or about something else under it.
    Asked,
    /// It is held back until somebody decides.
    Held,
    /// It was refused.
    Refused(Refusal),
    /// It may be sent, with this content if there is one.
    Allowed(Option<Content>),
    /// A chat is committed under it, or cannot be sent there: a commit tells.
    Commit,
    /// Its sender wants something else under it than before.
    Reused,
}

/// What is known of a chat before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Its conversation, if that has begun.
    pub conversation: Option<ConversationId>,
    /// What its sender is called here, and by the company's own back end.
    pub sender: (UserName, Option<String>),
    /// The receiver in a direct conversation, called likewise.
    pub target: Option<(UserId, UserName, Option<String>)>,
}

/// Keys of chats about which somebody decides.
///
/// A key is at one caller at a time: of several that claim it at once, on whichever replica, one takes it. It is
/// free again once it is freed, or its time is over and no verdict was noted.
#[async_trait]
pub trait ChatKeys {
    /// Takes each of these keys for `lease`, unless something is known of it, or its chat cannot be sent there. One
    /// under which something else may be sent, and was not, is free. Answers in their order. After an error some may be
    /// taken all the same.
    async fn claim_keys(
        &self,
        wanted: &[WantedKey],
        lease: Duration,
    ) -> Result<Vec<KeyState>, StoreError>;

    /// How far these keys are, in their order. None is taken by that. [`KeyState::Asked`] as well if nothing is known
    /// of one, or its chat is being released.
    async fn key_states(&self, wanted: &[WantedKey]) -> Result<Vec<KeyState>, StoreError>;

    /// Whether there are keys that are held or were refused.
    async fn has_decided_keys(&self) -> Result<bool, StoreError>;

    /// Frees a key that was taken until `until`, unless it is somebody else's by now.
    async fn free_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Notes of keys that were taken and are nobody else's by now that their chats may be sent. Forgets those
    /// under which a chat is committed; the others are remembered for [`VERDICT_KEPT`].
    async fn allow_keys(&self, allowed: &[AllowedKey]) -> Result<(), StoreError>;

    /// Refuses the chat of a key that was taken until `until`, unless it is somebody else's by now. Remembered
    /// for [`VERDICT_KEPT`].
    async fn refuse_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
        refusal: &Refusal,
    ) -> Result<(), StoreError>;

    /// Forgets at most `limit` keys whose time was over before `before`. Returns how many.
    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
