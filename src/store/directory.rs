//! The contract about finding people, for whoever keeps order.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{Restriction, User, UserId, UserName},
};

/// A person, as whoever keeps order sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPerson {
    /// The user.
    pub user: User,
    /// Since when there is this user.
    pub created_at: Timestamp,
    /// What the user may not do now.
    pub restriction: Option<Restriction>,
    /// Why, if that was said.
    pub reason: Option<String>,
}

/// Some people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonPage {
    /// The people.
    pub people: Vec<KnownPerson>,
    /// Whether more follow.
    pub has_more: bool,
}

/// All people who were not erased; not the service's own user.
#[async_trait]
pub trait Directory {
    /// People whose names begin with `prefix` to the letter, by name and id, after this name and id. An empty
    /// prefix is everybody's.
    async fn find_people(
        &self,
        prefix: &str,
        after: Option<(&UserName, UserId)>,
        limit: u32,
    ) -> Result<PersonPage, StoreError>;

    /// A person; `None` if there is none, or no more.
    async fn person(&self, user: UserId) -> Result<Option<KnownPerson>, StoreError>;
}
