//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! Two statements, whatever the length of the batch, and others only where it is not as usual. Groups
//! are locked first, where there are any. Then the counters of all who get an event are locked. That is
//! what keeps replicas apart: nobody else can commit a chat of theirs from then on, so what the
//! statements after it see stays true until the commit.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use sqlx::{Connection, PgConnection, Postgres, Transaction};

use super::{at_once, conversation_of_pair, now_millis, rows::ids};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Mentions, Payload, Seq},
    store::{
        Appended, NewChat,
        batch::{
            self, Earlier, EarlierRow, Known, NamedConversations, Numbered, Pair, People, Plan,
            Quotes, Sides,
        },
        error::corrupt,
        rows::{QuotedRow, chats_query, id, quotes_query},
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
    let named = lock_named(&mut tx, batch).await?;
    let (mut people, mut talks) = lock(&mut tx, batch, &named).await?;
    let earlier = if is_wary { earlier(&mut tx, batch).await? } else { Earlier::new() };
    let quotes = quotes(&mut tx, batch).await?;
    let mut direct = talks.iter().map(|(pair, talk)| (*pair, talk.id)).collect();
    let known = Known {
        named: &named,
        people: &people,
        direct: &direct,
        quotes: &quotes,
        earlier: &earlier,
    };
    let mut plan = Plan::of(batch, &known);
    if plan.len() == 0 {
        tx.rollback().await?;
        return Ok(plan.answers(&[]));
    }
    let writing = plan.writing();
    let missing: BTreeMap<Pair, Sides> = writing
        .iter()
        .filter(|(pair, _)| !talks.contains_key(pair))
        .map(|(pair, sides)| (*pair, *sides))
        .collect();
    if !missing.is_empty() {
        let begun = find_or_begin(&mut tx, missing).await?;
        direct.extend(begun.iter().map(|(pair, talk)| (*pair, talk.id)));
        talks.extend(begun);
    }
    let numbered = plan.number(&direct, &named, &mut people)?;
    let (ids, now) = write(&mut tx, &numbered).await?;
    note(&mut tx, &writing, &talks).await?;
    let committed = batch::committed(numbered, ids, now)?;
    tx.commit().await?;
    Ok(plan.answers(&committed))
}

/// Locks the groups that a batch names, in ascending id, if any of its senders may write there, so that a
/// stranger locks nobody out; and then reads their members: a statement that
/// waits for a lock sees all else as it was before, so one statement would read the members of then. A
/// change of members locks the same row. Direct conversations, whose members never change, are read.
async fn lock_named(tx: &mut Tx<'_>, batch: &[NewChat]) -> sqlx::Result<NamedConversations> {
    let wanted = batch::named_ids(batch);
    if wanted.is_empty() {
        return Ok(NamedConversations::new());
    }
    let rows = sqlx::query_as(
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
    .bind(ids(&wanted))
    .bind(ids(batch.iter().map(|chat| &chat.sender)))
    .fetch_all(&mut **tx)
    .await?;
    let mut named = batch::named(rows)?;
    let groups = batch::groups(&named);
    if !groups.is_empty() {
        let rows = sqlx::query_as(
            "SELECT conversation_id, user_id FROM members
             WHERE conversation_id = ANY($1) AND state = 'member' ORDER BY user_id",
        )
        .bind(ids(&groups))
        .fetch_all(&mut **tx)
        .await?;
        batch::add_members(&mut named, rows)?;
    }
    Ok(named)
}

/// Locks the counters of all who may get an event, in ascending id, and reads them. Every replica locks
/// in this order, and nothing after it that another one locks before, so none waits for one that waits
/// for it.
///
/// It brings the direct conversations between them along, as they were before it waited for the locks:
/// none goes away, but one that was begun meanwhile is not among them.
async fn lock(
    tx: &mut Tx<'_>,
    batch: &[NewChat],
    named: &NamedConversations,
) -> sqlx::Result<(People, Talks)> {
    let (low, high) = halves(&batch::pairs(batch, named));
    let rows: Vec<LockedRow> = sqlx::query_as(concat!(
        "WITH locked AS MATERIALIZED (
             SELECT user_id, last_seq FROM timelines WHERE user_id = ANY($1)
             ORDER BY user_id FOR NO KEY UPDATE
         )
         SELECT u.id, u.name, u.kind, locked.last_seq, NULL::bigint, false, false
         FROM users u LEFT JOIN locked ON locked.user_id = u.id
         WHERE u.id = ANY($1) AND u.erased_at IS NULL
         UNION ALL
         SELECT p.low, NULL, NULL, v.id, p.high, v.low_wrote, v.high_wrote
         FROM unnest($2::bigint[], $3::bigint[]) p (low, high), ",
        conversation_of_pair!()
    ))
    .bind(ids(&batch::users(batch, named)))
    .bind(low)
    .bind(high)
    .fetch_all(&mut **tx)
    .await?;
    let (mut people, mut conversations) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            (user, Some(name), Some(kind), last_seq, ..) => {
                people.push((user, name, kind, last_seq));
            }
            (low, None, None, Some(conversation), Some(high), low_wrote, high_wrote) => {
                conversations.push((conversation, low, high, low_wrote, high_wrote));
            }
            _ => return Err(corrupt("a row is neither a user nor a conversation")),
        }
    }
    Ok((batch::people(people)?, talks(conversations)?))
}

/// A user: id, name, kind and counter; or a conversation: its lower user, nothing, nothing, its id, its
/// higher user, and who has written.
type LockedRow = (i64, Option<String>, Option<String>, Option<i64>, Option<i64>, bool, bool);

/// A conversation, and who has written in it as far as is known: more may have.
struct Talk {
    id: ConversationId,
    wrote: Sides,
}

type Talks = HashMap<Pair, Talk>;

/// Rows of direct conversations: id, lower user, higher user, which of them have written.
fn talks(rows: Vec<(i64, i64, i64, bool, bool)>) -> sqlx::Result<Talks> {
    rows.into_iter()
        .map(|(conversation, low_user, high_user, low, high)| {
            let talk = Talk { id: id(conversation)?, wrote: Sides { low, high } };
            Ok(((id(low_user)?, id(high_user)?), talk))
        })
        .collect()
}

/// Notes which sides have written, where that is new.
async fn note(tx: &mut Tx<'_>, writing: &BTreeMap<Pair, Sides>, talks: &Talks) -> sqlx::Result<()> {
    let new = writing.iter().filter_map(|(pair, sides)| {
        let talk = talks.get(pair)?;
        let new = sides.without(talk.wrote);
        (!new.is_empty()).then_some((talk.id.get(), (new.low, new.high)))
    });
    let (talks, (low, high)): (Vec<i64>, (Vec<bool>, Vec<bool>)) = new.unzip();
    if talks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE conversations v SET low_wrote = v.low_wrote OR n.low,
             high_wrote = v.high_wrote OR n.high
         FROM unnest($1::bigint[], $2::boolean[], $3::boolean[]) n (id, low, high)
         WHERE v.id = n.id",
    )
    .bind(talks)
    .bind(low)
    .bind(high)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The chats that earlier batches committed under keys of this one. A statement of its own: the one
/// that locks sees the chats as they were before it waited.
async fn earlier(tx: &mut Tx<'_>, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let (senders, keys): (Vec<i64>, Vec<&str>) =
        batch::keys(batch).into_iter().map(|(sender, key)| (sender.get(), key)).unzip();
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq, c.request_digest,",
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

/// The chats that are quoted.
async fn quotes(tx: &mut Tx<'_>, batch: &[NewChat]) -> sqlx::Result<Quotes> {
    let wanted = batch::quoted(batch);
    if wanted.is_empty() {
        return Ok(Quotes::new());
    }
    let rows: Vec<QuotedRow> = sqlx::query_as(quotes_query!("c.id = ANY($1)"))
        .bind(ids(&wanted))
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter().map(QuotedRow::entry).collect()
}

/// The conversations of these pairs, which had none a moment ago. Whoever else would begin one waits
/// for the counters. In one that is begun it is noted which sides write.
async fn find_or_begin(tx: &mut Tx<'_>, writing: BTreeMap<Pair, Sides>) -> sqlx::Result<Talks> {
    let (low, high) = halves(writing.keys());
    let rows: Vec<(i64, i64, i64, bool, bool)> = sqlx::query_as(concat!(
        "SELECT v.id, p.low, p.high, v.low_wrote, v.high_wrote
         FROM unnest($1::bigint[], $2::bigint[]) p (low, high), ",
        conversation_of_pair!()
    ))
    .bind(low)
    .bind(high)
    .fetch_all(&mut **tx)
    .await?;
    let mut found = talks(rows)?;
    let mut missing = writing;
    missing.retain(|pair, _| !found.contains_key(pair));
    if missing.is_empty() {
        return Ok(found);
    }
    let (low, high) = halves(missing.keys());
    // UNION: one row where both users are the same.
    let rows: Vec<(i64, i64, i64, bool, bool)> = sqlx::query_as(concat!(
        "WITH made AS (
             INSERT INTO conversations (kind, low_user, high_user, low_wrote, high_wrote, created_at)
             SELECT 'direct', low, high, low_writes, high_writes, ",
        now_millis!(),
        " FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::boolean[])
                 p (low, high, low_writes, high_writes)
             RETURNING id, low_user, high_user, low_wrote, high_wrote
         ), joined AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT id, low_user FROM made UNION SELECT id, high_user FROM made
         )
         SELECT id, low_user, high_user, low_wrote, high_wrote FROM made"
    ))
    .bind(low)
    .bind(high)
    .bind(missing.values().map(|sides| sides.low).collect::<Vec<_>>())
    .bind(missing.values().map(|sides| sides.high).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    found.extend(talks(rows)?);
    Ok(found)
}

fn halves<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> (Vec<i64>, Vec<i64>) {
    pairs.into_iter().map(|(low, high)| (low.get(), high.get())).unzip()
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
    let (mut event_chats, mut event_users, mut event_seqs) = (Vec::new(), Vec::new(), Vec::new());
    for (number, chat) in (1..).zip(numbered) {
        for (user, seq) in &chat.places {
            event_chats.push(number);
            event_users.push(user.get());
            event_seqs.push(seq.get());
        }
    }
    let counters = users.len();
    let (taken, now, moved): (Vec<i64>, i64, i64) = sqlx::query_as(concat!(
        "WITH chat AS MATERIALIZED (
             SELECT nextval('chat_ids') AS id, clock.now, n.*
             FROM (SELECT ",
        now_millis!(),
        " AS now) clock,
                 unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::bigint[], $9::text[]) n (conversation_id, sender_id, sender_seq,
                     client_msg_id, kind, content, body, reply_to, mentions)
         ), stored AS (
             INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
                 content, created_at, body, reply_to, mentions)
             SELECT id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content, now,
                 body, reply_to, mentions
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
    .bind(all(numbered, |it| it.conversation.get()))
    .bind(all(numbered, |it| it.chat.sender.get()))
    .bind(all(numbered, |it| it.sender_seq().map(Seq::get)))
    .bind(all(numbered, |it| it.chat.client_msg_id.as_str()))
    .bind(all(numbered, |it| it.chat.kind.as_str()))
    .bind(all(numbered, |it| it.chat.content.as_str()))
    .bind(all(numbered, |it| it.chat.body.as_ref().map(Payload::as_str)))
    .bind(all(numbered, |it| it.chat.reply_to.map(ChatId::get)))
    .bind(all(numbered, |it| it.chat.mentions.as_ref().map(Mentions::to_json)))
    .bind(event_chats)
    .bind(event_users)
    .bind(event_seqs)
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
