//! Users, whom they know, and when they were last seen.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    super::dialect::{make_users, raise_last_seen, tell_created, tell_of_users},
    Db, ids, sql,
};
use crate::{
    clock::Timestamp,
    domain::{User, UserId, UserName},
    store::{
        Acquaintance, StoreError, USER_ONLINE, Users, identity_columns::user_columns,
        rows::end_of_prefix,
    },
};

#[async_trait]
impl Users for Db {
    async fn users(&self, users: &[UserId]) -> Result<Vec<User>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT ",
            user_columns!("users"),
            " FROM users WHERE id ",
            sql!(in "$1"),
            " AND erased_at IS NULL"
        ))
        .bind(ids(users));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn ensure_users(&self, wanted: &[(UserId, UserName)]) -> Result<(), StoreError> {
        // Anonymous clients ask for this with every chat: nearly always all are there.
        let ids: Vec<UserId> = wanted.iter().map(|&(id, _)| id).collect();
        let known: Vec<UserId> = self.users(&ids).await?.into_iter().map(|user| user.id).collect();
        // In ascending id: a replica that makes the same users waits for this one, not each for the other.
        let mut missing = BTreeMap::new();
        for (id, name) in wanted.iter().filter(|(id, _)| !known.contains(id)) {
            // The first name of a user who is named twice.
            missing.entry(*id).or_insert_with(|| name.clone());
        }
        if missing.is_empty() {
            return Ok(());
        }
        let now = self.now();
        self.transaction(move |c| {
            async move {
                let made = make_users(c, missing, now).await?;
                tell_created(c, &made).await
            }
            .boxed()
        })
        .await
    }

    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError> {
        let query = sqlx::query_as(concat!(
            "UPDATE users SET name = $2 WHERE id = $1 AND erased_at IS NULL RETURNING ",
            user_columns!("users")
        ))
        .bind(user)
        .bind(name.clone());
        self.write(|c| query.fetch_optional(c).boxed()).await
    }

    async fn search_users(
        &self,
        searcher: UserId,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        macro_rules! search {
            ($names:literal) => {
                concat!(
                    "SELECT ",
                    user_columns!("users"),
                    " FROM users WHERE ",
                    $names,
                    " AND erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM blocks b
                         WHERE b.blocker_id = users.id AND b.blocked_id = $3)
                     ORDER BY name, id LIMIT $2"
                )
            };
        }
        const BETWEEN: &str = search!("name >= $1 AND name < $4");
        const FROM: &str = search!("name >= $1");
        // Postgres refuses it in a text, so no name has it.
        if prefix.contains('\0') {
            return Ok(Vec::new());
        }
        let (prefix, end) = (prefix.to_owned(), end_of_prefix(prefix));
        self.read(move |c| {
            let query = sqlx::query_as(if end.is_some() { BETWEEN } else { FROM });
            let query = query.bind(prefix).bind(i64::from(limit)).bind(searcher);
            let query = if let Some(end) = end { query.bind(end) } else { query };
            query.fetch_all(c).boxed()
        })
        .await
    }

    async fn acquainted(
        &self,
        user: UserId,
        others: &[UserId],
        how: Acquaintance,
    ) -> Result<Vec<UserId>, StoreError> {
        let oneself = others.contains(&user).then_some(user);
        // By the pair, and the groups of `user`: somebody on the list may be in very many conversations.
        let query = sqlx::query_scalar(concat!(
            "SELECT DISTINCT other.id FROM ",
            sql!(rows "$2" as "other"),
            " WHERE other.id <> $1 AND (
                 EXISTS (SELECT 1 FROM conversations v WHERE v.kind = 'direct' AND v.low_user = ",
            sql!(least "$1, other.id"),
            " AND v.high_user = ",
            sql!(greatest "$1, other.id"),
            " AND (NOT $3 OR v.low_wrote AND v.high_wrote))
                 OR NOT $3 AND EXISTS (SELECT 1 FROM members m
                     JOIN conversations v ON v.id = m.conversation_id AND v.kind <> 'direct'
                     JOIN members o ON o.conversation_id = v.id AND o.user_id = other.id
                     WHERE m.user_id = $1 AND m.state = 'member' AND o.state = 'member'))"
        ))
        .bind(user)
        .bind(ids(others))
        .bind(how == Acquaintance::BothWrote);
        let mut found: Vec<UserId> = self.read(|c| query.fetch_all(c).boxed()).await?;
        found.extend(oneself);
        Ok(found)
    }

    async fn acquaintances(
        &self,
        user: UserId,
        how: Acquaintance,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT other FROM (
                 SELECT CASE WHEN v.low_user = $1 THEN v.high_user ELSE v.low_user END AS other,
                     m.conversation_id AS shared
                 FROM members m JOIN conversations v ON v.id = m.conversation_id
                 WHERE m.user_id = $1 AND v.kind = 'direct'
                     AND (NOT $2 OR v.low_wrote AND v.high_wrote)
                 UNION ALL
                 SELECT o.user_id, m.conversation_id
                 FROM members m JOIN conversations v ON v.id = m.conversation_id
                 JOIN members o ON o.conversation_id = v.id AND o.user_id <> $1
                 WHERE m.user_id = $1 AND v.kind <> 'direct' AND NOT $2
                     AND m.state = 'member' AND o.state = 'member'
             ) known GROUP BY other ORDER BY max(shared) DESC, other LIMIT $3",
        )
        .bind(user)
        .bind(how == Acquaintance::BothWrote)
        .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn tell_online(&self, came: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
        let came = came.to_vec();
        self.write(move |c| async move { tell_of_users(c, USER_ONLINE, &came).await }.boxed()).await
    }

    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
        // Each user once, or a statement would meet its own row; in ascending id, so that replicas do
        // not wait for each other.
        let mut latest = BTreeMap::new();
        for &(user, at) in seen {
            latest.entry(user).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
        if latest.is_empty() {
            return Ok(());
        }
        self.write(move |c| raise_last_seen(c, latest).boxed()).await
    }

    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT user_id, seen_at FROM last_seen WHERE user_id ",
            sql!(in "$1")
        ))
        .bind(ids(users));
        let rows: Vec<(UserId, Timestamp)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().collect())
    }
}
