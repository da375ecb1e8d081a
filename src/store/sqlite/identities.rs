//! The user whom an identity leads to, made where there is none.

use sqlx::{Sqlite, SqliteExecutor, Transaction};

use super::SqliteStore;
use crate::{
    domain::{User, UserName},
    store::{
        identities::{FIND, IdentityColumns, lost},
        rows::UserRow,
    },
};

pub(super) async fn user_by_identity(
    store: SqliteStore,
    identity: IdentityColumns,
    name: Option<UserName>,
) -> sqlx::Result<User> {
    if let Some(row) = find(&store.reader, &identity).await? {
        return row.try_into();
    }
    let mut tx = store.begin().await?;
    if let Some(row) = find(&mut *tx, &identity).await? {
        tx.rollback().await?;
        return row.try_into();
    }
    let id = next_id(&mut tx).await?;
    let called = name.unwrap_or_else(|| UserName::placeholder(id));
    let row: UserRow = sqlx::query_as(
        "INSERT INTO users (id, name, demo_name, openid, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         RETURNING id, name, avatar",
    )
    .bind(id)
    .bind(called.as_str())
    .bind(identity.demo_name())
    .bind(identity.openid())
    .bind(store.clock.now().as_millis())
    .fetch_one(&mut *tx)
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
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    row.try_into()
}

async fn find(
    executor: impl SqliteExecutor<'_>,
    identity: &IdentityColumns,
) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(FIND)
        .bind(&identity.subject)
        .bind(&identity.provider)
        .bind(identity.before)
        .fetch_optional(executor)
        .await
}

/// Takes the next id that nobody has: clients of the legacy routes may have named it as theirs.
async fn next_id(tx: &mut Transaction<'static, Sqlite>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "WITH RECURSIVE candidate (id) AS (
             SELECT next_user_id FROM service WHERE id = 1
             UNION ALL
             SELECT candidate.id + 1 FROM candidate JOIN users ON users.id = candidate.id
         )
         UPDATE service SET next_user_id = (SELECT max(id) FROM candidate) + 1 WHERE id = 1
         RETURNING next_user_id - 1",
    )
    .fetch_one(&mut **tx)
    .await
}
