//! Which user an identity leads to, made where there is none.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::SqliteConnection;

use super::{SqliteStore, dialect::next_user_id};
use crate::{
    clock::Timestamp,
    domain::{Identity, User, UserName},
    store::{
        Identities, StoreError,
        identity_columns::{FIND, IdentityColumns, lost},
    },
};

#[async_trait]
impl Identities for SqliteStore {
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError> {
        let found = IdentityColumns::of(identity);
        if let Some(user) = self.read(move |c| async move { find(c, &found).await }.boxed()).await?
        {
            return Ok(user);
        }
        let (identity, name) = (IdentityColumns::of(identity), name.cloned());
        let now = self.now();
        self.transaction(move |c| find_or_register(c, identity, name, now).boxed()).await
    }
}

async fn find(
    connection: &mut SqliteConnection,
    identity: &IdentityColumns,
) -> sqlx::Result<Option<User>> {
    sqlx::query_as(FIND)
        .bind(&identity.subject)
        .bind(&identity.provider)
        .bind(identity.before)
        .fetch_optional(connection)
        .await
}

async fn find_or_register(
    connection: &mut SqliteConnection,
    identity: IdentityColumns,
    name: Option<UserName>,
    now: Timestamp,
) -> sqlx::Result<User> {
    if let Some(user) = find(connection, &identity).await? {
        return Ok(user);
    }
    let id = next_user_id(connection).await?;
    sqlx::query(
        "INSERT INTO users (id, name, demo_name, openid, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(id)
    .bind(name.unwrap_or_else(|| UserName::placeholder(id.get())))
    .bind(identity.demo_name())
    .bind(identity.openid())
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(|error| match error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => lost(),
        error => error,
    })?;
    // A trigger has seen the columns, and may have been first.
    sqlx::query(
        "INSERT INTO identities (provider, subject, user_id) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(&identity.provider)
    .bind(&identity.subject)
    .bind(id)
    .execute(&mut *connection)
    .await?;
    find(connection, &identity).await?.ok_or_else(lost)
}
