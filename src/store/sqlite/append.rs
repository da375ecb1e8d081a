//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! The number of statements does not depend on the length of the batch.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use serde_json::json;
use sqlx::{FromRow, Row, Sqlite, Transaction};

use super::{
    SqliteStore,
    error::corrupt,
    rows::{ChatRow, chats_query, distinct_ids, id, ids, list, name, seq},
};
use crate::{
    clock::Timestamp,
    domain::{Chat, ChatId, ChatKind, ClientMsgId, ConversationId, Seq, UserId, UserName},
    store::{Appended, Committed, NewChat},
};

type Tx = Transaction<'static, Sqlite>;
/// What makes a chat the same chat: its sender and the sender's key.
type Key<'a> = (UserId, &'a ClientMsgId);
/// The users of a direct conversation, the lower id first.
type Pair = (UserId, UserId);

/// A user of the batch.
struct Person {
    name: UserName,
    last_seq: Seq,
}

/// What becomes of one chat of the batch.
enum Verdict {
    Settled(Appended),
    /// To be committed: its place among those.
    Fresh(usize),
    /// The same as one that is to be committed.
    Again(usize),
}

pub(super) async fn append(store: SqliteStore, batch: Vec<NewChat>) -> sqlx::Result<Vec<Appended>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    // The write lock is the lock of all counters. It comes first: what is read from here on is what
    // the batches before this one have left.
    let mut tx = store.begin().await?;
    let mut people = people(&mut tx, &batch).await?;
    let earlier = earlier(&mut tx, &batch).await?;
    let (verdicts, fresh) = judge(&batch, &people, &earlier);

    let mut committed = Vec::with_capacity(fresh.len());
    if !fresh.is_empty() {
        // Taken within the lock, so that times rise as ids do.
        let now = store.clock.now();
        let conversations = conversations(&mut tx, &fresh, now).await?;
        let mut chat_id = reserve_chat_ids(&mut tx, fresh.len()).await?;
        for chat in fresh {
            let conversation = conversations[&pair(chat)];
            committed.push(number(chat, id(chat_id)?, conversation, now, &mut people)?);
            chat_id += 1;
        }
        insert(&mut tx, &committed, &people).await?;
        tx.commit().await?;
    }
    Ok(verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Settled(answer) => answer,
            Verdict::Fresh(place) => Appended::Committed(committed[place].clone()),
            Verdict::Again(place) => Appended::Repeat(committed[place].clone()),
        })
        .collect())
}

fn pair(chat: &NewChat) -> Pair {
    (chat.sender.min(chat.target), chat.sender.max(chat.target))
}

/// The users of the batch that exist, with their counters.
async fn people(tx: &mut Tx, batch: &[NewChat]) -> sqlx::Result<HashMap<UserId, Person>> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT u.id, u.name, coalesce(t.last_seq, 0)
         FROM users u LEFT JOIN timelines t ON t.user_id = u.id
         WHERE u.id IN (SELECT value FROM json_each(?1))",
    )
    .bind(distinct_ids(batch.iter().flat_map(|chat| [chat.sender, chat.target])))
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|(user, called, last)| {
            Ok((id(user)?, Person { name: name(user, &called)?, last_seq: seq(last)? }))
        })
        .collect()
}

/// The chats that earlier batches committed under keys of this one.
async fn earlier(
    tx: &mut Tx,
    batch: &[NewChat],
) -> sqlx::Result<HashMap<(UserId, ClientMsgId), Committed>> {
    let keys: BTreeSet<(UserId, &str)> =
        batch.iter().map(|chat| (chat.sender, chat.client_msg_id.as_str())).collect();
    let rows = sqlx::query(chats_query!(
        "c.sender_seq,",
        "FROM json_each(?1) k JOIN chats c
             ON c.sender_id = k.value ->> 0 AND c.client_msg_id = k.value ->> 1",
        ""
    ))
    .bind(list(keys.iter().map(|(sender, key)| json!([sender, key]))))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            let chat: Chat = ChatRow::from_row(row)?.try_into()?;
            let sender_seq = seq(row.try_get("sender_seq")?)?;
            let key = (chat.user_id, chat.client_msg_id.clone());
            Ok((key, Committed { chat, sender_seq, target_seq: None }))
        })
        .collect()
}

/// Decides on each chat, in the order of the batch; also gives those that are to be committed.
fn judge<'a>(
    batch: &'a [NewChat],
    people: &HashMap<UserId, Person>,
    earlier: &HashMap<(UserId, ClientMsgId), Committed>,
) -> (Vec<Verdict>, Vec<&'a NewChat>) {
    let mut fresh: Vec<&NewChat> = Vec::new();
    let mut places: HashMap<Key<'_>, usize> = HashMap::new();
    let verdicts = batch
        .iter()
        .map(|chat| {
            if let Some(first) = earlier.get(&(chat.sender, chat.client_msg_id.clone())) {
                let same = first.chat.target_user_id == chat.target
                    && first.chat.content == chat.content.as_str();
                return Verdict::Settled(if same {
                    Appended::Repeat(first.clone())
                } else {
                    Appended::KeyReused
                });
            }
            match places.entry((chat.sender, &chat.client_msg_id)) {
                Entry::Occupied(place) => {
                    let first = fresh[*place.get()];
                    if first.target == chat.target && first.content == chat.content {
                        Verdict::Again(*place.get())
                    } else {
                        Verdict::Settled(Appended::KeyReused)
                    }
                }
                Entry::Vacant(_) if !people.contains_key(&chat.sender) => {
                    Verdict::Settled(Appended::SenderNotFound)
                }
                Entry::Vacant(_) if !people.contains_key(&chat.target) => {
                    Verdict::Settled(Appended::TargetNotFound)
                }
                Entry::Vacant(place) => {
                    place.insert(fresh.len());
                    fresh.push(chat);
                    Verdict::Fresh(fresh.len() - 1)
                }
            }
        })
        .collect();
    (verdicts, fresh)
}

/// The conversations of these chats, made where there are none.
async fn conversations(
    tx: &mut Tx,
    fresh: &[&NewChat],
    now: Timestamp,
) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    let pairs: BTreeSet<Pair> = fresh.iter().map(|chat| pair(chat)).collect();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT v.id, v.low_user, v.high_user
         FROM json_each(?1) p JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = p.value ->> 0 AND v.high_user = p.value ->> 1",
    )
    .bind(list(pairs.iter().map(|pair| json!(pair))))
    .fetch_all(&mut **tx)
    .await?;
    let mut found = by_pair(rows)?;
    let missing: Vec<Pair> = pairs.into_iter().filter(|pair| !found.contains_key(pair)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "INSERT INTO conversations (kind, low_user, high_user, created_at)
         SELECT 'direct', value ->> 0, value ->> 1, ?2 FROM json_each(?1)
         RETURNING id, low_user, high_user",
    )
    .bind(list(missing.iter().map(|pair| json!(pair))))
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
    .bind(ids(&made.values().copied().collect::<Vec<_>>()))
    .execute(&mut **tx)
    .await?;
    found.extend(made);
    Ok(found)
}

fn by_pair(rows: Vec<(i64, i64, i64)>) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    rows.into_iter()
        .map(|(conversation, low, high)| Ok(((id(low)?, id(high)?), id(conversation)?)))
        .collect()
}

/// Takes so many ids, and gives the first of them.
async fn reserve_chat_ids(tx: &mut Tx, count: usize) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "UPDATE service SET last_chat_id = last_chat_id + ?1 WHERE id = 1
         RETURNING last_chat_id - ?1 + 1",
    )
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_one(&mut **tx)
    .await
}

/// Gives a chat its place in both timelines.
fn number(
    chat: &NewChat,
    id: ChatId,
    conversation_id: ConversationId,
    now: Timestamp,
    people: &mut HashMap<UserId, Person>,
) -> sqlx::Result<Committed> {
    let mut next = |user: UserId| {
        let person = people
            .get_mut(&user)
            .ok_or_else(|| corrupt(format!("user {user} went missing within a transaction")))?;
        person.last_seq = person.last_seq.next();
        Ok::<_, sqlx::Error>((person.name.clone(), person.last_seq))
    };
    let (user_name, sender_seq) = next(chat.sender)?;
    let (target_user_name, target_seq) = if chat.target == chat.sender {
        (user_name.clone(), None)
    } else {
        let (name, seq) = next(chat.target)?;
        (name, Some(seq))
    };
    Ok(Committed {
        chat: Chat {
            id,
            user_id: chat.sender,
            target_user_id: chat.target,
            user_name,
            target_user_name,
            content: chat.content.as_str().to_owned(),
            create_time: now,
            client_msg_id: chat.client_msg_id.clone(),
            conversation_id,
            kind: ChatKind::Text,
        },
        sender_seq,
        target_seq,
    })
}

/// Writes the chats, their events, and the counters where they stand now.
async fn insert(
    tx: &mut Tx,
    committed: &[Committed],
    people: &HashMap<UserId, Person>,
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

    let moved: BTreeSet<UserId> = committed
        .iter()
        .flat_map(|Committed { chat, .. }| [chat.user_id, chat.target_user_id])
        .collect();
    let counters =
        moved.iter().filter_map(|user| people.get(user).map(|p| json!([user, p.last_seq])));
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
