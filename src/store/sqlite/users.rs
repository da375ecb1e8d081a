//! People: who they are, what they look like, whom they know, when they were last seen.

use std::collections::HashMap;

use serde_json::json;
use sqlx::SqlitePool;

use super::{
    SqliteStore,
    lists::{ids, list},
};
use crate::{
    clock::Timestamp,
    domain::{User, UserId, UserName},
    store::{
        Acquaintance,
        rows::{UserRow, all, end_of_prefix, id},
    },
};

pub(super) async fn users(reader: &SqlitePool, users: &[UserId]) -> sqlx::Result<Vec<User>> {
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, name, avatar FROM users
         WHERE id IN (SELECT value FROM json_each(?1)) AND erased_at IS NULL",
    )
    .bind(ids(users))
    .fetch_all(reader)
    .await?;
    all(rows)
}

pub(super) async fn ensure_users(
    store: SqliteStore,
    wanted: Vec<(UserId, UserName)>,
) -> sqlx::Result<()> {
    // Anonymous clients ask for this with every chat: nearly always all are there.
    let wanted_ids: Vec<UserId> = wanted.iter().map(|&(id, _)| id).collect();
    let known: Vec<UserId> =
        users(&store.reader, &wanted_ids).await?.into_iter().map(|user| user.id).collect();
    let missing =
        wanted.iter().filter(|(id, _)| !known.contains(id)).map(|(id, name)| json!([id, name]));
    let missing = list(missing);
    if missing == "[]" {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO users (id, name, created_at)
         SELECT value ->> 0, value ->> 1, ?2 FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(missing)
    .bind(store.clock.now().as_millis())
    .execute(&store.writer)
    .await?;
    Ok(())
}

pub(super) async fn rename(
    store: SqliteStore,
    user: UserId,
    name: UserName,
) -> sqlx::Result<Option<User>> {
    let row: Option<UserRow> = sqlx::query_as(
        "UPDATE users SET name = ?2 WHERE id = ?1 AND erased_at IS NULL
         RETURNING id, name, avatar",
    )
    .bind(user.get())
    .bind(name.as_str())
    .fetch_optional(&store.writer)
    .await?;
    row.map(User::try_from).transpose()
}

pub(super) async fn search_users(
    reader: &SqlitePool,
    prefix: &str,
    limit: u32,
) -> sqlx::Result<Vec<User>> {
    // A BLOB is greater than every text: no upper end.
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, name, avatar FROM users
         WHERE name >= ?1 AND name < coalesce(?2, x'') AND erased_at IS NULL
         ORDER BY name, id LIMIT ?3",
    )
    .bind(prefix)
    .bind(end_of_prefix(prefix))
    .bind(limit)
    .fetch_all(reader)
    .await?;
    all(rows)
}

pub(super) async fn acquainted(
    reader: &SqlitePool,
    user: UserId,
    others: &[UserId],
    how: Acquaintance,
) -> sqlx::Result<Vec<UserId>> {
    // By the pair and not by way of `members`: somebody on the list may be in very many conversations.
    let peers: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT other.value FROM json_each(?2) other JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = min(?1, other.value)
                 AND v.high_user = max(?1, other.value)
         WHERE other.value <> ?1 AND (NOT ?3 OR v.low_wrote AND v.high_wrote)",
    )
    .bind(user.get())
    .bind(ids(others))
    .bind(how == Acquaintance::BothWrote)
    .fetch_all(reader)
    .await?;
    let oneself = others.contains(&user).then_some(Ok(user));
    peers.into_iter().map(id).chain(oneself).collect()
}

pub(super) async fn acquaintances(
    reader: &SqlitePool,
    user: UserId,
    how: Acquaintance,
    limit: u32,
) -> sqlx::Result<Vec<UserId>> {
    let peers: Vec<i64> = sqlx::query_scalar(
        "SELECT CASE WHEN v.low_user = ?1 THEN v.high_user ELSE v.low_user END
         FROM members m JOIN conversations v ON v.id = m.conversation_id
         WHERE m.user_id = ?1 AND v.kind = 'direct'
             AND (NOT ?2 OR v.low_wrote AND v.high_wrote)
         ORDER BY m.conversation_id DESC LIMIT ?3",
    )
    .bind(user.get())
    .bind(how == Acquaintance::BothWrote)
    .bind(limit)
    .fetch_all(reader)
    .await?;
    peers.into_iter().map(id).collect()
}

pub(super) async fn save_last_seen(
    store: SqliteStore,
    seen: Vec<(UserId, Timestamp)>,
) -> sqlx::Result<()> {
    if seen.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO last_seen (user_id, seen_at)
         SELECT value ->> 0, value ->> 1 FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = value ->> 0 AND u.erased_at IS NOT NULL)
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at
         WHERE excluded.seen_at > seen_at",
    )
    .bind(list(seen.iter().map(|(user, at)| json!([user, at.as_millis()]))))
    .execute(&store.writer)
    .await?;
    Ok(())
}

pub(super) async fn last_seen(
    reader: &SqlitePool,
    users: &[UserId],
) -> sqlx::Result<HashMap<UserId, Timestamp>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT user_id, seen_at FROM last_seen
         WHERE user_id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(users))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(|(user, at)| Ok((id(user)?, Timestamp::from_millis(at)))).collect()
}
