//! Users, as a company's own back end names and keeps them.

use std::collections::BTreeSet;

use super::Admin;
use crate::{
    domain::{ExternalId, User, UserFacts, UserId, UserRef},
    protocol::fault::ApiError,
    store::{KnownPerson, PersonPage},
};

impl Admin {
    /// Makes these users, or brings them up to date; says of each whether it is new.
    pub async fn put_users(
        &self,
        users: &[(ExternalId, UserFacts)],
    ) -> Result<Vec<(User, bool)>, ApiError> {
        let named: BTreeSet<_> = users.iter().map(|(id, _)| id).collect();
        if named.len() < users.len() {
            return Err(ApiError::invalid("an `externalId` stands twice in the list"));
        }
        Ok(self.store.put_users(users).await?)
    }

    /// Makes a user, or brings one up to date; says whether the user is new. By the service's own id nobody
    /// is made.
    pub async fn put_user(
        &self,
        user: &UserRef,
        facts: UserFacts,
    ) -> Result<(User, bool), ApiError> {
        match user {
            UserRef::External(id) => {
                let put = self.store.put_users(&[(id.clone(), facts)]).await?.pop();
                put.ok_or_else(ApiError::internal)
            }
            UserRef::Id(id) => {
                let user = self.store.update_user(*id, &facts).await?;
                Ok((user.ok_or_else(ApiError::user_not_found)?, false))
            }
        }
    }

    /// The person who is named so, as whoever keeps order sees one.
    pub async fn person(&self, name: &UserRef) -> Result<Option<KnownPerson>, ApiError> {
        let found = self.store.named_users(std::slice::from_ref(name)).await?;
        let Some(user) = found.get(name) else { return Ok(None) };
        Ok(self.store.person(*user).await?)
    }

    /// People whose names begin so, by name, after this one.
    pub async fn find_people(
        &self,
        prefix: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<PersonPage, ApiError> {
        let after = match after {
            Some(user) => {
                let last = self.store.person(user).await?.ok_or_else(ApiError::user_not_found)?;
                Some((last.user.name, user))
            }
            None => None,
        };
        let after = after.as_ref().map(|(name, id)| (name, *id));
        Ok(self.store.find_people(prefix, after, limit).await?)
    }

    /// Who is named so.
    pub async fn user(&self, name: &UserRef) -> Result<UserId, ApiError> {
        let found = self.store.named_users(std::slice::from_ref(name)).await?;
        found.get(name).copied().ok_or_else(ApiError::user_not_found)
    }

    /// Who is named so, in this order.
    pub async fn users(&self, names: &[UserRef]) -> Result<Vec<UserId>, ApiError> {
        let found = self.store.named_users(names).await?;
        let users = names.iter().map(|name| found.get(name).copied());
        users.collect::<Option<_>>().ok_or_else(ApiError::user_not_found)
    }
}
