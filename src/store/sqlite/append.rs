//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! The number of statements does not depend on the length of the batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::{
    SqliteStore,
    lists::{ids, list},
    outbox,
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Mentions, Payload, Seq, UserId},
    store::{
        Appended, Committed, NewChat,
        batch::{
            self, Earlier, EarlierRow, Known, NamedConversations, Pair, People, Plan, Quotes,
            Sides, by_pair,
        },
        rows::{QuotedRow, chats_query, id, quotes_query},
    },
};

type Tx = Transaction<'static, Sqlite>;

pub(super) async fn append(store: SqliteStore, batch: Vec<NewChat>) -> sqlx::Result<Vec<Appended>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    // The write lock is the lock of all conversations and counters. It comes first: what is read from
    // here on is what the batches before this one have left.
    let mut tx = store.begin().await?;
    let named = named(&mut tx, &batch).await?;
    let mut people = people(&mut tx, &batch, &named).await?;
    let found = direct(&mut tx, &batch::pairs(&batch, &named)).await?;
    let direct = found.iter().map(|(pair, (id, _))| (*pair, *id)).collect();
    let known = Known {
        named: &named,
        people: &people,
        direct: &direct,
        quotes: &quotes(&mut tx, &batch).await?,
        earlier: &earlier(&mut tx, &batch).await?,
    };
    let mut plan = Plan::of(&batch, &known);
    if plan.len() == 0 {
        return Ok(plan.answers(&[]));
    }
    // Taken within the lock, so that times rise as ids do.
    let now = store.clock.now();
    let direct = conversations(&mut tx, found, &plan.writing(), now).await?;
    let (ids, is_told) = reserve_chat_ids(&mut tx, plan.len()).await?;
    let ends = ids.first().copied().zip(ids.last().copied());
    let numbered = plan.number(&direct, &named, &mut people)?;
    let counters = batch::counters(&numbered);
    let committed = batch::committed(numbered, ids, now)?;
    insert(&mut tx, &committed, counters).await?;
    if let Some((first, last)) = ends.filter(|_| is_told) {
        outbox::tell(&mut tx, first, last).await?;
    }
    tx.commit().await?;
    Ok(plan.answers(&committed))
}

/// The conversations that senders name by their ids, with the members of groups.
async fn named(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<NamedConversations> {
    let wanted = batch::named_ids(batch);
    if wanted.is_empty() {
        return Ok(NamedConversations::new());
    }
    let rows = sqlx::query_as(
        "SELECT id, iif(kind = 'direct', low_user, NULL), iif(kind = 'direct', high_user, NULL)
         FROM conversations WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(&wanted))
    .fetch_all(&mut **tx)
    .await?;
    let mut named = batch::named(rows)?;
    let rows = sqlx::query_as(
        "SELECT conversation_id, user_id FROM members
         WHERE conversation_id IN (SELECT value FROM json_each(?1)) AND state = 'member'
         ORDER BY user_id",
    )
    .bind(ids(&batch::groups(&named)))
    .fetch_all(&mut **tx)
    .await?;
    batch::add_members(&mut named, rows)?;
    Ok(named)
}

/// The users who may get an event and exist, with their counters.
async fn people(
    tx: &mut Tx,
    batch: &[NewChat],
    named: &NamedConversations,
) -> sqlx::Result<People> {
    let rows = sqlx::query_as(
        "SELECT u.id, u.name, u.kind, iif(u.kind = 'person', coalesce(t.last_seq, 0), NULL)
         FROM users u LEFT JOIN timelines t ON t.user_id = u.id
         WHERE u.id IN (SELECT value FROM json_each(?1)) AND u.erased_at IS NULL",
    )
    .bind(ids(&batch::users(batch, named)))
    .fetch_all(&mut **tx)
    .await?;
    batch::people(rows)
}

/// The chats that earlier batches committed under keys of this one.
async fn earlier(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq, c.request_digest,",
        "FROM json_each(?1) k JOIN chats c
             ON c.sender_id = k.value ->> 0 AND c.client_msg_id = k.value ->> 1",
        ""
    ))
    .bind(list(batch::keys(batch).iter().map(|key| json!(key))))
    .fetch_all(&mut **tx)
    .await?;
    batch::earlier(rows)
}

/// The chats that are quoted.
async fn quotes(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<Quotes> {
    let wanted = batch::quoted(batch);
    if wanted.is_empty() {
        return Ok(Quotes::new());
    }
    let rows: Vec<QuotedRow> =
        sqlx::query_as(quotes_query!("c.id IN (SELECT value FROM json_each(?1))"))
            .bind(ids(&wanted))
            .fetch_all(&mut **tx)
            .await?;
    rows.into_iter().map(QuotedRow::entry).collect()
}

/// A direct conversation, and which of its sides have written.
type Found = (ConversationId, Sides);

/// The direct conversations that have begun.
async fn direct(tx: &mut Tx, pairs: &BTreeSet<Pair>) -> sqlx::Result<HashMap<Pair, Found>> {
    let rows: Vec<(i64, i64, i64, bool, bool)> = sqlx::query_as(
        "SELECT v.id, v.low_user, v.high_user, v.low_wrote, v.high_wrote
         FROM json_each(?1) p JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = p.value ->> 0 AND v.high_user = p.value ->> 1",
    )
    .bind(list(pairs.iter().map(|pair| json!(pair))))
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|(conversation, low_user, high_user, low, high)| {
            Ok(((id(low_user)?, id(high_user)?), (id(conversation)?, Sides { low, high })))
        })
        .collect()
}

/// The direct conversations of these chats, made where there are none; it is noted in them who has written.
async fn conversations(
    tx: &mut Tx,
    found: HashMap<Pair, Found>,
    writing: &BTreeMap<Pair, Sides>,
    now: Timestamp,
) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    let new = found.iter().filter_map(|(pair, (id, wrote))| {
        let new = writing.get(pair)?.without(*wrote);
        (!new.is_empty()).then(|| json!([id, new.low, new.high]))
    });
    note(tx, new.collect()).await?;
    let mut found: HashMap<_, _> = found.into_iter().map(|(pair, (id, _))| (pair, id)).collect();
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
    let chats = committed.iter().map(|of @ Committed { chat, .. }| {
        json!([
            chat.id,
            chat.conversation_id,
            chat.user_id,
            of.sender_seq(),
            chat.client_msg_id,
            chat.kind,
            chat.content,
            chat.create_time.as_millis(),
            chat.body.as_ref().map(Payload::as_str),
            chat.reply_to.as_ref().map(|quote| quote.id),
            chat.mentions.as_ref().map(Mentions::to_json),
        ])
    });
    sqlx::query(
        "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
             content, created_at, body, reply_to, mentions)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
             value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10
         FROM json_each(?1)",
    )
    .bind(list(chats))
    .execute(&mut **tx)
    .await?;

    let events = committed.iter().flat_map(|Committed { chat, places }| {
        places.iter().map(|(user, seq)| json!([user, seq, chat.id]))
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
