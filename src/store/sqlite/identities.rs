//! Which user an identity leads to, made where there is none.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::SqliteConnection;

use super::{
    SqliteStore,
    dialect::{next_user_id, tell_created},
};
use crate::{
    clock::Timestamp,
    domain::{Identity, User, UserId, UserName},
    store::{
        Identities, StoreError,
        identity_columns::{FIND, Found, IdentityColumns, UNIONID, lost},
    },
};

#[async_trait]
impl Identities for SqliteStore {
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError> {
        let (identity, name) = (IdentityColumns::of(identity), name.cloned());
        let wanted = identity.clone();
        let known = self.read(move |c| async move { known(c, &wanted).await }.boxed()).await?;
        if let Some(user) = known {
            return Ok(user);
        }
        let now = self.now();
        self.transaction(move |c| find_or_register(c, identity, name, now).boxed()).await
    }
}

async fn find<'a>(
    connection: &mut SqliteConnection,
    identity: &'a IdentityColumns,
) -> sqlx::Result<Found<'a>> {
    let rows = sqlx::query_as(FIND)
        .bind(&identity.subject)
        .bind(&identity.provider)
        .bind(identity.before)
        .bind(&identity.unionid)
        .fetch_all(connection)
        .await?;
    Ok(identity.found(rows))
}

/// The user, where nothing is to be written.
async fn known(
    connection: &mut SqliteConnection,
    identity: &IdentityColumns,
) -> sqlx::Result<Option<User>> {
    match find(connection, identity).await? {
        Found::Known(user) => Ok(Some(user)),
        Found::Lacking { .. } | Found::Nobody { .. } => Ok(None),
    }
}

async fn find_or_register(
    connection: &mut SqliteConnection,
    identity: IdentityColumns,
    name: Option<UserName>,
    now: Timestamp,
) -> sqlx::Result<User> {
    let unionid = match find(connection, &identity).await? {
        Found::Known(user) => return Ok(user),
        Found::Lacking { user, provider, subject } => {
            note(connection, user.id, provider, subject).await?;
            return Ok(user);
        }
        Found::Nobody { unionid } => unionid,
    };
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
    tell_created(connection, &[id]).await?;
    note(connection, id, &identity.provider, &identity.subject).await?;
    if let Some(unionid) = unionid {
        note(connection, id, UNIONID, unionid).await?;
    }
    known(connection, &identity).await?.ok_or_else(lost)
}

/// Adds an identity to those of a user. A trigger that has seen the columns may have been first.
async fn note(
    connection: &mut SqliteConnection,
    user: UserId,
    provider: &str,
    subject: &str,
) -> sqlx::Result<()> {
    let note = sqlx::query(
        "INSERT INTO identities (provider, subject, user_id) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    );
    note.bind(provider).bind(subject).bind(user).execute(connection).await?;
    Ok(())
}
