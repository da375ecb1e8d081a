//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! Five statements, whatever the length of the batch. The order of the first two is what keeps
//! replicas apart: once the counters of all its users are locked, nobody else can commit a chat
//! of theirs, so what the statements after it see stays true until the commit.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection, Postgres, Transaction, postgres::PgQueryResult};

use super::{now_millis, rows::ids};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId},
    store::{
        Appended, Committed, NewChat,
        batch::{self, Earlier, EarlierRow, Pair, People, Plan, by_pair},
        error::corrupt,
        rows::{chats_query, id},
    },
};

type Tx<'c> = Transaction<'c, Postgres>;

pub(super) async fn append(
    connection: &mut PgConnection,
    batch: Vec<NewChat>,
) -> sqlx::Result<Vec<Appended>> {
    let mut tx = connection.begin().await?;
    let mut people = lock(&mut tx, &batch).await?;
    let earlier = earlier(&mut tx, &batch).await?;
    let plan = Plan::of(&batch, &people, &earlier);
    if plan.len() == 0 {
        tx.rollback().await?;
        return Ok(plan.answers(&[]));
    }
    let Reserved { now, ids, mut conversations, missing } = reserve(&mut tx, &plan).await?;
    if !missing.is_empty() {
        conversations.extend(begin_conversations(&mut tx, &missing, now).await?);
    }
    let committed = plan.number(ids, &conversations, now, &mut people)?;
    write(&mut tx, &committed).await?;
    tx.commit().await?;
    Ok(plan.answers(&committed))
}

/// Locks the counters of all users of the batch, in ascending id, and reads them. Every replica locks
/// in this order and before anything else, so none waits for one that waits for it. A user who was
/// erased has no counter.
async fn lock(tx: &mut Tx<'_>, batch: &[NewChat]) -> sqlx::Result<People> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT t.user_id, u.name, t.last_seq
         FROM timelines t JOIN users u ON u.id = t.user_id
         WHERE t.user_id = ANY($1)
         ORDER BY t.user_id FOR NO KEY UPDATE OF t",
    )
    .bind(ids(&batch::users(batch)))
    .fetch_all(&mut **tx)
    .await?;
    batch::people(rows)
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

/// What is known before chats are numbered.
struct Reserved {
    /// The time of the database, which is one for all replicas.
    now: Timestamp,
    ids: Vec<ChatId>,
    conversations: HashMap<Pair, ConversationId>,
    /// Pairs without a conversation.
    missing: Vec<Pair>,
}

/// Takes the time and ids for the chats, and looks their conversations up. Within the locks, so that
/// times and ids rise in every conversation.
async fn reserve(tx: &mut Tx<'_>, plan: &Plan<'_>) -> sqlx::Result<Reserved> {
    let pairs = plan.pairs();
    let (low, high): (Vec<i64>, Vec<i64>) =
        pairs.iter().map(|(low, high)| (low.get(), high.get())).unzip();
    let (now, taken, found): (i64, Vec<i64>, Vec<Option<i64>>) = sqlx::query_as(concat!(
        "SELECT ",
        now_millis!(),
        ",
             ARRAY(SELECT nextval('chat_ids') FROM generate_series(1, $3)),
             ARRAY(SELECT v.id
                 FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY p (low, high, place)
                 LEFT JOIN conversations v
                     ON v.kind = 'direct' AND v.low_user = p.low AND v.high_user = p.high
                 ORDER BY p.place)"
    ))
    .bind(low)
    .bind(high)
    .bind(i64::try_from(plan.len()).unwrap_or(i64::MAX))
    .fetch_one(&mut **tx)
    .await?;
    let mut reserved = Reserved {
        now: Timestamp::from_millis(now),
        ids: taken.into_iter().map(id).collect::<sqlx::Result<_>>()?,
        conversations: HashMap::with_capacity(pairs.len()),
        missing: Vec::new(),
    };
    for (pair, found) in pairs.into_iter().zip(found) {
        match found {
            Some(conversation) => {
                reserved.conversations.insert(pair, id(conversation)?);
            }
            None => reserved.missing.push(pair),
        }
    }
    Ok(reserved)
}

/// Makes the conversations of these pairs. Whoever else would make one waits for the counters.
async fn begin_conversations(
    tx: &mut Tx<'_>,
    missing: &[Pair],
    now: Timestamp,
) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    let (low, high): (Vec<i64>, Vec<i64>) =
        missing.iter().map(|(low, high)| (low.get(), high.get())).unzip();
    // UNION: one row where both users are the same.
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "WITH made AS (
             INSERT INTO conversations (kind, low_user, high_user, created_at)
             SELECT 'direct', low, high, $3 FROM unnest($1::bigint[], $2::bigint[]) p (low, high)
             RETURNING id, low_user, high_user
         ), joined AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT id, low_user FROM made UNION SELECT id, high_user FROM made
         )
         SELECT id, low_user, high_user FROM made",
    )
    .bind(low)
    .bind(high)
    .bind(now.as_millis())
    .fetch_all(&mut **tx)
    .await?;
    by_pair(rows)
}

/// Writes the chats, their events, and the counters where they stand now.
async fn write(tx: &mut Tx<'_>, committed: &[Committed]) -> sqlx::Result<()> {
    let chats = || committed.iter().map(|committed| &committed.chat);
    let mut events = (Vec::new(), Vec::new(), Vec::new());
    events.extend(
        batch::events(committed).map(|(user, seq, chat)| (user.get(), seq.get(), chat.get())),
    );
    let (users, last): (Vec<i64>, Vec<i64>) =
        batch::counters(committed).into_iter().map(|(user, seq)| (user.get(), seq.get())).unzip();
    let moved = users.len();
    let now = chats().next().map_or(0, |chat| chat.create_time.as_millis());
    let done: PgQueryResult = sqlx::query(
        "WITH chat AS (
             INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
                 content, created_at)
             SELECT n.*, $8
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[],
                 $6::text[], $7::text[]) n
         ), event AS (
             INSERT INTO timeline_events (user_id, seq, kind, chat_id)
             SELECT n.user_id, n.seq, 'chat', n.chat_id
             FROM unnest($9::bigint[], $10::bigint[], $11::bigint[]) n (user_id, seq, chat_id)
         )
         UPDATE timelines t SET last_seq = n.last_seq
         FROM unnest($12::bigint[], $13::bigint[]) n (user_id, last_seq)
         WHERE t.user_id = n.user_id",
    )
    .bind(chats().map(|chat| chat.id.get()).collect::<Vec<_>>())
    .bind(chats().map(|chat| chat.conversation_id.get()).collect::<Vec<_>>())
    .bind(chats().map(|chat| chat.user_id.get()).collect::<Vec<_>>())
    .bind(committed.iter().map(|committed| committed.sender_seq.get()).collect::<Vec<_>>())
    .bind(chats().map(|chat| chat.client_msg_id.as_str()).collect::<Vec<_>>())
    .bind(chats().map(|chat| chat.kind.as_str()).collect::<Vec<_>>())
    .bind(chats().map(|chat| chat.content.as_str()).collect::<Vec<_>>())
    .bind(now)
    .bind(events.0)
    .bind(events.1)
    .bind(events.2)
    .bind(users)
    .bind(last)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() != moved as u64 {
        return Err(corrupt("a counter went missing within a transaction"));
    }
    Ok(())
}
