//! The contract about users: their names, whom they know, and when they were last seen.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{User, UserId, UserName},
};

/// When two users count as acquainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Both are members of a conversation, whoever began it.
    Conversation,
    /// Both have written in their direct conversation.
    BothWrote,
}

/// Users who exist.
#[async_trait]
pub trait Users {
    /// The users of this list that exist and were not erased, in any order.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;

    /// Makes those of these users that do not exist, under exactly these ids. Changes nobody who
    /// exists.
    async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), StoreError>;

    /// Gives a user another name. `None` if there is no such user.
    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError>;

    /// Users whose names begin with `prefix` to the letter (a `%` is a `%`), by name and id; not those who have
    /// blocked `searcher`. Any text is valid; one that no name can begin with finds nobody.
    async fn search_users(
        &self,
        searcher: UserId,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<User>, StoreError>;

    /// Those of `others` who are acquainted with `user`, and `user` if it is among them. Costs as much as
    /// there are others, however many conversations they have; for each stranger, as much as `user` has.
    async fn acquainted(
        &self,
        user: UserId,
        others: &[UserId],
        how: Acquaintance,
    ) -> Result<Vec<UserId>, StoreError>;

    /// At most `limit` users who are acquainted with `user`: those of the conversations that were begun
    /// last. `user` is among them after a chat to oneself.
    async fn acquaintances(
        &self,
        user: UserId,
        how: Acquaintance,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError>;

    /// Tells the outbox that users came online at these times.
    async fn tell_online(&self, came: &[(UserId, Timestamp)]) -> Result<(), StoreError>;

    /// Notes when users were last seen, and tells the outbox of those of whom this is news. Never moves
    /// backwards.
    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError>;

    /// When these users were last seen; users who never were are left out.
    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError>;
}
