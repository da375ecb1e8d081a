//! How SQLite spells what `shared/` asks of every database.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteRow};

use super::SqliteStore;
use crate::{
    clock::Timestamp,
    domain::{
        AvatarUrl, ChatId, ConversationId, ExternalId, Payload, Profile, Seq, UserFacts, UserId,
        UserName,
    },
    store::{Places, USER_OFFLINE},
};

pub(super) type Db = SqliteStore;
pub(super) type Conn = SqliteConnection;
pub(super) type DbRow = SqliteRow;

/// The time of a statement, by the store's clock.
pub(super) type Now = Timestamp;

/// Parts of statements.
///
/// * `in`: is one of a list
/// * `rows`: a list of ids as a table
/// * `records`: a JSON array of objects as a table, with these columns
/// * `bytes`: the bytes that a text of hexadecimal digits stands for
/// * `for`: nothing, since a write has locked the whole file
/// * `now`: a [`Now`] that is bound
/// * `latest_of_each`: see `latest_chats_query!`
macro_rules! sql {
    (in $list:literal) => {
        concat!("IN (SELECT value FROM json_each(", $list, "))")
    };
    (rows $list:literal as $name:literal) => {
        concat!("(SELECT value AS id FROM json_each(", $list, ")) ", $name)
    };
    (records $list:literal as $name:literal
        ($first:literal $of:literal $(, $column:literal $type:literal)*)) => {
        concat!(
            "(SELECT value ->> '", $first, "' AS ", $first
            $(, ", value ->> '", $column, "' AS ", $column)*,
            " FROM json_each(", $list, ")) ", $name
        )
    };
    (bytes $of:literal) => {
        concat!("unhex(", $of, ")")
    };
    (least $of:literal) => {
        concat!("min(", $of, ")")
    };
    (greatest $of:literal) => {
        concat!("max(", $of, ")")
    };
    (for $lock:literal) => {
        ""
    };
    (now $bound:literal) => {
        $bound
    };
    (latest_of_each) => {
        "chats x WHERE x.conversation_id = n.conversation_id
             AND x.id >= max((SELECT first_id FROM bound), coalesce((
                 SELECT y.id FROM chats y WHERE y.conversation_id = n.conversation_id
                 ORDER BY y.id DESC LIMIT 1 OFFSET $2 - 1
             ), 0))"
    };
}
pub(super) use sql;

/// Ids as one parameter, which statements unfold with `json_each`: SQLite has no arrays, and a
/// statement for each element is a trip to the connection's thread for each.
pub(super) fn ids<'a, T: Copy + Into<i64> + 'a>(ids: impl IntoIterator<Item = &'a T>) -> String {
    list(ids.into_iter().map(|&id| Value::from(id.into())))
}

/// Texts as one parameter.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    list(texts.map(Value::from))
}

/// Tuples or other values as one parameter. JSON carries every text without U+0000 unchanged.
pub(super) fn list(values: impl Iterator<Item = Value>) -> String {
    Value::Array(values.collect()).to_string()
}

/// Makes those of these users that do not exist, and returns them.
pub(super) async fn make_users(
    connection: &mut SqliteConnection,
    users: BTreeMap<UserId, UserName>,
    now: Now,
) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar(
        "INSERT INTO users (id, name, created_at)
         SELECT value ->> 0, value ->> 1, ?2 FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind(list(users.iter().map(|user| json!(user))))
    .bind(now)
    .fetch_all(connection)
    .await
}

/// Tells that these users were made, if the outbox is on.
pub(super) async fn tell_created(
    connection: &mut SqliteConnection,
    users: &[UserId],
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (kind, payload, created_at)
         SELECT 'user.created', json_object('userId', id), created_at
         FROM users WHERE id IN (SELECT value FROM json_each(?1))
             AND (SELECT outbox_enabled FROM service WHERE id = 1)
         ORDER BY id",
    )
    .bind(ids(users))
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells of these users at these times, if the outbox is on.
pub(super) async fn tell_of_users(
    connection: &mut SqliteConnection,
    kind: &str,
    users: &[(UserId, Timestamp)],
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (kind, payload, created_at)
         SELECT ?1, json_object('userId', value ->> 0), value ->> 1 FROM json_each(?2)
         WHERE (SELECT outbox_enabled FROM service WHERE id = 1)",
    )
    .bind(kind)
    .bind(list(users.iter().map(|(user, at)| json!([user, at.as_millis()]))))
    .execute(connection)
    .await?;
    Ok(())
}

/// Raises when these users were last seen, and tells of those that it did.
pub(super) async fn raise_last_seen(
    connection: &mut SqliteConnection,
    seen: BTreeMap<UserId, Timestamp>,
) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let raised: Vec<(UserId, Timestamp)> = sqlx::query_as(
        "INSERT INTO last_seen (user_id, seen_at)
         SELECT value ->> 0, value ->> 1 FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = value ->> 0 AND u.erased_at IS NOT NULL)
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at
         WHERE excluded.seen_at > seen_at
         RETURNING user_id, seen_at",
    )
    .bind(list(seen.iter().map(|(user, at)| json!([user, at.as_millis()]))))
    .fetch_all(&mut *tx)
    .await?;
    tell_of_users(&mut tx, USER_OFFLINE, &raised).await?;
    tx.commit().await
}

/// Forgets events of a timeline.
pub(super) async fn forget_events(
    connection: &mut SqliteConnection,
    user: UserId,
    up_to: Seq,
) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "UPDATE timelines SET first_seq = max(first_seq, min(?2, last_seq) + 1) WHERE user_id = ?1",
    )
    .bind(user)
    .bind(up_to)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM timeline_events WHERE user_id = ?1
             AND seq < (SELECT first_seq FROM timelines WHERE user_id = ?1)",
    )
    .bind(user)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Adds an event to the timelines of these users who are persons, and numbers it.
pub(super) async fn add_event(
    connection: &mut SqliteConnection,
    users: &[UserId],
    kind: &str,
    chat: Option<ChatId>,
    conversation: Option<ConversationId>,
    payload: Option<&str>,
    now: Now,
) -> sqlx::Result<Places> {
    let mut places: Vec<(UserId, Seq)> = sqlx::query_as(
        "INSERT INTO timelines (user_id, first_seq, last_seq)
         SELECT u.id, 1, 1 FROM users u WHERE u.id IN (SELECT value FROM json_each(?1))
             AND u.kind = 'person' AND u.erased_at IS NULL
         ON CONFLICT (user_id) DO UPDATE SET last_seq = last_seq + 1
         RETURNING user_id, last_seq",
    )
    .bind(ids(users))
    .fetch_all(&mut *connection)
    .await?;
    places.sort_unstable();
    sqlx::query(
        "INSERT INTO timeline_events
             (user_id, seq, kind, chat_id, conversation_id, payload, created_at)
         SELECT value ->> 0, value ->> 1, ?2, ?3, ?4, ?5, ?6 FROM json_each(?1)",
    )
    .bind(list(places.iter().map(|place| json!(place))))
    .bind(kind)
    .bind(chat)
    .bind(conversation)
    .bind(payload)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(places.into())
}

/// The next id of chats and of their changes.
pub(super) async fn next_chat_id(connection: &mut SqliteConnection) -> sqlx::Result<ChatId> {
    sqlx::query_scalar(
        "UPDATE service SET last_chat_id = last_chat_id + 1 WHERE id = 1 RETURNING last_chat_id",
    )
    .fetch_one(connection)
    .await
}

/// So many ids for new users, which nobody has.
pub(super) async fn take_user_ids(
    connection: &mut SqliteConnection,
    count: usize,
) -> sqlx::Result<Vec<UserId>> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(next_user_id(connection).await?);
    }
    Ok(ids)
}

/// Takes the next id that nobody has: clients of the legacy routes may have named it as theirs.
pub(super) async fn next_user_id(connection: &mut SqliteConnection) -> sqlx::Result<UserId> {
    sqlx::query_scalar(
        "WITH RECURSIVE candidate (id) AS (
             SELECT next_user_id FROM service WHERE id = 1
             UNION ALL
             SELECT candidate.id + 1 FROM candidate JOIN users ON users.id = candidate.id
         )
         UPDATE service SET next_user_id = (SELECT max(id) FROM candidate) + 1 WHERE id = 1
         RETURNING next_user_id - 1",
    )
    .fetch_one(connection)
    .await
}

/// Writes what a back end calls these users. Returns those of whom nobody else had the id.
pub(super) async fn write_external(
    connection: &mut SqliteConnection,
    users: &[(&ExternalId, UserId)],
) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar(
        "INSERT INTO identities (provider, subject, user_id)
         SELECT 'external', value ->> 0, value ->> 1 FROM json_each(?1) WHERE true
         ON CONFLICT DO NOTHING RETURNING user_id",
    )
    .bind(list(users.iter().map(|(id, user)| json!([id, user]))))
    .fetch_all(connection)
    .await
}

/// Brings these people up to date.
pub(super) async fn tell_facts(
    connection: &mut SqliteConnection,
    facts: &[(UserId, UserFacts)],
) -> sqlx::Result<()> {
    let rows = facts.iter().map(|(user, UserFacts { name, avatar_url, profile })| {
        let Profile { public, hidden } = profile.clone().unwrap_or_default();
        json!([
            user,
            name,
            avatar_url.is_some(),
            avatar_url.as_ref().and_then(Option::as_ref).map(AvatarUrl::as_str),
            profile.is_some(),
            public.as_ref().map(Payload::as_str),
            hidden.as_ref().map(Payload::as_str),
        ])
    });
    sqlx::query(
        "UPDATE users SET name = coalesce(n.value ->> 1, name),
             avatar_url = iif(n.value ->> 2, n.value ->> 3, avatar_url),
             public_profile = iif(n.value ->> 4, n.value ->> 5, public_profile),
             hidden_profile = iif(n.value ->> 4, n.value ->> 6, hidden_profile)
         FROM json_each(?1) n
         WHERE users.id = n.value ->> 0 AND kind = 'person' AND erased_at IS NULL",
    )
    .bind(list(rows))
    .execute(connection)
    .await?;
    Ok(())
}
