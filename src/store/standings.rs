//! The contract about who may not write: blocks, restrictions, and what a conversation allows.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{Block, ConversationKey, Restriction, User, UserId},
};

/// What limits a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The restriction of the user, also one whose time is over.
    pub restriction: Option<Restriction>,
    /// The blocks that the user has set, and those that others have set of the user; `None`: more than was
    /// asked for.
    pub blocks: Option<Vec<Block>>,
}

/// Whom a user has blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPage {
    /// The users, and since when.
    pub blocks: Vec<(User, Timestamp)>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Whose conversation it is, and who made it. It never changes, but that the server API may take over a direct
/// conversation that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationOrigin {
    /// The two users of a direct conversation, the lower id first.
    pub pair: Option<(UserId, UserId)>,
    /// Whether the server API made it, or took it over.
    pub is_managed: bool,
}

/// Whose standing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingChanges {
    /// The time of this look, by the clock that the changes are noted with. It can jump.
    pub looked_at: Timestamp,
    /// The users, and when the last change of each was noted.
    pub users: HashMap<UserId, Timestamp>,
}

/// Blocks, restrictions, and what a sender may do.
///
/// Replicas keep standings in memory. Whatever changes one notes for whom in the same transaction, and
/// [`Standings::changed_standings`] tells.
#[async_trait]
pub trait Standings {
    /// Has one user blocked by another, and keeps the blocker's read mark of then for the other one to see.
    /// `false`: there is no such user, or only an erased one. A second block changes nothing.
    async fn block(&self, block: Block) -> Result<bool, StoreError>;

    /// Takes a block back, if there is one.
    async fn unblock(&self, block: Block) -> Result<(), StoreError>;

    /// Whom a user has blocked, in ascending id after `after`; an erased user is left out.
    async fn blocks(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<BlockPage, StoreError>;

    /// The blocks between a user and any of these.
    async fn blocks_between(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<Block>, StoreError>;

    /// What limits each of these users, in their order; with at most `limit` blocks.
    async fn standings(&self, users: &[UserId], limit: u32) -> Result<Vec<Standing>, StoreError>;

    /// Restricts a user, in place of any restriction before; `None`: no more. `false`: there is no such user.
    async fn restrict(
        &self,
        user: UserId,
        restriction: Option<Restriction>,
        reason: Option<&str>,
    ) -> Result<bool, StoreError>;

    /// The users whose standing has changed since the earlier of `since` and `overlap` ago. A change may be noted
    /// with a time some seconds before it can be seen.
    async fn changed_standings(
        &self,
        since: Option<Timestamp>,
        overlap: Duration,
    ) -> Result<StandingChanges, StoreError>;

    /// What is fixed about each of these conversations, in their order; `None` if there is none.
    async fn conversation_origins(
        &self,
        keys: &[ConversationKey],
    ) -> Result<Vec<Option<ConversationOrigin>>, StoreError>;
}
