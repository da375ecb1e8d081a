//! Which user an identity leads to, made where there is none.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{PgConnection, error::DatabaseError};

use super::{PgStore, dialect::sql};
use crate::{
    domain::{Identity, User, UserName},
    store::{
        Identities, StoreError,
        identity_columns::{FIND, IdentityColumns, lost},
    },
};

/// How often somebody else may make the user first, and nobody be found after that. Once is an erasure
/// just then.
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
    loop {
        let found = sqlx::query_as(FIND)
            .bind(&identity.subject)
            .bind(&identity.provider)
            .bind(identity.before)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(user) = found {
            return Ok(user);
        }
        let id =
            sqlx::query_scalar("SELECT nextval('user_ids')").fetch_one(&mut *connection).await?;
        let called = name.clone().unwrap_or_else(|| UserName::placeholder(id));
        if !register(connection, id, &called, &identity).await? && is_free(connection, id).await? {
            misses += 1;
            if misses == MISSES {
                return Err(lost());
            }
        }
    }
}

/// Makes a user, the user's counter and the identity, or nothing: where a client of the legacy routes has
/// the id, or somebody else has just made the user. Whether it did.
async fn register(
    connection: &mut PgConnection,
    id: i64,
    name: &UserName,
    identity: &IdentityColumns,
) -> sqlx::Result<bool> {
    let made = sqlx::query(concat!(
        "WITH made AS (
             INSERT INTO users (id, name, demo_name, openid, created_at) VALUES ($1, $2, $3, $4, ",
        sql!(now),
        ") ON CONFLICT DO NOTHING RETURNING id
         ), known AS (
             INSERT INTO identities (provider, subject, user_id) SELECT $5, $6, id FROM made
         )
         INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made"
    ))
    .bind(id)
    .bind(name)
    .bind(identity.demo_name())
    .bind(identity.openid())
    .bind(&identity.provider)
    .bind(&identity.subject)
    .execute(connection)
    .await;
    match made {
        Ok(made) => Ok(made.rows_affected() == 1),
        // Nobody has the columns, and yet somebody the identity.
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
