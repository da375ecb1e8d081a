//! The contract about what a company's own back end says of users.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ExternalId, User, UserFacts, UserId, UserRef};

/// Users by a back end's own ids.
#[async_trait]
pub trait ExternalUsers {
    /// Makes those of these users that do not exist, with a timeline, and brings all up to date. Each is named
    /// once. Returns them in their order, and whether each is new. Concurrent calls make one user for each
    /// id, over all replicas. Any number is a few statements.
    async fn put_users(
        &self,
        users: &[(ExternalId, UserFacts)],
    ) -> Result<Vec<(User, bool)>, StoreError>;

    /// Brings a person up to date. `None` if there is none with this id.
    async fn update_user(
        &self,
        user: UserId,
        facts: &UserFacts,
    ) -> Result<Option<User>, StoreError>;

    /// The persons of this list who exist and were not erased.
    async fn named_users(&self, names: &[UserRef]) -> Result<HashMap<UserRef, UserId>, StoreError>;

    /// The service's own user, in whose name it speaks; made by the first call. It has no timeline.
    async fn service_user(&self) -> Result<UserId, StoreError>;
}
