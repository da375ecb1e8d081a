//! Committing a batch of chats as nearly all are, in one statement: everybody in it exists, every
//! conversation has begun, no key was used before.
//!
//! One statement is one round trip, and its transaction ends with it: the counters are locked for
//! nothing but the work of the database. Whatever is not as usual leaves nothing behind, and the batch
//! goes the way of [`super::appends`].

use std::collections::HashMap;

use sqlx::{PgConnection, error::DatabaseError};

use super::{
    appends::conversation_of_pair,
    dialect::{ids, sql},
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Seq, UserId, UserName},
    store::{
        Appended, NewChat,
        batch::{
            self, EventSlots, NamedConversations, PERSON, Pair, Plan, Sides, Slot, Talk, Talks,
        },
        error::corrupt,
    },
};

/// What the statement answers.
#[derive(sqlx::FromRow)]
struct Done {
    /// The ids of the chats, in their order.
    chats: Vec<ChatId>,
    now: Timestamp,
    /// The counters after the batch, in the order of the users.
    last: Vec<i64>,
    /// The users in the order of their names.
    called: Vec<UserId>,
    names: Vec<UserName>,
    /// In the order of the pairs.
    conversations: Vec<ConversationId>,
}

/// Commits a batch. `None`: it is not as usual, and nothing was written. The error of the unique index:
/// a key was used before, and nothing was written.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch: &[NewChat],
) -> sqlx::Result<Option<Vec<Appended>>> {
    let Some(mut plan) = Plan::usual(batch) else { return Ok(None) };
    let none = NamedConversations::new();
    let users: Vec<UserId> = batch::users(batch, &none).into_iter().collect();
    let (pairs, writing): (Vec<Pair>, Vec<Sides>) = plan.writing().into_iter().unzip();
    let slots = plan.slots(&users, &pairs)?;
    let done = match write(connection, &plan, &users, &pairs, &writing, &slots).await {
        Ok(Some(done)) => done,
        Ok(None) => return Ok(None),
        Err(error) if is_without_counter(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let before = users.iter().zip(done.last.iter().zip(&slots.gained));
    let before = before.map(|(user, (last, gained))| {
        let seq = Seq::new(last - gained).map_err(|_| corrupt("a counter went backwards"))?;
        Ok((*user, seq))
    });
    let before = before.collect::<sqlx::Result<HashMap<UserId, Seq>>>()?;
    let called = done.called.into_iter().zip(done.names);
    let people =
        called.map(|(user, name)| (user, name, PERSON.to_owned(), before.get(&user).copied()));
    let mut people = batch::people(people.collect());
    let talks = done.conversations.into_iter().zip(writing).map(|(id, wrote)| Talk { id, wrote });
    let talks: Talks = pairs.into_iter().zip(talks).collect();
    let numbered = plan.number(&talks, &none, &mut people)?;
    let committed = batch::committed(numbered, done.chats, done.now)?;
    Ok(Some(plan.answers(&committed)))
}

/// Whether it failed by its own division: somebody was erased and has no counter.
fn is_without_counter(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("22012")
}

/// The statement. Raising the counters locks them, in ascending id as everywhere; ids and the time are
/// taken after that, so that both rise in every conversation. Sequence numbers are counted back from
/// where the counters stand then.
///
/// What it reads of users and conversations is as it was before it waited for locks. That changes
/// nothing: neither goes away, who came since is found the other way, and that a side has written may be
/// noted twice. It is noted with the first chat of that side only; whoever else would note it waits for
/// the counters.
async fn write(
    connection: &mut PgConnection,
    plan: &Plan<'_>,
    users: &[UserId],
    pairs: &[Pair],
    writing: &[Sides],
    slots: &EventSlots,
) -> sqlx::Result<Option<Done>> {
    // Arrays of Postgres begin with 1.
    let place = |place: usize| i32::try_from(place + 1).expect("a batch is short");
    let after = |slot: &Slot| slots.gained[slot.user] - slot.nth;
    let (low, high): (Vec<UserId>, Vec<UserId>) = pairs.iter().copied().unzip();
    sqlx::query_as(concat!(
        "WITH person AS MATERIALIZED (
             SELECT array_agg(id) AS called, array_agg(name) AS names
             FROM users WHERE id = ANY($1) AND kind = 'person' AND erased_at IS NULL
             HAVING count(*) = cardinality($1)
         ), pair AS MATERIALIZED (
             SELECT array_agg(v.id ORDER BY p.n) AS conversations,
                 array_agg(v.id) FILTER (WHERE is_new) AS new,
                 array_agg(low_writes) FILTER (WHERE is_new) AS low_new,
                 array_agg(high_writes) FILTER (WHERE is_new) AS high_new
             FROM unnest($3::bigint[], $4::bigint[], $5::boolean[], $6::boolean[])
                 WITH ORDINALITY p (low, high, low_writes, high_writes, n), ",
        conversation_of_pair!(),
        ", LATERAL (SELECT low_writes AND NOT v.low_wrote OR high_writes AND NOT v.high_wrote
                 AS is_new) side
             HAVING count(*) = cardinality($3)
         ), raised AS (
             UPDATE timelines t SET last_seq = t.last_seq + n.events
             FROM (SELECT * FROM unnest($1::bigint[], $2::bigint[]) u (id, events)
                 ORDER BY id OFFSET 0) n
             WHERE t.user_id = n.id AND (SELECT true FROM person, pair)
             RETURNING t.user_id, t.last_seq
         ), counter AS MATERIALIZED (
             SELECT array_agg(last_seq ORDER BY user_id) AS last, ",
        sql!(now),
        " AS now, 1 / (count(*) = cardinality($1))::integer AS is_whole
             FROM raised HAVING count(*) > 0
         ), chat AS MATERIALIZED (
             SELECT nextval('chat_ids') AS id, counter.now, client_msg_id, content,
                 pair.conversations[conversation] AS conversation_id,
                 ($1::bigint[])[sender] AS sender_id,
                 counter.last[sender] - sender_after AS sender_seq,
                 ($1::bigint[])[other] AS other_id,
                 counter.last[other] - other_after AS other_seq
             FROM counter, pair, unnest($7::integer[], $8::integer[], $9::bigint[], $10::integer[],
                 $11::bigint[], $12::text[], $13::text[]) n (conversation, sender, sender_after,
                 other, other_after, client_msg_id, content)
         ), stored AS (
             INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
                 content, created_at)
             SELECT id, conversation_id, sender_id, sender_seq, client_msg_id, 'text', content, now
             FROM chat
         ), told AS (
             INSERT INTO outbox (kind, conversation_id, chat_id, created_at)
             SELECT 'chat.created', conversation_id, id, now FROM chat
             WHERE (SELECT outbox_enabled FROM service WHERE id = 1)
         ), event AS (
             INSERT INTO timeline_events (user_id, seq, kind, chat_id)
             SELECT sender_id, sender_seq, 'chat', id FROM chat
             UNION ALL
             SELECT other_id, other_seq, 'chat', id FROM chat WHERE other_seq IS NOT NULL
         ), noted AS (
             UPDATE conversations v SET low_wrote = v.low_wrote OR n.low,
                 high_wrote = v.high_wrote OR n.high
             FROM (SELECT u.* FROM counter, pair, unnest(pair.new, pair.low_new, pair.high_new)
                     u (id, low, high) OFFSET 0) n
             WHERE v.id = n.id
         )
         SELECT ARRAY(SELECT id FROM chat) AS chats, now, last, called, names, conversations
         FROM counter, person, pair"
    ))
    .bind(ids(users))
    .bind(&slots.gained)
    .bind(low)
    .bind(high)
    .bind(writing.iter().map(|sides| sides.low).collect::<Vec<_>>())
    .bind(writing.iter().map(|sides| sides.high).collect::<Vec<_>>())
    .bind(slots.conversations.iter().map(|it| place(*it)).collect::<Vec<_>>())
    .bind(slots.senders.iter().map(|it| place(it.user)).collect::<Vec<_>>())
    .bind(slots.senders.iter().map(after).collect::<Vec<_>>())
    .bind(slots.others.iter().map(|it| it.as_ref().map(|it| place(it.user))).collect::<Vec<_>>())
    .bind(slots.others.iter().map(|it| it.as_ref().map(after)).collect::<Vec<_>>())
    .bind(plan.chats().map(|chat| chat.client_msg_id.as_str()).collect::<Vec<_>>())
    .bind(plan.chats().map(|chat| chat.content.as_str()).collect::<Vec<_>>())
    .fetch_optional(connection)
    .await
}
