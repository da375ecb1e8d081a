//! How Postgres spells what `shared/` asks of every database.

use std::collections::BTreeMap;

use sqlx::{PgConnection, postgres::PgRow};

use super::PgStore;
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Seq, UserId, UserName},
    store::Places,
};

pub(super) type Db = PgStore;
pub(super) type Conn = PgConnection;
pub(super) type DbRow = PgRow;

/// The time of a statement. `None`: the database's own, one clock for all replicas.
pub(super) type Now = Option<Timestamp>;

/// Parts of statements.
///
/// * `in`: is one of a list
/// * `rows`: a list of ids as a table
/// * `for`: the lock of a row that is read
/// * `now`: the time in milliseconds, or a [`Now`] that is bound
/// * `latest_of_each`: see `latest_chats_query!`
macro_rules! sql {
    (in $list:literal) => {
        concat!("= ANY(", $list, ")")
    };
    (rows $list:literal as $name:literal) => {
        concat!("unnest(", $list, "::bigint[]) ", $name, " (id)")
    };
    (least $of:literal) => {
        concat!("least(", $of, ")")
    };
    (greatest $of:literal) => {
        concat!("greatest(", $of, ")")
    };
    (for $lock:literal) => {
        concat!(" FOR ", $lock)
    };
    (now) => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
    (now $bound:literal) => {
        concat!("coalesce(", $bound, "::bigint, ", sql!(now), ")")
    };
    // A limit that the planner does not know counts as small, so it walks the index from the end. It would
    // rather read and sort the whole of a conversation that it takes for short.
    (latest_of_each) => {
        "LATERAL (
             SELECT y.id FROM chats y
             WHERE y.conversation_id = n.conversation_id
                 AND y.id >= (SELECT first_id FROM bound)
             ORDER BY y.id DESC LIMIT (SELECT $2)
         ) x"
    };
}
pub(super) use sql;

/// Ids as one parameter.
pub(super) fn ids<'a, T: Copy + Into<i64> + 'a>(ids: impl IntoIterator<Item = &'a T>) -> Vec<i64> {
    ids.into_iter().map(|&id| id.into()).collect()
}

/// Texts as one parameter.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    texts.collect()
}

/// Makes those of these users that do not exist. A user and the user's counter are made in one statement; see
/// the migration.
pub(super) async fn make_users(
    connection: &mut PgConnection,
    users: BTreeMap<UserId, UserName>,
    _now: Now,
) -> sqlx::Result<()> {
    let (ids, names): (Vec<UserId>, Vec<UserName>) = users.into_iter().unzip();
    sqlx::query(concat!(
        "WITH made AS (
             INSERT INTO users (id, name, created_at)
             SELECT n.id, n.name, ",
        sql!(now),
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

/// Raises when these users were last seen. What is known is left out first: the conflict alone would lock
/// its row, which is a write.
pub(super) async fn raise_last_seen(
    connection: &mut PgConnection,
    seen: BTreeMap<UserId, Timestamp>,
) -> sqlx::Result<()> {
    let (users, times): (Vec<UserId>, Vec<i64>) =
        seen.into_iter().map(|(user, at)| (user, at.as_millis())).unzip();
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

/// Forgets events of a timeline. One statement, so that the counter is locked for nothing but the work of
/// the database.
pub(super) async fn forget_events(
    connection: &mut PgConnection,
    user: UserId,
    up_to: Seq,
) -> sqlx::Result<()> {
    sqlx::query(
        "WITH trimmed AS (
             UPDATE timelines SET first_seq = greatest(first_seq, least($2, last_seq) + 1)
             WHERE user_id = $1 RETURNING first_seq
         )
         DELETE FROM timeline_events
         WHERE user_id = $1 AND seq < (SELECT first_seq FROM trimmed)",
    )
    .bind(user)
    .bind(up_to)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds an event to the timelines of these users, in ascending id, who are persons: locks their counters in that
/// order, and numbers it.
pub(super) async fn add_event(
    connection: &mut PgConnection,
    users: &[UserId],
    kind: &str,
    chat: Option<ChatId>,
    conversation: Option<ConversationId>,
    payload: Option<&str>,
    _now: Now,
) -> sqlx::Result<Places> {
    let places: Vec<(UserId, Seq)> = sqlx::query_as(concat!(
        "WITH locked AS MATERIALIZED (
             SELECT user_id FROM timelines WHERE user_id = ANY($1)
             ORDER BY user_id FOR NO KEY UPDATE
         ), raised AS (
             UPDATE timelines t SET last_seq = t.last_seq + 1 FROM locked
             WHERE t.user_id = locked.user_id RETURNING t.user_id, t.last_seq
         ), event AS (
             INSERT INTO timeline_events
                 (user_id, seq, kind, chat_id, conversation_id, payload, created_at)
             SELECT user_id, last_seq, $2, $3, $4, $5, ",
        sql!(now),
        " FROM raised
         )
         SELECT user_id, last_seq FROM raised ORDER BY user_id"
    ))
    .bind(ids(users))
    .bind(kind)
    .bind(chat)
    .bind(conversation)
    .bind(payload)
    .fetch_all(connection)
    .await?;
    Ok(places.into())
}

/// The next id of chats and of their changes.
pub(super) async fn next_chat_id(connection: &mut PgConnection) -> sqlx::Result<ChatId> {
    sqlx::query_scalar("SELECT nextval('chat_ids')").fetch_one(connection).await
}
