//! Rows as the domain knows them, and lists as one parameter.

use serde_json::Value;
use sqlx::FromRow;

use super::error::corrupt;
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ChatKind, ClientMsgId, OutOfRange, Seq, User, UserId, UserName,
    },
};

/// A statement that reads chats: `chats_query!(columns, source, tail)`, where `source` names a chat
/// `c`. The rest of a chat hangs on it by outer joins, so that what is missing is noticed as a NULL
/// where none may be, and does not quietly shorten the answer.
macro_rules! chats_query {
    ($columns:literal, $source:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " c.id AS chat_id, c.conversation_id, c.sender_id, s.name AS sender_name,",
            " t.id AS target_id, t.name AS target_name, c.content, c.created_at,",
            " c.client_msg_id, c.kind ",
            $source,
            " LEFT JOIN conversations v ON v.id = c.conversation_id",
            " LEFT JOIN users s ON s.id = c.sender_id",
            " LEFT JOIN users t ON t.id =",
            " CASE WHEN v.low_user = c.sender_id THEN v.high_user ELSE v.low_user END ",
            $tail
        )
    };
}
pub(super) use chats_query;

/// A chat as `chats_query!` reads it.
#[derive(FromRow)]
pub(super) struct ChatRow {
    chat_id: i64,
    conversation_id: i64,
    sender_id: i64,
    sender_name: String,
    target_id: i64,
    target_name: String,
    content: String,
    created_at: i64,
    client_msg_id: String,
    kind: String,
}

impl TryFrom<ChatRow> for Chat {
    type Error = sqlx::Error;

    fn try_from(row: ChatRow) -> sqlx::Result<Self> {
        let kind = match row.kind.as_str() {
            "text" => ChatKind::Text,
            _ => return Err(corrupt(format!("chat {} is of an unknown kind", row.chat_id))),
        };
        Ok(Self {
            id: id(row.chat_id)?,
            user_id: id(row.sender_id)?,
            target_user_id: id(row.target_id)?,
            user_name: name(row.sender_id, &row.sender_name)?,
            target_user_name: name(row.target_id, &row.target_name)?,
            content: row.content,
            create_time: Timestamp::from_millis(row.created_at),
            client_msg_id: ClientMsgId::parse(&row.client_msg_id).map_err(|error| {
                corrupt(format!("the client's key of chat {} {error}", row.chat_id))
            })?,
            conversation_id: id(row.conversation_id)?,
            kind,
        })
    }
}

/// A user's public face.
#[derive(FromRow)]
pub(super) struct UserRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) avatar: Option<String>,
}

impl TryFrom<UserRow> for User {
    type Error = sqlx::Error;

    fn try_from(row: UserRow) -> sqlx::Result<Self> {
        let avatar = row
            .avatar
            .map(|hash| {
                AvatarHash::parse(&hash)
                    .ok_or_else(|| corrupt(format!("the avatar of user {} is no hash", row.id)))
            })
            .transpose()?;
        Ok(Self { id: id(row.id)?, name: name(row.id, &row.name)?, avatar })
    }
}

/// A name as the database has it.
pub(super) fn name(user: i64, name: &str) -> sqlx::Result<UserName> {
    UserName::parse(name).map_err(|error| corrupt(format!("the name of user {user} {error}")))
}

/// An id of any kind.
pub(super) fn id<T: TryFrom<i64, Error = OutOfRange>>(id: i64) -> sqlx::Result<T> {
    T::try_from(id).map_err(|error| corrupt(format!("an id {error}, not {id}")))
}

/// A place in a timeline.
pub(super) fn seq(seq: i64) -> sqlx::Result<Seq> {
    Seq::new(seq).map_err(|_| corrupt(format!("a sequence number is {seq}")))
}

/// A chat id that may be missing.
pub(super) fn mark(mark: Option<i64>) -> sqlx::Result<Option<ChatId>> {
    mark.map(id).transpose()
}

/// Rows made into what they stand for.
pub(super) fn all<R, T: TryFrom<R, Error = sqlx::Error>>(rows: Vec<R>) -> sqlx::Result<Vec<T>> {
    rows.into_iter().map(T::try_from).collect()
}

/// Ids as one parameter, which statements unfold with `json_each`: SQLite has no arrays, and a
/// statement for each element is a trip to the connection's thread for each.
pub(super) fn ids<T: Copy + Into<i64>>(ids: &[T]) -> String {
    list(ids.iter().map(|&id| Value::from(id.into())))
}

/// Ids of users as one parameter, each once.
pub(super) fn distinct_ids(ids: impl Iterator<Item = UserId>) -> String {
    let distinct: std::collections::BTreeSet<UserId> = ids.collect();
    list(distinct.into_iter().map(|id| Value::from(id.get())))
}

/// Tuples or other values as one parameter. JSON carries every text without U+0000 unchanged.
pub(super) fn list(values: impl Iterator<Item = Value>) -> String {
    Value::Array(values.collect()).to_string()
}
