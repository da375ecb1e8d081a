//! The contract about groups, and about what a member keeps of a conversation.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Change, Committed, Places, StoreError};
use crate::domain::{
    ClientMsgId, ConversationId, GroupChange, GroupMember, GroupRefusal, GroupRules, GroupTitle,
    User, UserId,
};

/// A group that somebody wants to begin.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Who begins it, and owns it then; exists.
    pub creator: UserId,
    /// The creator's key for it: the same key is the same group for ever.
    pub key: ClientMsgId,
    /// What it is called.
    pub title: Option<GroupTitle>,
    /// Its members; the creator is one without being named.
    pub members: BTreeSet<UserId>,
}

/// What became of a group that was to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBegun {
    /// It has begun.
    Begun(ConversationId, Told),
    /// The creator had begun it before, with the same contents.
    Repeat(ConversationId),
    /// The creator had used this key before for anything else.
    KeyReused,
    /// Some of the users do not exist.
    UserNotFound,
}

/// What was written into timelines, to be delivered to sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Chats.
    pub chats: Vec<Committed>,
    /// Other events, and whose timelines have them.
    pub events: Vec<(Change, Places)>,
}

/// Some members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPage {
    /// The members: the owner, then admins, then the others, each by id.
    pub members: Vec<(User, GroupMember)>,
    /// Whether more follow.
    pub has_more: bool,
    /// As [`GroupFace::members_version`](crate::domain::GroupFace::members_version), read before the members.
    pub members_version: u32,
}

/// What somebody wants to change of what one keeps of a conversation. `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnChange {
    /// Whether it stands above the others.
    pub pinned: Option<bool>,
    /// Whether it is muted.
    pub muted: Option<bool>,
    /// Whether it is shown as unread.
    pub marked_unread: Option<bool>,
    /// What one has begun to write; `Some(None)`: nothing any more.
    pub draft: Option<Option<String>>,
    /// Take it out of the list until the next chat.
    pub hide: bool,
    /// Have all chats up to now gone for oneself.
    pub clear: bool,
}

/// What became of an [`OwnChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnChanged {
    /// It is so now; nothing is told if it was so before.
    Done(Told),
    /// There is no such conversation of which the user is a member.
    NotFound,
    /// As many conversations are pinned as may be.
    TooManyPinned,
}

/// Groups, and what a member keeps of a conversation of any kind.
///
/// Each change is one transaction. It locks the conversation first, so that no chat is committed to it
/// meanwhile, and then the counters of all whom it tells, in ascending id, as
/// [`Appends::append`](super::Appends::append) does. What it tells is numbered in the timelines of those who
/// are members then; a member who goes is told as the last one.
#[async_trait]
pub trait Groups {
    /// Begins a group, and tells its members.
    async fn begin_group(&self, new: &NewGroup) -> Result<GroupBegun, StoreError>;

    /// What [`begin_group`](Self::begin_group) answers to a repeat; `None` if its key is a new one.
    async fn group_begun(&self, new: &NewGroup) -> Result<Option<GroupBegun>, StoreError>;

    /// Changes a group as its rules allow, and tells its members. Nothing is told if it is so already.
    async fn change_group(
        &self,
        group: ConversationId,
        actor: UserId,
        change: &GroupChange,
        rules: GroupRules,
    ) -> Result<Result<Told, GroupRefusal>, StoreError>;

    /// The first `limit` members of a group that come after `after`: where that is no member, the plain members with
    /// greater ids. `None` if there is no group with this id of which `user` is a member.
    async fn members(
        &self,
        user: UserId,
        group: ConversationId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Option<MemberPage>, StoreError>;

    /// All members of a group with at most `limit` members; none of a larger one. `None` if there is no group
    /// with this id of which `user` is a member.
    async fn few_members(
        &self,
        user: UserId,
        group: ConversationId,
        limit: u32,
    ) -> Result<Option<Vec<UserId>>, StoreError>;

    /// At most `limit` of the groups of which a user is a member.
    async fn some_groups(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<Vec<ConversationId>, StoreError>;

    /// Changes what a member keeps of a conversation, and tells the member's own timeline. At most
    /// `max_pinned` conversations are pinned.
    async fn change_own(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: &OwnChange,
        max_pinned: u32,
    ) -> Result<OwnChanged, StoreError>;
}
