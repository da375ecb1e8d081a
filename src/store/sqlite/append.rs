//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! The number of statements does not depend on the length of the batch.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::{
    SqliteStore,
    lists::{ids, list},
    outbox,
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Seq, UserId},
    store::{
        Appended, Committed, NewChat,
        batch::{self, Earlier, EarlierRow, Pair, People, Plan, Sides, by_pair},
        rows::{chats_query, id},
    },
};

type Tx = Transaction<'static, Sqlite>;

pub(super) async fn append(store: SqliteStore, batch: Vec<NewChat>) -> sqlx::Result<Vec<Appended>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    // The write lock is the lock of all counters. It comes first: what is read from here on is what
    // the batches before this one have left.
    let mut tx = store.begin().await?;
    let mut people = people(&mut tx, &batch).await?;
    let earlier = earlier(&mut tx, &batch).await?;
    let plan = Plan::of(&batch, |user| people.contains_key(&user), &earlier);
    if plan.len() == 0 {
        return Ok(plan.answers(&[]));
    }
    // Taken within the lock, so that times rise as ids do.
    let now = store.clock.now();
    let conversations = conversations(&mut tx, &plan.writing(), now).await?;
    let (ids, is_told) = reserve_chat_ids(&mut tx, plan.len()).await?;
    let ends = ids.first().copied().zip(ids.last().copied());
    let numbered = plan.number(&conversations, &mut people)?;
    let counters = batch::counters(&numbered);
    let committed = batch::committed(numbered, ids, now)?;
    insert(&mut tx, &committed, counters).await?;
    if let Some((first, last)) = ends.filter(|_| is_told) {
        outbox::tell(&mut tx, first, last).await?;
    }
    tx.commit().await?;
    Ok(plan.answers(&committed))
}

/// The users of the batch that exist, with their counters.
async fn people(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<People> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT u.id, u.name, coalesce(t.last_seq, 0)
         FROM users u LEFT JOIN timelines t ON t.user_id = u.id
         WHERE u.id IN (SELECT value FROM json_each(?1)) AND u.erased_at IS NULL",
    )
    .bind(ids(&batch::users(batch)))
    .fetch_all(&mut **tx)
    .await?;
    batch::people(rows)
}

/// The chats that earlier batches committed under keys of this one.
async fn earlier(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq,",
        "FROM json_each(?1) k JOIN chats c
             ON c.sender_id = k.value ->> 0 AND c.client_msg_id = k.value ->> 1",
        ""
    ))
    .bind(list(batch::keys(batch).iter().map(|key| json!(key))))
    .fetch_all(&mut **tx)
    .await?;
    batch::earlier(rows)
}

/// The conversations of these chats, made where there are none; it is noted in them who has written.
async fn conversations(
    tx: &mut Tx,
    writing: &BTreeMap<Pair, Sides>,
    now: Timestamp,
) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    let rows: Vec<(i64, i64, i64, bool, bool)> = sqlx::query_as(
        "SELECT v.id, v.low_user, v.high_user, v.low_wrote, v.high_wrote
         FROM json_each(?1) p JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = p.value ->> 0 AND v.high_user = p.value ->> 1",
    )
    .bind(list(writing.keys().map(|pair| json!(pair))))
    .fetch_all(&mut **tx)
    .await?;
    let wrote = rows.iter().map(|&(id, _, _, low, high)| (id, Sides { low, high }));
    let wrote: HashMap<i64, Sides> = wrote.collect();
    let mut found = by_pair(rows.into_iter().map(|(id, low, high, ..)| (id, low, high)).collect())?;
    let new = found.iter().filter_map(|(pair, id)| {
        let new = writing.get(pair)?.without(*wrote.get(&id.get())?);
        (!new.is_empty()).then(|| json!([id, new.low, new.high]))
    });
    note(tx, new.collect()).await?;
    let missing = writing.iter().filter(|(pair, _)| !found.contains_key(pair));
    let missing: Vec<_> =
        missing.map(|(pair, to)| json!([pair.0, pair.1, to.low, to.high])).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "INSERT INTO conversations (kind, low_user, high_user, low_wrote, high_wrote, created_at)
         SELECT 'direct', value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?2 FROM json_each(?1)
         RETURNING id, low_user, high_user",
    )
    .bind(list(missing.into_iter()))
    .bind(now.as_millis())
    .fetch_all(&mut **tx)
    .await?;
    let made = by_pair(rows)?;
    // UNION: one row where both users are the same.
    sqlx::query(
        "INSERT INTO members (conversation_id, user_id)
         SELECT v.id, v.low_user FROM conversations v
             WHERE v.id IN (SELECT value FROM json_each(?1))
         UNION
         SELECT v.id, v.high_user FROM conversations v
             WHERE v.id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(made.values()))
    .execute(&mut **tx)
    .await?;
    found.extend(made);
    Ok(found)
}

/// Notes which sides have written: id, whether the lower user, whether the higher one.
async fn note(tx: &mut Tx, new: Vec<serde_json::Value>) -> sqlx::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE conversations SET low_wrote = low_wrote OR n.value ->> 1,
             high_wrote = high_wrote OR n.value ->> 2
         FROM json_each(?1) n WHERE conversations.id = n.value ->> 0",
    )
    .bind(list(new.into_iter()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes so many ids, which follow each other; and says whether the outbox is to tell of their chats.
async fn reserve_chat_ids(tx: &mut Tx, count: usize) -> sqlx::Result<(Vec<ChatId>, bool)> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let (last, is_told): (i64, bool) = sqlx::query_as(
        "UPDATE service SET last_chat_id = last_chat_id + ?1 WHERE id = 1
         RETURNING last_chat_id, outbox_enabled",
    )
    .bind(count)
    .fetch_one(&mut **tx)
    .await?;
    let ids = (last - count + 1..=last).map(id).collect::<sqlx::Result<_>>()?;
    Ok((ids, is_told))
}

/// Writes the chats, their events, and the counters where they stand now.
async fn insert(
    tx: &mut Tx,
    committed: &[Committed],
    counters: BTreeMap<UserId, Seq>,
) -> sqlx::Result<()> {
    let chats = committed.iter().map(|Committed { chat, sender_seq, .. }| {
        json!([
            chat.id,
            chat.conversation_id,
            chat.user_id,
            sender_seq,
            chat.client_msg_id,
            chat.kind,
            chat.content,
            chat.create_time.as_millis(),
        ])
    });
    sqlx::query(
        "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
             content, created_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
             value ->> 6, value ->> 7
         FROM json_each(?1)",
    )
    .bind(list(chats))
    .execute(&mut **tx)
    .await?;

    let events = committed.iter().flat_map(|Committed { chat, sender_seq, target_seq }| {
        let of_target = target_seq.map(|seq| json!([chat.target_user_id, seq, chat.id]));
        [json!([chat.user_id, sender_seq, chat.id])].into_iter().chain(of_target)
    });
    sqlx::query(
        "INSERT INTO timeline_events (user_id, seq, kind, chat_id)
         SELECT value ->> 0, value ->> 1, 'chat', value ->> 2 FROM json_each(?1)",
    )
    .bind(list(events))
    .execute(&mut **tx)
    .await?;

    let counters = counters.into_iter().map(|counter| json!(counter));
    sqlx::query(
        "INSERT INTO timelines (user_id, first_seq, last_seq)
         SELECT value ->> 0, 1, value ->> 1 FROM json_each(?1) WHERE true
         ON CONFLICT (user_id) DO UPDATE SET last_seq = excluded.last_seq",
    )
    .bind(list(counters))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
