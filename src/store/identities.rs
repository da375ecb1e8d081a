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
    ///
    /// An identity with a unionid, of which nobody is known, leads to the user who has that unionid from
    /// another mini program, and is that user's from then on. Whoever is known keeps what they have: the
    /// unionid is noted where nobody has it, and joins nobody who was somebody else before.
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError>;
}
