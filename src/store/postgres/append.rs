//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! Two statements, whatever the length of the batch, and others only where it is not as usual. The
//! first locks the counters of all users of the batch. That is what keeps replicas apart: nobody else
//! can commit a chat of theirs from then on, so what the statements after it see stays true until the
//! commit.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use sqlx::{Connection, PgConnection, Postgres, Transaction};

use super::{at_once, conversation_of_pair, now_millis, rows::ids, store_chats};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Seq},
    store::{
        Appended, NewChat,
        batch::{self, Earlier, EarlierRow, Numbered, Pair, People, Plan, by_pair},
        error::corrupt,
        rows::{chats_query, id},
    },
};

type Tx<'c> = Transaction<'c, Postgres>;

/// For how many batches it is looked for repeats before anything is written, after one that had some.
/// Who repeats a chat, because a connection was lost or to do harm, seldom does so once.
const WARY_BATCHES: u32 = 100;

/// For how many batches more a replica looks for repeats first.
#[derive(Debug, Default)]
pub(super) struct Wariness(AtomicU32);

impl Wariness {
    fn is_due(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Commits a batch. Hardly any has repeats, so it is not looked for them unless there were some
/// lately: the unique index tells, and then the batch begins anew.
pub(super) async fn append(
    connection: &mut PgConnection,
    wariness: &Wariness,
    batch: Vec<NewChat>,
) -> sqlx::Result<Vec<Appended>> {
    if !wariness.is_due() {
        let done = match at_once::append(connection, &batch).await {
            Ok(Some(answers)) => return Ok(answers),
            Ok(None) => attempt(connection, &batch, false).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if is_repeat(&error) => wariness.0.store(WARY_BATCHES, Relaxed),
            done => return done,
        }
    }
    attempt(connection, &batch, true).await
}

/// Whether a chat was committed before under the same key.
fn is_repeat(error: &sqlx::Error) -> bool {
    let constraint = error.as_database_error().and_then(|error| error.constraint());
    constraint == Some("chats_sender_id_client_msg_id_key")
}

async fn attempt(
    connection: &mut PgConnection,
    batch: &[NewChat],
    is_wary: bool,
) -> sqlx::Result<Vec<Appended>> {
    let mut tx = connection.begin().await?;
    let (mut people, mut conversations) = lock(&mut tx, batch).await?;
    let earlier = if is_wary { earlier(&mut tx, batch).await? } else { Earlier::new() };
    let plan = Plan::of(batch, |user| people.contains_key(&user), &earlier);
    if plan.len() == 0 {
        tx.rollback().await?;
        return Ok(plan.answers(&[]));
    }
    let mut missing = plan.pairs();
    missing.retain(|pair| !conversations.contains_key(pair));
    if !missing.is_empty() {
        conversations.extend(find_or_begin(&mut tx, missing).await?);
    }
    let numbered = plan.number(&conversations, &mut people)?;
    let (ids, now) = write(&mut tx, &numbered).await?;
    let committed = batch::committed(numbered, ids, now)?;
    tx.commit().await?;
    Ok(plan.answers(&committed))
}

/// Locks the counters of all users of the batch, in ascending id, and reads them. Every replica locks
/// in this order and before anything else, so none waits for one that waits for it. A user who was
/// erased has no counter.
///
/// It brings the conversations between them along, as they were before it waited for the locks: they
/// never change, but one that was begun meanwhile is not among them.
async fn lock(
    tx: &mut Tx<'_>,
    batch: &[NewChat],
) -> sqlx::Result<(People, HashMap<Pair, ConversationId>)> {
    let (low, high) = halves(&batch::pairs(batch));
    let rows: Vec<(i64, Option<String>, i64, Option<i64>)> = sqlx::query_as(concat!(
        "WITH locked AS MATERIALIZED (
             SELECT t.user_id, u.name, t.last_seq
             FROM timelines t JOIN users u ON u.id = t.user_id
             WHERE t.user_id = ANY($1)
             ORDER BY t.user_id FOR NO KEY UPDATE OF t
         )
         SELECT user_id, name, last_seq, NULL::bigint FROM locked
         UNION ALL
         SELECT p.low, NULL, v.id, p.high
         FROM unnest($2::bigint[], $3::bigint[]) p (low, high), ",
        conversation_of_pair!()
    ))
    .bind(ids(&batch::users(batch)))
    .bind(low)
    .bind(high)
    .fetch_all(&mut **tx)
    .await?;
    let (mut people, mut conversations) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            (user, Some(name), last_seq, _) => people.push((user, name, last_seq)),
            (low, None, conversation, high) => {
                conversations.push((conversation, low, high.unwrap_or_default()));
            }
        }
    }
    Ok((batch::people(people)?, by_pair(conversations)?))
}

/// The chats that earlier batches committed under keys of this one. A statement of its own: the one
/// that locks sees the chats as they were before it waited.
async fn earlier(tx: &mut Tx<'_>, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let (senders, keys): (Vec<i64>, Vec<&str>) =
        batch::keys(batch).into_iter().map(|(sender, key)| (sender.get(), key)).unzip();
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq,",
        "FROM unnest($1::bigint[], $2::text[]) k (sender_id, client_msg_id) JOIN chats c
             ON c.sender_id = k.sender_id AND c.client_msg_id = k.client_msg_id",
        ""
    ))
    .bind(senders)
    .bind(keys)
    .fetch_all(&mut **tx)
    .await?;
    batch::earlier(rows)
}

/// The conversations of these pairs, which had none a moment ago. Whoever else would begin one waits
/// for the counters.
async fn find_or_begin(
    tx: &mut Tx<'_>,
    pairs: BTreeSet<Pair>,
) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    let (low, high) = halves(&pairs);
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(concat!(
        "SELECT v.id, p.low, p.high
         FROM unnest($1::bigint[], $2::bigint[]) p (low, high), ",
        conversation_of_pair!()
    ))
    .bind(low)
    .bind(high)
    .fetch_all(&mut **tx)
    .await?;
    let mut found = by_pair(rows)?;
    let mut missing = pairs;
    missing.retain(|pair| !found.contains_key(pair));
    if missing.is_empty() {
        return Ok(found);
    }
    let (low, high) = halves(&missing);
    // UNION: one row where both users are the same.
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(concat!(
        "WITH made AS (
             INSERT INTO conversations (kind, low_user, high_user, created_at)
             SELECT 'direct', low, high, ",
        now_millis!(),
        " FROM unnest($1::bigint[], $2::bigint[]) p (low, high)
             RETURNING id, low_user, high_user
         ), joined AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT id, low_user FROM made UNION SELECT id, high_user FROM made
         )
         SELECT id, low_user, high_user FROM made"
    ))
    .bind(low)
    .bind(high)
    .fetch_all(&mut **tx)
    .await?;
    found.extend(by_pair(rows)?);
    Ok(found)
}

fn halves(pairs: &BTreeSet<Pair>) -> (Vec<i64>, Vec<i64>) {
    pairs.iter().map(|(low, high)| (low.get(), high.get())).unzip()
}

/// Writes the chats, their events, and the counters where they stand now. Returns the ids, in the order
/// of the chats, and the time: both are taken within the locks, so that they rise in every
/// conversation.
async fn write(
    tx: &mut Tx<'_>,
    numbered: &[Numbered<'_>],
) -> sqlx::Result<(Vec<ChatId>, Timestamp)> {
    fn all<'a, T>(of: &'a [Numbered<'a>], get: impl Fn(&'a Numbered<'a>) -> T) -> Vec<T> {
        of.iter().map(get).collect()
    }
    let (users, last): (Vec<i64>, Vec<i64>) =
        batch::counters(numbered).into_iter().map(|(user, seq)| (user.get(), seq.get())).unzip();
    let counters = users.len();
    let (taken, now, moved): (Vec<i64>, i64, i64) = sqlx::query_as(concat!(
        "WITH chat AS MATERIALIZED (
             SELECT nextval('chat_ids') AS id, clock.now, n.*
             FROM (SELECT ",
        now_millis!(),
        " AS now) clock,
                 unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                     $6::text[], $7::text[]) n (conversation_id, sender_id, sender_seq, target_id,
                     target_seq, client_msg_id, content)
         ), ",
        store_chats!(),
        ", moved AS (
             UPDATE timelines t SET last_seq = n.last_seq
             FROM unnest($8::bigint[], $9::bigint[]) n (user_id, last_seq)
             WHERE t.user_id = n.user_id
             RETURNING 1
         )
         SELECT ARRAY(SELECT id FROM chat), (SELECT now FROM chat LIMIT 1),
             (SELECT count(*) FROM moved)"
    ))
    .bind(all(numbered, |it| it.conversation.get()))
    .bind(all(numbered, |it| it.chat.sender.get()))
    .bind(all(numbered, |it| it.sender_seq.get()))
    .bind(all(numbered, |it| it.chat.target.get()))
    .bind(all(numbered, |it| it.target_seq.map(Seq::get)))
    .bind(all(numbered, |it| it.chat.client_msg_id.as_str()))
    .bind(all(numbered, |it| it.chat.content.as_str()))
    .bind(users)
    .bind(last)
    .fetch_one(&mut **tx)
    .await?;
    if usize::try_from(moved) != Ok(counters) {
        return Err(corrupt("a counter went missing within a transaction"));
    }
    let ids = taken.into_iter().map(id).collect::<sqlx::Result<_>>()?;
    Ok((ids, Timestamp::from_millis(now)))
}
