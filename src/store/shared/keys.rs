//! Keys of chats about which somebody decides.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, ids, sql};
use crate::{
    clock::Timestamp,
    domain::{ClientMsgId, Content, ConversationId, Destination, UserId, UserName},
    store::{
        AllowedKey, ChatKeys, KeyState, Preview, Refusal, StoreError, VERDICT_KEPT, WantedKey,
        error::corrupt,
    },
};

/// What the company's own back end calls a user.
macro_rules! external_id {
    ($($of:tt)+) => {
        concat!(
            "(SELECT i.subject FROM identities i WHERE i.provider = 'external' AND i.user_id = ",
            $($of)+,
            " ORDER BY i.subject LIMIT 1)"
        )
    };
}

/// Whether the chat of key `w` can be sent there. Each fact is looked up by its index, here and below: a join would be
/// planned by how many rows a table had when they were counted last.
macro_rules! can_be_sent {
    () => {
        "((SELECT u.id FROM users u WHERE u.id = w.sender AND u.erased_at IS NULL) IS NOT NULL
             AND CASE WHEN w.target IS NULL THEN (
                 SELECT m.user_id FROM members m
                 WHERE m.conversation_id = w.conversation AND m.user_id = w.sender
                     AND m.state = 'member'
             ) ELSE (
                 SELECT u.id FROM users u WHERE u.id = w.target AND u.erased_at IS NULL
             ) END IS NOT NULL)"
    };
}

/// The receiver of a key that was taken, in a direct conversation.
macro_rules! receiver {
    () => {
        "CASE WHEN held_chats.target_id IS NULL THEN (
             SELECT CASE WHEN v.low_user = held_chats.sender_id THEN v.high_user ELSE v.low_user END
             FROM conversations v WHERE v.id = held_chats.conversation_id AND v.kind = 'direct'
         ) ELSE held_chats.target_id END"
    };
}

/// The conversation of a key's chat, if that has begun.
macro_rules! begun {
    () => {
        concat!(
            "CASE WHEN held_chats.target_id IS NULL THEN held_chats.conversation_id ELSE (
                 SELECT v.id FROM conversations v WHERE v.kind = 'direct' AND v.low_user = ",
            sql!(least "held_chats.sender_id, held_chats.target_id"),
            " AND v.high_user = ",
            sql!(greatest "held_chats.sender_id, held_chats.target_id"),
            ") END"
        )
    };
}
pub(super) use begun;

#[async_trait]
impl ChatKeys for Db {
    async fn claim_keys(
        &self,
        wanted: &[WantedKey],
        lease: Duration,
    ) -> Result<Vec<KeyState>, StoreError> {
        let (wanted, now) = (wanted.to_vec(), self.now());
        let lease = millis(lease);
        self.write(move |c| async move { claim(c, &wanted, lease, now).await }.boxed()).await
    }

    async fn key_states(&self, wanted: &[WantedKey]) -> Result<Vec<KeyState>, StoreError> {
        let wanted = wanted.to_vec();
        self.read(move |c| {
            async move {
                let places: Vec<_> = wanted.iter().enumerate().collect();
                let mut states = vec![KeyState::Asked; wanted.len()];
                for Known { place, state, is_releasing, .. } in known(c, &places).await? {
                    states[place] = state.filter(|_| !is_releasing).unwrap_or(KeyState::Asked);
                }
                Ok(states)
            }
            .boxed()
        })
        .await
    }

    async fn has_decided_keys(&self) -> Result<bool, StoreError> {
        self.read(|c| {
            sqlx::query_scalar(
                "SELECT EXISTS (
                     SELECT 1 FROM held_chats WHERE state IN ('held', 'releasing', 'refused'))",
            )
            .fetch_one(c)
            .boxed()
        })
        .await
    }

    async fn free_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM held_chats WHERE sender_id = $1 AND client_msg_id = $2
                 AND state = 'asked' AND until = $3",
        )
        .bind(sender)
        .bind(key.clone())
        .bind(until);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn allow_keys(&self, allowed: &[AllowedKey]) -> Result<(), StoreError> {
        let (allowed, now) = (allowed.to_vec(), self.now());
        self.transaction(move |c| async move { allow(c, &allowed, now).await }.boxed()).await
    }

    async fn refuse_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
        refusal: &Refusal,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE held_chats SET state = 'refused', code = $4, detail = $5, until = ",
            sql!(now "$6"),
            " + $7 WHERE sender_id = $1 AND client_msg_id = $2 AND state = 'asked' AND until = $3"
        ))
        .bind(sender)
        .bind(key.clone())
        .bind(until)
        .bind(refusal.code.clone())
        .bind(refusal.detail.clone())
        .bind(self.now())
        .bind(millis(VERDICT_KEPT));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "DELETE FROM held_chats WHERE id IN (
                 SELECT id FROM held_chats WHERE until < $1 ORDER BY until LIMIT $2)
                 AND until < $1",
        )
        .bind(before)
        .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1 << 53)
}

/// The user and the conversation that a destination names, one of which is not there.
pub(super) fn columns(destination: Destination) -> (Option<UserId>, Option<ConversationId>) {
    match destination {
        Destination::Direct(target) => (Some(target), None),
        Destination::Conversation(id) => (None, Some(id)),
    }
}

/// Keys as one parameter. Each has its place in the list.
fn records(wanted: &[(usize, &WantedKey)]) -> String {
    let records = wanted.iter().map(|(place, it)| {
        let (target, conversation) = columns(it.destination);
        json!({"place": place, "sender": it.sender, "msg": it.key, "target": target,
            "conversation": conversation, "digest": it.digest.to_hex()})
    });
    Value::Array(records.collect()).to_string()
}

async fn claim(
    connection: &mut Conn,
    wanted: &[WantedKey],
    lease: i64,
    now: Now,
) -> sqlx::Result<Vec<KeyState>> {
    // Of equal keys the first is claimed: a statement cannot write a row twice.
    let mut first = HashMap::new();
    for (place, it) in wanted.iter().enumerate() {
        first.entry((it.sender, it.key.as_str())).or_insert(place);
    }
    let claimed: Vec<_> = first.values().map(|&place| (place, &wanted[place])).collect();
    let mut states = vec![None; wanted.len()];
    for row in take(connection, &claimed, lease, now).await? {
        let place = first.get(&(row.sender_id, row.client_msg_id.as_str())).copied();
        let place = place.ok_or_else(|| corrupt("a key was taken that nobody wants"))?;
        let target = row.receiver_id.zip(row.receiver_name);
        let preview = Preview {
            conversation: row.begun_id,
            sender: (row.sender_name, row.sender_external),
            target: target.map(|(id, name)| (id, name, row.receiver_external)),
        };
        states[place] = Some(KeyState::Taken(row.until, preview));
    }
    let left = wanted.iter().enumerate().filter(|(place, _)| states[*place].is_none());
    let left: Vec<_> = left.collect();
    if !left.is_empty() {
        for Known { place, state, can_be_sent, .. } in known(connection, &left).await? {
            // Nothing is known of the key: somebody has freed it since, and it can be claimed again.
            let unknown = if can_be_sent { KeyState::Asked } else { KeyState::Commit };
            states[place] = Some(state.unwrap_or(unknown));
        }
    }
    let states: Option<_> = states.into_iter().collect();
    states.ok_or_else(|| corrupt("a key of a batch has no state"))
}

#[derive(FromRow)]
struct TakenRow {
    sender_id: UserId,
    client_msg_id: ClientMsgId,
    until: Timestamp,
    begun_id: Option<ConversationId>,
    sender_name: UserName,
    sender_external: Option<String>,
    receiver_id: Option<UserId>,
    receiver_name: Option<UserName>,
    receiver_external: Option<String>,
}

/// Takes those of these different keys that are free, in their order, so that replicas do not wait for each other.
async fn take(
    connection: &mut Conn,
    wanted: &[(usize, &WantedKey)],
    lease: i64,
    now: Now,
) -> sqlx::Result<Vec<TakenRow>> {
    sqlx::query_as(concat!(
        "INSERT INTO held_chats (sender_id, client_msg_id, request_digest, target_id,
             conversation_id, state, until, created_at)
         SELECT w.sender, w.msg, ",
        sql!(bytes "w.digest"),
        ", w.target, w.conversation, 'asked', n.now + $2, n.now
         FROM ",
        sql!(records "$1" as "w" ("sender" "bigint", "msg" "text", "target" "bigint",
            "conversation" "bigint", "digest" "text")),
        ", (SELECT ",
        sql!(now "$3"),
        " AS now) n
         WHERE (SELECT c.id FROM chats c WHERE c.sender_id = w.sender AND c.client_msg_id = w.msg)
             IS NULL AND ",
        can_be_sent!(),
        " ORDER BY w.sender, w.msg
         ON CONFLICT (sender_id, client_msg_id) DO UPDATE SET
             request_digest = excluded.request_digest, target_id = excluded.target_id,
             conversation_id = excluded.conversation_id, state = excluded.state,
             content = NULL, until = excluded.until
         WHERE (held_chats.state = 'asked' AND held_chats.until <= excluded.created_at)
             OR (held_chats.state = 'allowed' AND (
                 held_chats.request_digest <> excluded.request_digest
                 OR held_chats.target_id IS DISTINCT FROM excluded.target_id
                 OR held_chats.conversation_id IS DISTINCT FROM excluded.conversation_id))
         RETURNING sender_id, client_msg_id, until,
             ",
        begun!(),
        " AS begun_id,
             (SELECT u.name FROM users u WHERE u.id = held_chats.sender_id) AS sender_name, ",
        external_id!("held_chats.sender_id"),
        " AS sender_external, ",
        receiver!(),
        " AS receiver_id, (SELECT u.name FROM users u WHERE u.id = ",
        receiver!(),
        ") AS receiver_name, ",
        external_id!(receiver!()),
        " AS receiver_external"
    ))
    .bind(records(wanted))
    .bind(lease)
    .bind(now)
    .fetch_all(connection)
    .await
}

/// Whether a chat with this key can be sent there.
pub(super) async fn can_be_sent(connection: &mut Conn, wanted: &WantedKey) -> sqlx::Result<bool> {
    sqlx::query_scalar(concat!(
        "SELECT ",
        can_be_sent!(),
        " FROM ",
        sql!(records "$1" as "w" ("sender" "bigint", "target" "bigint", "conversation" "bigint"))
    ))
    .bind(records(&[(0, wanted)]))
    .fetch_one(connection)
    .await
}

async fn allow(connection: &mut Conn, allowed: &[AllowedKey], now: Now) -> sqlx::Result<()> {
    let wanted = allowed.iter().enumerate().map(|(place, it)| {
        json!({"place": place, "sender": it.sender, "msg": it.key, "until": it.until.as_millis()})
    });
    let wanted = Value::Array(wanted.collect()).to_string();
    let rows: Vec<(i64, Option<i64>, bool)> = sqlx::query_as(concat!(
        "SELECT w.place, (SELECT h.id FROM held_chats h WHERE h.sender_id = w.sender
                 AND h.client_msg_id = w.msg AND h.state = 'asked' AND h.until = w.until),
             (SELECT c.id FROM chats c WHERE c.sender_id = w.sender AND c.client_msg_id = w.msg)
                 IS NOT NULL
         FROM ",
        sql!(records "$1" as "w" ("place" "bigint", "sender" "bigint", "msg" "text",
            "until" "bigint"))
    ))
    .bind(wanted)
    .fetch_all(&mut *connection)
    .await?;
    // Claims lock in this order too.
    let found: Vec<_> = rows.iter().filter_map(|(_, id, _)| *id).collect();
    sqlx::query(concat!(
        "SELECT id FROM held_chats WHERE id ",
        sql!(in "$1"),
        " ORDER BY sender_id, client_msg_id",
        sql!(for "UPDATE")
    ))
    .bind(ids(&found))
    .execute(&mut *connection)
    .await?;
    let mut committed = Vec::new();
    for (at, id, is_committed) in rows {
        let it = usize::try_from(at).ok().and_then(|place| allowed.get(place));
        let it = it.ok_or_else(|| corrupt("a row of a batch is at no place of it"))?;
        match id {
            Some(id) if is_committed => committed.push(id),
            Some(id) => remember(connection, id, it, now).await?,
            None => {}
        }
    }
    sqlx::query(concat!("DELETE FROM held_chats WHERE id ", sql!(in "$1"), " AND state = 'asked'"))
        .bind(ids(&committed))
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the chat of a key may be sent, which was not sent yet. Few are: each is a statement.
async fn remember(
    connection: &mut Conn,
    id: i64,
    AllowedKey { until, content, .. }: &AllowedKey,
    now: Now,
) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "UPDATE held_chats SET state = 'allowed', content = $3, until = ",
        sql!(now "$4"),
        " + $5 WHERE id = $1 AND state = 'asked' AND until = $2"
    ))
    .bind(id)
    .bind(*until)
    .bind(content.as_ref().map(|content| content.as_str().to_owned()))
    .bind(now)
    .bind(millis(VERDICT_KEPT))
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct StateRow {
    place: i64,
    is_committed: bool,
    can_be_sent: bool,
    is_same: Option<bool>,
    state: Option<String>,
    content: Option<String>,
    code: Option<String>,
    detail: Option<String>,
}

/// How far a key is that the caller does not have.
pub(super) struct Known {
    place: usize,
    /// `None`: nothing is known of it.
    pub(super) state: Option<KeyState>,
    is_releasing: bool,
    can_be_sent: bool,
}

/// How far these keys are, each with its place.
pub(super) async fn known(
    connection: &mut Conn,
    wanted: &[(usize, &WantedKey)],
) -> sqlx::Result<Vec<Known>> {
    let rows: Vec<StateRow> = sqlx::query_as(concat!(
        "WITH w AS MATERIALIZED (
             SELECT r.*, (SELECT c.id FROM chats c
                 WHERE c.sender_id = r.sender AND c.client_msg_id = r.msg) AS chat,
                 (SELECT h.id FROM held_chats h
                 WHERE h.sender_id = r.sender AND h.client_msg_id = r.msg) AS held
             FROM ",
        sql!(records "$1" as "r" ("place" "bigint", "sender" "bigint", "msg" "text",
            "target" "bigint", "conversation" "bigint", "digest" "text")),
        ")
         SELECT w.place, w.chat IS NOT NULL AS is_committed, ",
        can_be_sent!(),
        " AS can_be_sent, h.request_digest = ",
        sql!(bytes "w.digest"),
        " AND h.target_id IS NOT DISTINCT FROM w.target
             AND h.conversation_id IS NOT DISTINCT FROM w.conversation AS is_same,
             h.state, h.content, h.code, h.detail
         FROM w LEFT JOIN held_chats h ON h.id = w.held"
    ))
    .bind(records(wanted))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(StateRow::into_known).collect()
}

impl StateRow {
    fn into_known(self) -> sqlx::Result<Known> {
        let (can_be_sent, is_releasing) =
            (self.can_be_sent, self.state.as_deref() == Some("releasing"));
        // A place that the caller gave.
        let place = usize::try_from(self.place);
        let place = place.map_err(|_| corrupt("a row of a batch is at no place of it"))?;
        Ok(Known { place, state: self.into_state()?, is_releasing, can_be_sent })
    }

    fn into_state(self) -> sqlx::Result<Option<KeyState>> {
        if self.is_committed {
            return Ok(Some(KeyState::Commit));
        }
        let Some((state, is_same)) = self.state.zip(self.is_same) else { return Ok(None) };
        Ok(Some(match (state.as_str(), self.code, self.detail) {
            ("asked", ..) => KeyState::Asked,
            _ if !is_same => KeyState::Reused,
            ("held" | "releasing", ..) => KeyState::Held,
            ("allowed", ..) => KeyState::Allowed(self.content.as_deref().map(Content::of_service)),
            ("refused", Some(code), Some(detail)) => KeyState::Refused(Refusal { code, detail }),
            _ => return Err(corrupt("the state of a held chat is none")),
        }))
    }
}
