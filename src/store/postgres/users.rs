//! People: who they are, what they look like, whom they know, when they were last seen.
//!
//! A user and the user's counter are made in one statement; see the migration.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::{now_millis, rows::ids};
use crate::{
    clock::Timestamp,
    domain::{User, UserId, UserName},
    store::{
        Acquaintance,
        rows::{UserRow, all, end_of_prefix, id},
    },
};

pub(super) async fn users(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<Vec<User>> {
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, name, avatar FROM users WHERE id = ANY($1) AND erased_at IS NULL",
    )
    .bind(ids(&users))
    .fetch_all(connection)
    .await?;
    all(rows)
}

pub(super) async fn ensure_users(
    connection: &mut PgConnection,
    wanted: Vec<(UserId, UserName)>,
) -> sqlx::Result<()> {
    // Anonymous clients ask for this with every chat: nearly always all are there.
    let wanted_ids = wanted.iter().map(|&(id, _)| id).collect();
    let known: Vec<UserId> =
        users(connection, wanted_ids).await?.into_iter().map(|user| user.id).collect();
    let mut missing = BTreeMap::new();
    for (id, name) in &wanted {
        if !known.contains(id) {
            // The first name of a user who is named twice.
            missing.entry(id.get()).or_insert(name.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // In ascending id: a replica that makes the same users waits for this one, not each for the other.
    let (ids, names): (Vec<i64>, Vec<&str>) = missing.into_iter().unzip();
    sqlx::query(concat!(
        "WITH made AS (
             INSERT INTO users (id, name, created_at)
             SELECT n.id, n.name, ",
        now_millis!(),
        " FROM unnest($1::bigint[], $2::text[]) n (id, name)
             ORDER BY n.id
             ON CONFLICT (id) DO NOTHING RETURNING id
         )
         INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made"
    ))
    .bind(ids)
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn rename(
    connection: &mut PgConnection,
    user: UserId,
    name: UserName,
) -> sqlx::Result<Option<User>> {
    let row: Option<UserRow> = sqlx::query_as(
        "UPDATE users SET name = $2 WHERE id = $1 AND erased_at IS NULL
         RETURNING id, name, avatar",
    )
    .bind(user.get())
    .bind(name.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(User::try_from).transpose()
}

pub(super) async fn search_users(
    connection: &mut PgConnection,
    prefix: String,
    limit: u32,
) -> sqlx::Result<Vec<User>> {
    const BETWEEN: &str = "SELECT id, name, avatar FROM users
         WHERE name >= $1 AND name < $3 AND erased_at IS NULL ORDER BY name, id LIMIT $2";
    const FROM: &str = "SELECT id, name, avatar FROM users
         WHERE name >= $1 AND erased_at IS NULL ORDER BY name, id LIMIT $2";
    // No text of Postgres holds it, so no name begins with it.
    if prefix.contains('\0') {
        return Ok(Vec::new());
    }
    let end = end_of_prefix(&prefix);
    let query = sqlx::query_as(if end.is_some() { BETWEEN } else { FROM });
    let query = query.bind(prefix).bind(i64::from(limit));
    let query = if let Some(end) = end { query.bind(end) } else { query };
    let rows: Vec<UserRow> = query.fetch_all(connection).await?;
    all(rows)
}

pub(super) async fn acquainted(
    connection: &mut PgConnection,
    user: UserId,
    others: Vec<UserId>,
    how: Acquaintance,
) -> sqlx::Result<Vec<UserId>> {
    // By the pair and not by way of `members`: somebody on the list may be in very many conversations.
    let peers: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT other.id FROM unnest($2::bigint[]) other (id) JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = least($1, other.id)
                 AND v.high_user = greatest($1, other.id)
         WHERE other.id <> $1 AND (NOT $3 OR v.low_wrote AND v.high_wrote)",
    )
    .bind(user.get())
    .bind(ids(&others))
    .bind(how == Acquaintance::BothWrote)
    .fetch_all(connection)
    .await?;
    let oneself = others.contains(&user).then_some(Ok(user));
    peers.into_iter().map(id).chain(oneself).collect()
}

pub(super) async fn acquaintances(
    connection: &mut PgConnection,
    user: UserId,
    how: Acquaintance,
    limit: u32,
) -> sqlx::Result<Vec<UserId>> {
    let peers: Vec<i64> = sqlx::query_scalar(
        "SELECT CASE WHEN v.low_user = $1 THEN v.high_user ELSE v.low_user END
         FROM members m JOIN conversations v ON v.id = m.conversation_id
         WHERE m.user_id = $1 AND v.kind = 'direct'
             AND (NOT $2 OR v.low_wrote AND v.high_wrote)
         ORDER BY m.conversation_id DESC LIMIT $3",
    )
    .bind(user.get())
    .bind(how == Acquaintance::BothWrote)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    peers.into_iter().map(id).collect()
}

pub(super) async fn save_last_seen(
    connection: &mut PgConnection,
    seen: Vec<(UserId, Timestamp)>,
) -> sqlx::Result<()> {
    // Each user once, or the statement would meet its own row; in ascending id, so that replicas do
    // not wait for each other. What is known is left out first: the conflict alone would lock its row,
    // which is a write.
    let mut latest: BTreeMap<i64, i64> = BTreeMap::new();
    for (user, at) in seen {
        let at = at.as_millis();
        latest.entry(user.get()).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }
    if latest.is_empty() {
        return Ok(());
    }
    let (users, times): (Vec<i64>, Vec<i64>) = latest.into_iter().unzip();
    sqlx::query(
        "INSERT INTO last_seen (user_id, seen_at)
         SELECT n.user_id, n.seen_at FROM unnest($1::bigint[], $2::bigint[]) n (user_id, seen_at)
         WHERE NOT EXISTS (SELECT FROM users u
                           WHERE u.id = n.user_id AND u.erased_at IS NOT NULL)
             AND NOT EXISTS (SELECT FROM last_seen l
                             WHERE l.user_id = n.user_id AND l.seen_at >= n.seen_at)
         ORDER BY n.user_id
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at
         WHERE excluded.seen_at > last_seen.seen_at",
    )
    .bind(users)
    .bind(times)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn last_seen(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<HashMap<UserId, Timestamp>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT user_id, seen_at FROM last_seen WHERE user_id = ANY($1)")
            .bind(ids(&users))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(user, at)| Ok((id(user)?, Timestamp::from_millis(at)))).collect()
}
