//! The contract about identities: which user a login leads to.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Identity, User, UserName};

/// Identities of users.
#[async_trait]
pub trait Identities {
    /// The user with this identity, whatever that user is called since. If there is none, makes one with
    /// this name, or else a placeholder, and an id that nobody has. Concurrent calls give the same
    /// user, over all replicas, those of the version before included.
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError>;
}
