//! What a company's own back end says of users.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    super::dialect::{Now, make_users, take_user_ids, tell_created, tell_facts, write_external},
    Conn, Db, ids, sql, texts,
};
use crate::{
    domain::{ExternalId, User, UserFacts, UserId, UserName, UserRef},
    store::{ExternalUsers, StoreError, identity_columns::user_columns},
};

/// What the service's own user is called.
const SERVICE_NAME: &str = "系统";

#[async_trait]
impl ExternalUsers for Db {
    async fn put_users(
        &self,
        users: &[(ExternalId, UserFacts)],
    ) -> Result<Vec<(User, bool)>, StoreError> {
        let (users, now) = (users.to_vec(), self.now());
        self.transaction(move |c| async move { put(c, users, now).await }.boxed()).await
    }

    async fn update_user(
        &self,
        user: UserId,
        facts: &UserFacts,
    ) -> Result<Option<User>, StoreError> {
        let facts = facts.clone();
        self.transaction(move |c| {
            async move {
                tell(c, vec![(user, facts)]).await?;
                let found: Option<User> = sqlx::query_as(concat!(
                    "SELECT ",
                    user_columns!("users"),
                    " FROM users WHERE id = $1 AND kind = 'person' AND erased_at IS NULL"
                ))
                .bind(user)
                .fetch_optional(c)
                .await?;
                Ok(found)
            }
            .boxed()
        })
        .await
    }

    async fn named_users(&self, names: &[UserRef]) -> Result<HashMap<UserRef, UserId>, StoreError> {
        let names = names.to_vec();
        self.read(move |c| {
            async move {
                let external: BTreeSet<&ExternalId> = names.iter().filter_map(external).collect();
                let own: BTreeSet<UserId> = names.iter().filter_map(own).collect();
                let mut found = HashMap::new();
                if !external.is_empty() {
                    let known = known(c, external.into_iter()).await?;
                    found.extend(known.into_iter().map(|(id, user)| (UserRef::External(id), user)));
                }
                if !own.is_empty() {
                    let own: Vec<UserId> = sqlx::query_scalar(concat!(
                        "SELECT id FROM users WHERE kind = 'person' AND erased_at IS NULL AND id ",
                        sql!(in "$1")
                    ))
                    .bind(ids(&own))
                    .fetch_all(c)
                    .await?;
                    found.extend(own.into_iter().map(|id| (UserRef::Id(id), id)));
                }
                Ok(found)
            }
            .boxed()
        })
        .await
    }

    async fn service_user(&self) -> Result<UserId, StoreError> {
        let found = self.read(|c| find_service(c).boxed()).await?;
        if let Some(user) = found {
            return Ok(user);
        }
        let now = self.now();
        self.transaction(move |c| make_service(c, now).boxed()).await
    }
}

fn external(name: &UserRef) -> Option<&ExternalId> {
    match name {
        UserRef::External(id) => Some(id),
        UserRef::Id(_) => None,
    }
}

fn own(name: &UserRef) -> Option<UserId> {
    match name {
        UserRef::External(_) => None,
        UserRef::Id(id) => Some(*id),
    }
}

/// The users with these ids of a back end.
async fn known(
    connection: &mut Conn,
    external: impl Iterator<Item = &ExternalId> + Send,
) -> sqlx::Result<HashMap<ExternalId, UserId>> {
    let rows: Vec<(ExternalId, UserId)> = sqlx::query_as(concat!(
        "SELECT subject, user_id FROM identities WHERE provider = 'external' AND subject ",
        sql!(in "$1")
    ))
    .bind(texts(external.map(ExternalId::as_str)))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

async fn put(
    connection: &mut Conn,
    users: Vec<(ExternalId, UserFacts)>,
    now: Now,
) -> sqlx::Result<Vec<(User, bool)>> {
    // In the order of their ids, so that two calls at once wait for each other at most one way.
    let wanted: BTreeSet<&ExternalId> = users.iter().map(|(id, _)| id).collect();
    let mut who = known(connection, wanted.iter().copied()).await?;
    let missing: Vec<&ExternalId> =
        wanted.into_iter().filter(|id| !who.contains_key(*id)).collect();
    let mut is_new = BTreeSet::new();
    if !missing.is_empty() {
        let made = make(connection, missing.len(), now).await?;
        let pairs: Vec<_> = missing.iter().copied().zip(made.iter().copied()).collect();
        is_new.extend(write_external(connection, &pairs).await?);
        let lost: Vec<UserId> = made.into_iter().filter(|user| !is_new.contains(user)).collect();
        if !lost.is_empty() {
            // Somebody else has made these meanwhile, and has committed that.
            for statement in [
                concat!("DELETE FROM timelines WHERE user_id ", sql!(in "$1")),
                concat!("DELETE FROM users WHERE id ", sql!(in "$1")),
            ] {
                sqlx::query(statement).bind(ids(&lost)).execute(&mut *connection).await?;
            }
        }
        tell_created(connection, &is_new.iter().copied().collect::<Vec<_>>()).await?;
        who.extend(known(connection, missing.into_iter()).await?);
    }
    let user_of = |id: &ExternalId| who.get(id).copied().ok_or_else(erased);
    let facts = users.iter().map(|(id, facts)| Ok((user_of(id)?, facts.clone())));
    tell(connection, facts.collect::<sqlx::Result<_>>()?).await?;
    let rows: Vec<User> = sqlx::query_as(concat!(
        "SELECT ",
        user_columns!("users"),
        " FROM users WHERE erased_at IS NULL AND id ",
        sql!(in "$1")
    ))
    .bind(ids(who.values()))
    .fetch_all(connection)
    .await?;
    let rows: HashMap<UserId, User> = rows.into_iter().map(|user| (user.id, user)).collect();
    let put = users.iter().map(|(id, _)| {
        let user = user_of(id)?;
        let is_new = is_new.contains(&user);
        Ok((rows.get(&user).cloned().ok_or_else(erased)?, is_new))
    });
    put.collect()
}

/// Somebody was erased since this transaction found them. A repeat makes somebody new.
fn erased() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other("a user was erased meanwhile"))
}

/// Makes so many people, with placeholders for names.
async fn make(connection: &mut Conn, count: usize, now: Now) -> sqlx::Result<Vec<UserId>> {
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let taken = take_user_ids(connection, count - made.len()).await?;
        let named = taken.into_iter().map(|id| (id, UserName::placeholder(id.get()))).collect();
        // Whom a client of the legacy routes has made under such an id meanwhile is left alone.
        made.extend(make_users(connection, named, now).await?);
    }
    Ok(made)
}

/// Brings these people up to date. Their rows are locked in ascending id.
async fn tell(connection: &mut Conn, mut facts: Vec<(UserId, UserFacts)>) -> sqlx::Result<()> {
    facts.sort_by_key(|(user, _)| *user);
    sqlx::query(concat!(
        "SELECT id FROM users WHERE id ",
        sql!(in "$1"),
        " ORDER BY id",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(ids(facts.iter().map(|(user, _)| user)))
    .execute(&mut *connection)
    .await?;
    tell_facts(connection, &facts).await
}

async fn find_service(connection: &mut Conn) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar(
        "SELECT user_id FROM identities WHERE provider = 'service' AND subject = 'system'",
    )
    .fetch_optional(connection)
    .await
}

async fn make_service(connection: &mut Conn, now: Now) -> sqlx::Result<UserId> {
    loop {
        if let Some(user) = find_service(connection).await? {
            return Ok(user);
        }
        for id in take_user_ids(connection, 1).await? {
            let made = sqlx::query(concat!(
                "INSERT INTO users (id, name, kind, created_at) VALUES ($1, $2, 'system', ",
                sql!(now "$3"),
                ") ON CONFLICT (id) DO NOTHING"
            ))
            .bind(id)
            .bind(SERVICE_NAME)
            .bind(now)
            .execute(&mut *connection)
            .await?;
            if made.rows_affected() == 0 {
                continue;
            }
            let is_first = sqlx::query(
                "INSERT INTO identities (provider, subject, user_id) VALUES ('service', 'system', $1)
                 ON CONFLICT DO NOTHING",
            )
            .bind(id)
            .execute(&mut *connection)
            .await?;
            if is_first.rows_affected() == 0 {
                // Another replica was first, and has committed that.
                sqlx::query("DELETE FROM users WHERE id = $1")
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
}
