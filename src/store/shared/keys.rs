//! Keys of chats about which somebody decides.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, sql};
use crate::{
    clock::Timestamp,
    domain::{ClientMsgId, Content, ConversationId, Destination, UserId, UserName},
    store::{
        AllowedKey, ChatKeys, KeyState, Preview, Refusal, StoreError, VERDICT_KEPT, WantedKey,
        error::corrupt,
    },
};

/// What the company's own back end calls user `$of`.
macro_rules! external_id {
    ($of:literal) => {
        concat!(
            "(SELECT i.subject FROM identities i WHERE i.provider = 'external' AND i.user_id = ",
            $of,
            " ORDER BY i.subject LIMIT 1)"
        )
    };
}

#[async_trait]
impl ChatKeys for Db {
    async fn claim_keys(
        &self,
        wanted: &[WantedKey],
        lease: Duration,
    ) -> Result<Vec<KeyState>, StoreError> {
        let (wanted, now) = (wanted.to_vec(), self.now());
        let lease = millis(lease);
        self.transaction(move |c| async move { claim(c, &wanted, lease, now).await }.boxed()).await
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

#[derive(FromRow)]
struct PreviewRow {
    place: i64,
    conversation_id: Option<ConversationId>,
    sender_name: UserName,
    sender_external: Option<String>,
    target_id: Option<UserId>,
    target_name: Option<UserName>,
    target_external: Option<String>,
}

/// What is known of the chats with these keys, in their order.
pub(super) async fn previews(
    connection: &mut Conn,
    wanted: &[WantedKey],
) -> sqlx::Result<Vec<Option<Preview>>> {
    const QUERY: &str = concat!(
        "WITH w AS (SELECT * FROM ",
        sql!(records "$1" as "r" ("place" "bigint", "sender" "bigint", "target" "bigint",
            "conversation" "bigint")),
        ")
         SELECT w.place, v.id AS conversation_id, s.name AS sender_name, ",
        external_id!("s.id"),
        " AS sender_external, t.id AS target_id, t.name AS target_name, ",
        external_id!("t.id"),
        " AS target_external
         FROM w JOIN users s ON s.id = w.sender AND s.erased_at IS NULL
         JOIN users t ON t.id = w.target AND t.erased_at IS NULL
         LEFT JOIN conversations v ON v.kind = 'direct' AND v.low_user = ",
        sql!(least "s.id, t.id"),
        " AND v.high_user = ",
        sql!(greatest "s.id, t.id"),
        " UNION ALL
         SELECT w.place, v.id, s.name, ",
        external_id!("s.id"),
        ", t.id, t.name, ",
        external_id!("t.id"),
        " FROM w JOIN users s ON s.id = w.sender AND s.erased_at IS NULL
         JOIN members m ON m.user_id = s.id AND m.conversation_id = w.conversation
             AND m.state = 'member'
         JOIN conversations v ON v.id = m.conversation_id
         LEFT JOIN users t ON v.kind = 'direct' AND t.id =
             CASE WHEN v.low_user = s.id THEN v.high_user ELSE v.low_user END"
    );
    let places: Vec<_> = wanted.iter().enumerate().collect();
    let rows: Vec<PreviewRow> =
        sqlx::query_as(QUERY).bind(records(&places)).fetch_all(connection).await?;
    let mut previews = vec![None; wanted.len()];
    for row in rows {
        let target = row.target_id.zip(row.target_name);
        *at(&mut previews, row.place)? = Some(Preview {
            conversation: row.conversation_id,
            sender: (row.sender_name, row.sender_external),
            target: target.map(|(id, name)| (id, name, row.target_external)),
        });
    }
    Ok(previews)
}

/// What stands at a place that the database was given.
fn at<T>(list: &mut [T], place: i64) -> sqlx::Result<&mut T> {
    let place = usize::try_from(place).ok().and_then(|place| list.get_mut(place));
    place.ok_or_else(|| corrupt("a row of a batch is at no place of it"))
}

async fn claim(
    connection: &mut Conn,
    wanted: &[WantedKey],
    lease: i64,
    now: Now,
) -> sqlx::Result<Vec<KeyState>> {
    let mut previews = previews(connection, wanted).await?;
    // Of equal keys the first is claimed: a statement cannot write a row twice.
    let mut first = HashMap::new();
    for (place, it) in wanted.iter().enumerate() {
        if previews[place].is_some() {
            first.entry((it.sender, it.key.as_str())).or_insert(place);
        }
    }
    let claimed: Vec<_> = first.values().map(|&place| (place, &wanted[place])).collect();
    let taken = take(connection, &claimed, lease, now).await?;
    let mut states = vec![None; wanted.len()];
    for (sender, key, until) in taken {
        let place = first.get(&(sender, key.as_str())).copied();
        let place = place.ok_or_else(|| corrupt("a key was claimed that nobody wants"))?;
        states[place] = previews[place].take().map(|preview| KeyState::Taken(until, preview));
    }
    let left = wanted.iter().enumerate().filter(|(place, _)| states[*place].is_none());
    let left: Vec<_> = left.collect();
    if !left.is_empty() {
        for (place, state) in known(connection, &left).await? {
            // One of which nothing is known was freed just now, and may be claimed again.
            let unknown =
                if previews[place].is_some() { KeyState::Asked } else { KeyState::Commit };
            states[place] = Some(state.unwrap_or(unknown));
        }
    }
    let states: Option<_> = states.into_iter().collect();
    states.ok_or_else(|| corrupt("a key of a batch has no state"))
}

/// Takes those of these different keys that are free, in their order, so that replicas do not wait for each other.
async fn take(
    connection: &mut Conn,
    wanted: &[(usize, &WantedKey)],
    lease: i64,
    now: Now,
) -> sqlx::Result<Vec<(UserId, ClientMsgId, Timestamp)>> {
    // Whether there is a chat is looked up for each key by its index: a join would be planned by how many chats
    // there were when they were counted last.
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
             IS NULL
         ORDER BY w.sender, w.msg
         ON CONFLICT (sender_id, client_msg_id) DO UPDATE SET
             request_digest = excluded.request_digest, target_id = excluded.target_id,
             conversation_id = excluded.conversation_id, state = excluded.state,
             content = NULL, until = excluded.until
         WHERE (held_chats.state = 'asked' AND held_chats.until <= excluded.created_at)
             OR (held_chats.state = 'allowed' AND (
                 held_chats.request_digest <> excluded.request_digest
                 OR held_chats.target_id IS DISTINCT FROM excluded.target_id
                 OR held_chats.conversation_id IS DISTINCT FROM excluded.conversation_id))
         RETURNING sender_id, client_msg_id, until"
    ))
    .bind(records(wanted))
    .bind(lease)
    .bind(now)
    .fetch_all(connection)
    .await
}

async fn allow(connection: &mut Conn, allowed: &[AllowedKey], now: Now) -> sqlx::Result<()> {
    let records = allowed.iter().map(|AllowedKey { sender, key, until, content }| {
        let content = content.as_ref().map(Content::as_str);
        json!({"sender": sender, "msg": key, "until": until.as_millis(), "content": content})
    });
    let records = Value::Array(records.collect()).to_string();
    let done = sqlx::query(concat!(
        "DELETE FROM held_chats WHERE id IN (
             SELECT h.id FROM ",
        sql!(records "$1" as "w" ("sender" "bigint", "msg" "text", "until" "bigint")),
        " JOIN held_chats h ON h.sender_id = w.sender AND h.client_msg_id = w.msg
                 AND h.state = 'asked' AND h.until = w.until
             WHERE (SELECT c.id FROM chats c
                 WHERE c.sender_id = w.sender AND c.client_msg_id = w.msg) IS NOT NULL)"
    ))
    .bind(records.clone())
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == allowed.len() as u64 {
        return Ok(());
    }
    sqlx::query(concat!(
        "UPDATE held_chats SET state = 'allowed', content = w.content, until = ",
        sql!(now "$2"),
        " + $3 FROM ",
        sql!(records "$1" as "w" ("sender" "bigint", "msg" "text", "until" "bigint",
            "content" "text")),
        " WHERE held_chats.sender_id = w.sender AND held_chats.client_msg_id = w.msg
             AND held_chats.state = 'asked' AND held_chats.until = w.until"
    ))
    .bind(records)
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
    is_same: Option<bool>,
    state: Option<String>,
    content: Option<String>,
    code: Option<String>,
    detail: Option<String>,
}

/// How far these keys are, none of which the caller has. `None`: nothing is known of it.
pub(super) async fn known(
    connection: &mut Conn,
    wanted: &[(usize, &WantedKey)],
) -> sqlx::Result<Vec<(usize, Option<KeyState>)>> {
    let rows: Vec<StateRow> = sqlx::query_as(concat!(
        "SELECT w.place, (SELECT c.id FROM chats c
             WHERE c.sender_id = w.sender AND c.client_msg_id = w.msg) IS NOT NULL AS is_committed,
             h.request_digest = ",
        sql!(bytes "w.digest"),
        " AND h.target_id IS NOT DISTINCT FROM w.target
             AND h.conversation_id IS NOT DISTINCT FROM w.conversation AS is_same,
             h.state, h.content, h.code, h.detail
         FROM ",
        sql!(records "$1" as "w" ("place" "bigint", "sender" "bigint", "msg" "text",
            "target" "bigint", "conversation" "bigint", "digest" "text")),
        " LEFT JOIN held_chats h ON h.sender_id = w.sender AND h.client_msg_id = w.msg"
    ))
    .bind(records(wanted))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = usize::try_from(row.place);
            let place = place.map_err(|_| corrupt("a row of a batch is at no place of it"))?;
            Ok((place, row.into_state()?))
        })
        .collect()
}

impl StateRow {
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
