//! The contract about conversations that the service itself makes and changes, as a company's own back end
//! asks for it.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{ChatPage, GroupBegun, StoreError, Told, Window};
use crate::domain::{
    Chat, ChatId, ConversationId, ConversationKind, ConversationRef, ExternalId, GroupChange,
    GroupFace, GroupRefusal, GroupRules, GroupTitle, Role, UserId,
};

/// A conversation that a back end wants.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// What the back end calls it: the same id is the same conversation for ever.
    pub external_id: Option<ExternalId>,
    /// The service's own user, in whose name it begins.
    pub service: UserId,
    /// Who is in it.
    pub members: NewMembers,
}

/// Who is in a conversation that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewMembers {
    /// These two, who may be the same user: the direct conversation that they may have had before.
    Direct(UserId, UserId),
    /// A group of these, each with a role. It needs no owner.
    Group {
        /// What it is called.
        title: Option<GroupTitle>,
        /// Its members.
        members: BTreeMap<UserId, Role>,
    },
}

/// A conversation, as a back end sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedConversation {
    /// Which one.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// What the back end calls it.
    pub external_id: Option<ExternalId>,
    /// What its members see of a group.
    pub group: Option<GroupFace>,
    /// Rises with each new chat and each change of one; `None` before the first.
    pub version: Option<ChatId>,
}

/// Conversations as the service itself manages them: it is no member, and no role binds it. Locks and what is told
/// are those of [`Groups`](super::Groups) and [`Recalls`](super::Recalls).
#[async_trait]
pub trait ManagedConversations {
    /// Begins a conversation, and tells the members of a group.
    async fn begin_conversation(&self, new: &NewConversation) -> Result<GroupBegun, StoreError>;

    /// A conversation.
    async fn managed_conversation(
        &self,
        which: &ConversationRef,
    ) -> Result<Option<ManagedConversation>, StoreError>;

    /// Changes a group in the name of the service's own user, and tells its members. A group whose owner is
    /// removed goes to the heir that an owner who leaves has.
    async fn manage_group(
        &self,
        group: ConversationId,
        service: UserId,
        change: &GroupChange,
        rules: GroupRules,
    ) -> Result<Result<Told, GroupRefusal>, StoreError>;

    /// Chats of a conversation, whoever may read them.
    async fn all_chats(
        &self,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<ChatPage, StoreError>;

    /// Takes back what any chat says, at any time, as [`Recalls::recall`](super::Recalls::recall) does. `None`:
    /// there is no such chat.
    async fn recall_any(
        &self,
        service: UserId,
        chat: ChatId,
    ) -> Result<Option<(Chat, Told)>, StoreError>;
}
