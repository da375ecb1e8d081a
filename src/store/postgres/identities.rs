//! Which user an identity leads to, made where there is none.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{PgConnection, error::DatabaseError};

use super::{
    PgStore,
    dialect::{sql, tell_made},
};
use crate::{
    domain::{Identity, User, UserId, UserName},
    store::{
        Identities, StoreError,
        identity_columns::{FIND, Found, IdentityColumns, lost},
    },
};

/// How often somebody else may make the user or an identity first, and nobody be found after that. Once is
/// an erasure just then.
const MISSES: u32 = 5;

#[async_trait]
impl Identities for PgStore {
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError> {
        let (identity, name) = (IdentityColumns::of(identity), name.cloned());
        self.write(move |c| find_or_register(c, identity, name).boxed()).await
    }
}

async fn find_or_register(
    connection: &mut PgConnection,
    identity: IdentityColumns,
    name: Option<UserName>,
) -> sqlx::Result<User> {
    let mut misses = 0;
    while misses < MISSES {
        let rows = sqlx::query_as(FIND)
            .bind(&identity.subject)
            .bind(&identity.provider)
            .bind(identity.before)
            .bind(&identity.unionid)
            .fetch_all(&mut *connection)
            .await?;
        let unionid = match identity.found(rows) {
            Found::Known(user) => return Ok(user),
            Found::Lacking { user, provider, subject } => {
                if note(connection, user.id, provider, subject).await? {
                    return Ok(user);
                }
                misses += 1;
                continue;
            }
            Found::Nobody { unionid } => unionid,
        };
        let id =
            sqlx::query_scalar("SELECT nextval('user_ids')").fetch_one(&mut *connection).await?;
        let called = name.clone().unwrap_or_else(|| UserName::placeholder(id));
        let is_made = register(connection, id, &called, &identity, unionid).await?;
        if !is_made && is_free(connection, id).await? {
            misses += 1;
        }
    }
    Err(lost())
}

/// Adds an identity to those of a user. `false` where the user has just been erased, or somebody has just
/// come by the identity. The lock has an erasure, which deletes all identities, come before or after.
async fn note(
    connection: &mut PgConnection,
    user: UserId,
    provider: &str,
    subject: &str,
) -> sqlx::Result<bool> {
    let noted = sqlx::query(
        "INSERT INTO identities (provider, subject, user_id)
         SELECT $1, $2, id FROM users WHERE id = $3 AND erased_at IS NULL FOR NO KEY UPDATE
         ON CONFLICT DO NOTHING",
    )
    .bind(provider)
    .bind(subject)
    .bind(user)
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Makes a user, the user's counter and the identities, or nothing: where a client of the legacy routes has
/// the id, or somebody else has just made the user. Whether it did.
async fn register(
    connection: &mut PgConnection,
    id: i64,
    name: &UserName,
    identity: &IdentityColumns,
    unionid: Option<&str>,
) -> sqlx::Result<bool> {
    let made = sqlx::query(concat!(
        "WITH made AS (
             INSERT INTO users (id, name, demo_name, openid, created_at) VALUES ($1, $2, $3, $4, ",
        sql!(now),
        ") ON CONFLICT DO NOTHING RETURNING id
         ), told AS (",
        tell_made!(),
        "), known AS (
             INSERT INTO identities (provider, subject, user_id)
             SELECT n.provider, n.subject, made.id
             FROM made, (VALUES ($5, $6), ('unionid', $7)) n (provider, subject)
             WHERE n.subject IS NOT NULL
         )
         INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made"
    ))
    .bind(id)
    .bind(name)
    .bind(identity.demo_name())
    .bind(identity.openid())
    .bind(&identity.provider)
    .bind(&identity.subject)
    .bind(unionid)
    .execute(connection)
    .await;
    match made {
        Ok(made) => Ok(made.rows_affected() == 1),
        // Nobody has the columns, and yet somebody one of the identities.
        Err(sqlx::Error::Database(error)) if is_known(&*error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_known(error: &dyn DatabaseError) -> bool {
    error.is_unique_violation() && error.constraint() == Some("identities_pkey")
}

async fn is_free(connection: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM users WHERE id = $1)")
        .bind(id)
        .fetch_one(connection)
        .await
}
