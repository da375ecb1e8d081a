//! How Postgres spells what `shared/` asks of every database.

use std::collections::BTreeMap;

use sqlx::{PgConnection, postgres::PgRow};

use super::PgStore;
use crate::{
    clock::Timestamp,
    domain::{
        AvatarUrl, ChatId, ConversationId, ExternalId, Payload, Seq, UserFacts, UserId, UserName,
    },
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
/// * `records`: a JSON array of objects as a table, with these columns and their types
/// * `bytes`: the bytes that a text of hexadecimal digits stands for
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
    (records $list:literal as $name:literal
        ($first:literal $of:literal $(, $column:literal $type:literal)*)) => {
        concat!(
            "json_to_recordset(", $list, "::json) ", $name,
            " (", $first, " ", $of $(, ", ", $column, " ", $type)*, ")"
        )
    };
    (bytes $of:literal) => {
        concat!("decode(", $of, ", 'hex')")
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

/// The entries of the outbox about the users `made`.
macro_rules! tell_made {
    () => {
        concat!(
            "INSERT INTO outbox (kind, payload, created_at)
             SELECT 'user.created', json_build_object('userId', id)::text, ",
            sql!(now),
            " FROM made WHERE (SELECT outbox_enabled FROM service WHERE id = 1)"
        )
    };
}
pub(super) use tell_made;

/// Ids as one parameter.
pub(super) fn ids<'a, T: Copy + Into<i64> + 'a>(ids: impl IntoIterator<Item = &'a T>) -> Vec<i64> {
    ids.into_iter().map(|&id| id.into()).collect()
}

/// Texts as one parameter.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    texts.collect()
}

/// Makes those of these users that do not exist, and returns them. A user and the user's counter are made in one statement; see
/// the migration.
pub(super) async fn make_users(
    connection: &mut PgConnection,
    users: BTreeMap<UserId, UserName>,
    _now: Now,
) -> sqlx::Result<Vec<UserId>> {
    let (ids, names): (Vec<UserId>, Vec<UserName>) = users.into_iter().unzip();
    sqlx::query_scalar(concat!(
        "WITH made AS (
             INSERT INTO users (id, name, created_at)
             SELECT n.id, n.name, ",
        sql!(now),
        " FROM unnest($1::bigint[], $2::text[]) n (id, name)
             ORDER BY n.id
             ON CONFLICT (id) DO NOTHING RETURNING id
         )
         INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made
         RETURNING user_id"
    ))
    .bind(ids)
    .bind(names)
    .fetch_all(connection)
    .await
}

/// Tells that these users were made, if the outbox is on.
pub(super) async fn tell_created(
    connection: &mut PgConnection,
    users: &[UserId],
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (kind, payload, created_at)
         SELECT 'user.created', json_build_object('userId', id)::text, created_at
         FROM users WHERE id = ANY($1) AND (SELECT outbox_enabled FROM service WHERE id = 1)
         ORDER BY id",
    )
    .bind(users)
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells of these users at these times, if the outbox is on.
pub(super) async fn tell_of_users(
    connection: &mut PgConnection,
    kind: &str,
    users: &[(UserId, Timestamp)],
) -> sqlx::Result<()> {
    let (users, times): (Vec<UserId>, Vec<i64>) =
        users.iter().map(|(user, at)| (*user, at.as_millis())).unzip();
    sqlx::query(
        "INSERT INTO outbox (kind, payload, created_at)
         SELECT $1, json_build_object('userId', n.id)::text, n.at
         FROM unnest($2::bigint[], $3::bigint[]) n (id, at)
         WHERE (SELECT outbox_enabled FROM service WHERE id = 1)",
    )
    .bind(kind)
    .bind(users)
    .bind(times)
    .execute(connection)
    .await?;
    Ok(())
}

/// Raises when these users were last seen, and tells of those that it did. What is known is left out first:
/// the conflict alone would lock its row, which is a write.
pub(super) async fn raise_last_seen(
    connection: &mut PgConnection,
    seen: BTreeMap<UserId, Timestamp>,
) -> sqlx::Result<()> {
    let (users, times): (Vec<UserId>, Vec<i64>) =
        seen.into_iter().map(|(user, at)| (user, at.as_millis())).unzip();
    sqlx::query(
        "WITH raised AS (
         INSERT INTO last_seen (user_id, seen_at)
         SELECT n.user_id, n.seen_at FROM unnest($1::bigint[], $2::bigint[]) n (user_id, seen_at)
         WHERE NOT EXISTS (SELECT FROM users u
                           WHERE u.id = n.user_id AND u.erased_at IS NOT NULL)
             AND NOT EXISTS (SELECT FROM last_seen l
                             WHERE l.user_id = n.user_id AND l.seen_at >= n.seen_at)
         ORDER BY n.user_id
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at
         WHERE excluded.seen_at > last_seen.seen_at
         RETURNING user_id, seen_at
         )
         INSERT INTO outbox (kind, payload, created_at)
         SELECT 'user.offline', json_build_object('userId', user_id)::text, seen_at FROM raised
         WHERE (SELECT outbox_enabled FROM service WHERE id = 1)",
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

/// So many ids for new users, which nobody has.
pub(super) async fn take_user_ids(
    connection: &mut PgConnection,
    count: usize,
) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar(
        "SELECT n.id FROM (SELECT nextval('user_ids') AS id FROM generate_series(1, $1)) n
         WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = n.id) ORDER BY n.id",
    )
    .bind(i64::try_from(count).expect("a list is short"))
    .fetch_all(connection)
    .await
}

/// Writes what a back end calls these users. Returns those of whom nobody else had the id.
pub(super) async fn write_external(
    connection: &mut PgConnection,
    users: &[(&ExternalId, UserId)],
) -> sqlx::Result<Vec<UserId>> {
    let (subjects, users): (Vec<&str>, Vec<UserId>) =
        users.iter().map(|(id, user)| (id.as_str(), *user)).unzip();
    sqlx::query_scalar(
        "INSERT INTO identities (provider, subject, user_id)
         SELECT 'external', n.subject, n.user_id
         FROM (SELECT * FROM unnest($1::text[], $2::bigint[]) u (subject, user_id)
             ORDER BY subject COLLATE \"C\" OFFSET 0) n
         ON CONFLICT DO NOTHING RETURNING user_id",
    )
    .bind(subjects)
    .bind(users)
    .fetch_all(connection)
    .await
}

/// Brings these people up to date.
pub(super) async fn tell_facts(
    connection: &mut PgConnection,
    facts: &[(UserId, UserFacts)],
) -> sqlx::Result<()> {
    let all = || facts.iter().map(|(_, facts)| facts);
    let profile = |facts: &'_ UserFacts| facts.profile.clone().unwrap_or_default();
    sqlx::query(
        "UPDATE users u SET name = coalesce(n.name, u.name),
             avatar_url = CASE WHEN n.has_avatar THEN n.avatar_url ELSE u.avatar_url END,
             public_profile = CASE WHEN n.has_profile THEN n.public ELSE u.public_profile END,
             hidden_profile = CASE WHEN n.has_profile THEN n.hidden ELSE u.hidden_profile END
         FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::text[], $5::boolean[], $6::text[],
             $7::text[]) n (id, name, has_avatar, avatar_url, has_profile, public, hidden)
         WHERE u.id = n.id AND u.kind = 'person' AND u.erased_at IS NULL",
    )
    .bind(facts.iter().map(|(user, _)| *user).collect::<Vec<_>>())
    .bind(all().map(|it| it.name.as_ref().map(UserName::as_str)).collect::<Vec<_>>())
    .bind(all().map(|it| it.avatar_url.is_some()).collect::<Vec<_>>())
    .bind(
        all().map(|it| it.avatar_url.as_ref()?.as_ref().map(AvatarUrl::as_str)).collect::<Vec<_>>(),
    )
    .bind(all().map(|it| it.profile.is_some()).collect::<Vec<_>>())
    .bind(all().map(|it| profile(it).public.as_ref().map(text)).collect::<Vec<_>>())
    .bind(all().map(|it| profile(it).hidden.as_ref().map(text)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn text(payload: &Payload) -> String {
    payload.as_str().to_owned()
}
