//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! A few statements, whatever the length of the batch. Groups are locked first, where there are any. Then
//! the counters of all who get an event are locked. That is what keeps replicas apart: nobody else can
//! commit a chat of theirs from then on, so what the statements after it see stays true until the commit.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{Connection, PgConnection};

use super::{
    PgStore, append_fast,
    dialect::{Now, ids, sql},
    error::classify,
    shared::{append_any, chats_query},
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Mentions, Payload, Seq, UserId, UserName},
    store::{
        Appended, Appends, NewChat, StoreError,
        batch::{
            self, Earlier, EarlierRow, NamedConversations, NamedRow, Numbered, Pair, People, Sides,
            TalkRow, Talks,
        },
        error::corrupt,
    },
};

/// How many batches to check for duplicates first, after one that had some: a client that repeats a chat,
/// because it lost a connection or means harm, seldom does so once.
const CHECKED_BATCHES: u32 = 100;

/// How many batches more this replica checks for duplicates first.
#[derive(Debug, Default)]
pub(super) struct DuplicateCheck(AtomicU32);

impl DuplicateCheck {
    fn is_due(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// The direct conversation `v` of each pair `p`, by a probe of the index. A plain join is planned as a
/// scan of all conversations as long as Postgres knows nothing of the table, and the plan is kept; the
/// limit leaves no other way.
macro_rules! conversation_of_pair {
    () => {
        "LATERAL (SELECT id, low_wrote, high_wrote FROM conversations
             WHERE kind = 'direct' AND low_user = p.low AND high_user = p.high LIMIT 1) v"
    };
}
pub(super) use conversation_of_pair;

#[async_trait]
impl Appends for PgStore {
    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, duplicates) = (batch.to_vec(), Arc::clone(&self.duplicates));
        let append =
            self.writer.run(move |c| async move { append(c, &duplicates, &batch).await }.boxed());
        append.await.map_err(classify)
    }

    async fn try_writing(&self) -> Result<(), StoreError> {
        self.writer.run(|c| try_writing(c).boxed()).await.map_err(classify)
    }
}

/// Writes what a batch writes, takes it back, and commits the rest, which is nothing. So it needs the
/// same locks, room on the disk, and whatever a commit waits for. The text is one that cannot be
/// compressed, for which the tables grow by some pages.
async fn try_writing(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let mut trial = transaction.begin().await?;
    // Nobody has this id, and no two sessions try the same one.
    sqlx::query(
        "WITH trial (id) AS (VALUES (-pg_backend_pid()::bigint)), counter AS (
             INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 1 FROM trial
         ), event AS (
             INSERT INTO timeline_events (user_id, seq, kind, chat_id)
             SELECT id, 1, 'chat', id FROM trial
         )
         INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content,
             created_at)
         SELECT id, id, id, 1, 'trial', 'text',
             (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1500)), 0
         FROM trial",
    )
    .execute(&mut *trial)
    .await?;
    trial.rollback().await?;
    transaction.commit().await
}

/// Duplicates are rare: rely on the unique index, and retry with an explicit check when it fires.
async fn append(
    connection: &mut PgConnection,
    duplicates: &DuplicateCheck,
    batch: &[NewChat],
) -> sqlx::Result<Vec<Appended>> {
    if !duplicates.is_due() {
        let done = match append_fast::append(connection, batch).await {
            Ok(Some(answers)) => return Ok(answers),
            Ok(None) => in_transaction(connection, batch, false).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if is_duplicate(&error) => duplicates.0.store(CHECKED_BATCHES, Relaxed),
            done => return done,
        }
    }
    in_transaction(connection, batch, true).await
}

/// Whether a chat was committed before under the same key.
fn is_duplicate(error: &sqlx::Error) -> bool {
    let constraint = error.as_database_error().and_then(|error| error.constraint());
    constraint == Some("chats_sender_id_client_msg_id_key")
}

async fn in_transaction(
    connection: &mut PgConnection,
    batch: &[NewChat],
    has_duplicates: bool,
) -> sqlx::Result<Vec<Appended>> {
    let mut tx = connection.begin().await?;
    let answers = append_any(&mut tx, batch, has_duplicates, || None).await?;
    // Where no chat is new nothing was written but locks, and a commit would wait for the disk.
    if answers.iter().any(|answer| matches!(answer, Appended::Committed(_))) {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(answers)
}

/// Locks the groups among these conversations, in ascending id, if any of the senders may write there, so
/// that a stranger locks nobody out.
pub(super) async fn lock_named(
    tx: &mut PgConnection,
    batch: &[NewChat],
    wanted: &BTreeSet<ConversationId>,
) -> sqlx::Result<Vec<NamedRow>> {
    sqlx::query_as(
        "WITH locked AS MATERIALIZED (
             SELECT v.id FROM conversations v
             WHERE v.id = ANY($1) AND v.kind <> 'direct' AND (
                 EXISTS (SELECT 1 FROM members m WHERE m.conversation_id = v.id
                     AND m.user_id = ANY($2) AND m.state = 'member')
                 OR EXISTS (SELECT 1 FROM users u WHERE u.id = ANY($2) AND u.kind = 'system'))
             ORDER BY v.id FOR NO KEY UPDATE OF v
         )
         SELECT id, NULL::bigint, NULL::bigint FROM locked
         UNION ALL
         SELECT id, low_user, high_user FROM conversations WHERE id = ANY($1) AND kind = 'direct'",
    )
    .bind(ids(wanted))
    .bind(ids(batch.iter().map(|chat| &chat.sender)))
    .fetch_all(tx)
    .await
}

/// A user: id, name and kind; or a counter: its user, twice nothing, and the number; or a conversation: its lower user,
/// three times nothing, its id, its higher user, and who has written.
type LockedRow = (
    UserId,
    Option<UserName>,
    Option<String>,
    Option<Seq>,
    Option<ConversationId>,
    Option<UserId>,
    bool,
    bool,
);

/// Locks the counters of all who may get an event, in ascending id, and reads them. Every replica locks
/// in this order, and nothing after it that another one locks before, so none waits for one that waits
/// for it.
///
/// Users and counters are rows of their own: `locked` has no index, so a join would compare each with each.
///
/// It brings the direct conversations between them along, as they were before it waited for the locks:
/// none goes away, but one that was begun meanwhile is not among them.
pub(super) async fn lock(
    tx: &mut PgConnection,
    batch: &[NewChat],
    named: &NamedConversations,
) -> sqlx::Result<(People, Talks)> {
    let (low, high) = halves(&batch::pairs(batch, named));
    let rows: Vec<LockedRow> = sqlx::query_as(concat!(
        "WITH locked AS MATERIALIZED (
             SELECT user_id, last_seq FROM timelines WHERE user_id = ANY($1)
             ORDER BY user_id FOR NO KEY UPDATE
         )
         SELECT user_id, NULL::text, NULL::text, last_seq, NULL::bigint, NULL::bigint, false, false
         FROM locked
         UNION ALL
         SELECT id, name, kind, NULL, NULL, NULL, false, false
         FROM users WHERE id = ANY($1) AND erased_at IS NULL
         UNION ALL
         SELECT p.low, NULL, NULL, NULL, v.id, p.high, v.low_wrote, v.high_wrote
         FROM unnest($2::bigint[], $3::bigint[]) p (low, high), ",
        conversation_of_pair!()
    ))
    .bind(ids(&batch::users(batch, named)))
    .bind(low)
    .bind(high)
    .fetch_all(tx)
    .await?;
    let (mut users, mut counters, mut talks) = (Vec::new(), HashMap::new(), Vec::new());
    for row in rows {
        match row {
            (user, Some(name), Some(kind), ..) => users.push((user, name, kind)),
            (user, None, None, Some(last_seq), ..) => {
                counters.insert(user, last_seq);
            }
            (low, None, None, None, Some(conversation), Some(high), low_wrote, high_wrote) => {
                talks.push((conversation, low, high, low_wrote, high_wrote));
            }
            _ => return Err(corrupt("a row is no user, counter or conversation")),
        }
    }
    let people = users.into_iter().map(|(user, name, kind)| {
        let last_seq = counters.remove(&user);
        (user, name, kind, last_seq)
    });
    Ok((batch::people(people.collect()), batch::talks(talks)))
}

/// The chats that earlier batches committed under keys of this one. A statement of its own: the one
/// that locks sees the chats as they were before it waited.
pub(super) async fn earlier(tx: &mut PgConnection, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let (senders, keys): (Vec<UserId>, Vec<&str>) = batch::keys(batch).into_iter().unzip();
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq, c.request_digest,",
        "FROM unnest($1::bigint[], $2::text[]) k (sender_id, client_msg_id) JOIN chats c
             ON c.sender_id = k.sender_id AND c.client_msg_id = k.client_msg_id",
        ""
    ))
    .bind(senders)
    .bind(keys)
    .fetch_all(tx)
    .await?;
    Ok(batch::earlier(rows))
}

/// The conversations of these pairs, begun where there is none; notes which sides write. Whoever else would
/// begin one, or note a side, waits for the counters.
pub(super) async fn begin_or_note(
    tx: &mut PgConnection,
    writing: BTreeMap<Pair, Sides>,
    _now: Now,
) -> sqlx::Result<Talks> {
    let (low, high) = halves(writing.keys());
    // UNION: one row where both users are the same.
    let rows: Vec<TalkRow> = sqlx::query_as(concat!(
        "WITH talk AS (
             INSERT INTO conversations AS v
                 (kind, low_user, high_user, low_wrote, high_wrote, created_at)
             SELECT 'direct', low, high, low_writes, high_writes, ",
        sql!(now),
        " FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::boolean[])
                 p (low, high, low_writes, high_writes)
             ON CONFLICT (low_user, high_user) WHERE kind = 'direct' DO UPDATE
             SET low_wrote = v.low_wrote OR excluded.low_wrote,
                 high_wrote = v.high_wrote OR excluded.high_wrote
             RETURNING id, low_user, high_user, low_wrote, high_wrote
         ), joined AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT id, low_user FROM talk UNION SELECT id, high_user FROM talk
             ON CONFLICT DO NOTHING
         )
         SELECT id, low_user, high_user, low_wrote, high_wrote FROM talk"
    ))
    .bind(low)
    .bind(high)
    .bind(writing.values().map(|sides| sides.low).collect::<Vec<_>>())
    .bind(writing.values().map(|sides| sides.high).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(batch::talks(rows))
}

fn halves<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> (Vec<UserId>, Vec<UserId>) {
    pairs.into_iter().copied().unzip()
}

/// Writes the chats, their events, and the counters after them. Returns the ids, in the order
/// of the chats, and the time: both are taken within the locks, so that they rise in every
/// conversation.
pub(super) async fn write(
    tx: &mut PgConnection,
    numbered: &[Numbered<'_>],
    _now: Now,
) -> sqlx::Result<(Vec<ChatId>, Timestamp)> {
    fn all<'a, T>(of: &'a [Numbered<'a>], get: impl Fn(&'a Numbered<'a>) -> T) -> Vec<T> {
        of.iter().map(get).collect()
    }
    let (users, last): (Vec<UserId>, Vec<Seq>) = batch::counters(numbered).into_iter().unzip();
    let (mut event_chats, mut event_users, mut event_seqs) = (Vec::new(), Vec::new(), Vec::new());
    for (number, chat) in (1..).zip(numbered) {
        for (user, seq) in &chat.places {
            event_chats.push(number);
            event_users.push(*user);
            event_seqs.push(*seq);
        }
    }
    let counters = users.len();
    let (ids, now, moved): (Vec<ChatId>, Timestamp, i64) = sqlx::query_as(concat!(
        "WITH chat AS MATERIALIZED (
             SELECT nextval('chat_ids') AS id, clock.now, n.*
             FROM (SELECT ",
        sql!(now),
        " AS now) clock,
                 unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::bigint[], $9::text[], $15::bytea[]) n (conversation_id, sender_id,
                     sender_seq, client_msg_id, kind, content, body, reply_to, mentions,
                     request_digest)
         ), stored AS (
             INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
                 content, created_at, body, reply_to, mentions, request_digest)
             SELECT id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content, now,
                 body, reply_to, mentions, request_digest
             FROM chat
         ), told AS (
             INSERT INTO outbox (kind, conversation_id, chat_id, created_at)
             SELECT 'chat.created', conversation_id, id, now FROM chat
             WHERE (SELECT outbox_enabled FROM service WHERE id = 1)
         ), place AS MATERIALIZED (
             SELECT array_agg(id) AS ids, max(now) AS now FROM chat
         ), event AS (
             INSERT INTO timeline_events (user_id, seq, kind, chat_id)
             SELECT n.user_id, n.seq, 'chat', place.ids[n.chat]
             FROM place, unnest($10::integer[], $11::bigint[], $12::bigint[]) n (chat, user_id, seq)
         ), moved AS (
             UPDATE timelines t SET last_seq = n.last_seq
             FROM unnest($13::bigint[], $14::bigint[]) n (user_id, last_seq)
             WHERE t.user_id = n.user_id
             RETURNING 1
         )
         SELECT ids, now, (SELECT count(*) FROM moved) FROM place"
    ))
    .bind(all(numbered, |it| it.conversation))
    .bind(all(numbered, |it| it.chat.sender))
    .bind(all(numbered, Numbered::sender_seq))
    .bind(all(numbered, |it| it.chat.client_msg_id.as_str()))
    .bind(all(numbered, |it| it.chat.kind.as_str()))
    .bind(all(numbered, |it| it.chat.content.as_str()))
    .bind(all(numbered, |it| it.chat.body.as_ref().map(Payload::as_str)))
    .bind(all(numbered, |it| it.chat.reply_to))
    .bind(all(numbered, |it| it.chat.mentions.as_ref().map(Mentions::to_json)))
    .bind(event_chats)
    .bind(event_users)
    .bind(event_seqs)
    .bind(users)
    .bind(last)
    .bind(all(numbered, |it| it.chat.asked.map(|digest| digest.0.to_vec())))
    .fetch_one(tx)
    .await?;
    if usize::try_from(moved) != Ok(counters) {
        return Err(corrupt("a counter went missing within a transaction"));
    }
    Ok((ids, now))
}
