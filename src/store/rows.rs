//! Rows as the domain knows them, the same in every database.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{Bounds, EventBody, EventPage, ReadMark, Session, TimelineEvent, error::corrupt};
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ChatKind, ClientMsgId, Conversation, ConversationKind,
        OutOfRange, Peer, Seq, User, UserId, UserName,
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

/// A statement that reads conversations of user `$1` whose last chat is before `$2`, at most `$3`.
/// The last chat is one step back from the end of the conversation in an index; only what is on the
/// page is looked at closer. Unread chats are counted to 100.
macro_rules! conversations_query {
    ($which:literal) => {
        concat!(
            "WITH mine AS MATERIALIZED (
                 SELECT m.conversation_id, m.read_up_to,
                     (SELECT max(x.id) FROM chats x WHERE x.conversation_id = m.conversation_id)
                         AS last_id
                 FROM members m WHERE m.user_id = $1 ",
            $which,
            "), page AS MATERIALIZED (
                 SELECT * FROM mine WHERE last_id < $2 ORDER BY last_id DESC LIMIT $3
             ) ",
            chats_query!(
                "page.read_up_to, v.kind AS conversation_kind,
                 p.id AS peer_id, p.name AS peer_name, p.avatar AS peer_avatar,
                 l.seen_at AS peer_seen_at, other.read_up_to AS peer_read_up_to,
                 v.low_wrote AND v.high_wrote AS both_wrote,
                 (SELECT count(*) FROM (
                     SELECT 1 FROM chats x WHERE x.conversation_id = page.conversation_id
                         AND x.id > coalesce(page.read_up_to, 0) AND x.sender_id <> $1 LIMIT 100
                 ) unread) AS unread,",
                "FROM page LEFT JOIN chats c ON c.id = page.last_id",
                "LEFT JOIN users p ON p.id =
                     CASE WHEN v.low_user = $1 THEN v.high_user ELSE v.low_user END
                 LEFT JOIN members other
                     ON other.conversation_id = page.conversation_id AND other.user_id = p.id
                 LEFT JOIN last_seen l ON l.user_id = p.id
                 ORDER BY page.last_id DESC"
            )
        )
    };
}
pub(super) use conversations_query;

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
            user_name: UserName::stored(row.sender_name),
            target_user_name: UserName::stored(row.target_name),
            content: row.content.into(),
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
        Ok(Self { id: id(row.id)?, name: UserName::stored(row.name), avatar })
    }
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

/// A client's key to begin after: every key is greater than the empty text.
pub(super) fn key(after: Option<&ClientMsgId>) -> &str {
    after.map_or("", ClientMsgId::as_str)
}

/// The last client's key of a page that may be empty.
pub(super) fn last_key(last: Option<String>) -> sqlx::Result<Option<ClientMsgId>> {
    last.map(|key| ClientMsgId::parse(&key))
        .transpose()
        .map_err(|error| corrupt(format!("a client's key {error}")))
}

/// A picture's name to begin after: every name is greater than the empty text.
pub(super) fn start(after: Option<&AvatarHash>) -> &str {
    after.map_or("", AvatarHash::as_str)
}

/// The last picture's name of a page that may be empty.
pub(super) fn last_hash(last: Option<String>) -> sqlx::Result<Option<AvatarHash>> {
    let parse = |name: String| AvatarHash::parse(&name).ok_or_else(|| corrupt("no picture's name"));
    last.map(parse).transpose()
}

/// Rows made into what they stand for.
pub(super) fn all<R, T: TryFrom<R, Error = sqlx::Error>>(rows: Vec<R>) -> sqlx::Result<Vec<T>> {
    rows.into_iter().map(T::try_from).collect()
}

/// Takes off the row that was read beyond a page to see whether there is one.
pub(super) fn cut<R>(mut rows: Vec<R>, limit: u32) -> (Vec<R>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}

/// A login.
#[derive(FromRow)]
pub(super) struct SessionRow {
    id: i64,
    user_id: i64,
    idle_expires_at: i64,
    expires_at: i64,
    revoked: bool,
}

impl TryFrom<SessionRow> for Session {
    type Error = sqlx::Error;

    fn try_from(row: SessionRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: id(row.id)?,
            user: id(row.user_id)?,
            idle_expires_at: Timestamp::from_millis(row.idle_expires_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            revoked: row.revoked,
        })
    }
}

/// A conversation as one of its members sees it.
#[derive(FromRow)]
pub(super) struct ConversationRow {
    conversation_kind: String,
    read_up_to: Option<i64>,
    peer_id: i64,
    peer_name: String,
    peer_avatar: Option<String>,
    peer_seen_at: Option<i64>,
    peer_read_up_to: Option<i64>,
    both_wrote: bool,
    unread: i64,
    #[sqlx(flatten)]
    last_chat: ChatRow,
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = sqlx::Error;

    fn try_from(row: ConversationRow) -> sqlx::Result<Self> {
        let last_chat: Chat = row.last_chat.try_into()?;
        if row.conversation_kind != ConversationKind::Direct.as_str() {
            let id = last_chat.conversation_id;
            return Err(corrupt(format!("conversation {id} is of an unknown kind")));
        }
        let peer = UserRow { id: row.peer_id, name: row.peer_name, avatar: row.peer_avatar };
        Ok(Self {
            id: last_chat.conversation_id,
            kind: ConversationKind::Direct,
            peer: Peer {
                user: peer.try_into()?,
                last_seen_at: row.peer_seen_at.map(Timestamp::from_millis),
            },
            last_chat,
            unread: u32::try_from(row.unread).map_err(|_| corrupt("a count is negative"))?,
            read_up_to: mark(row.read_up_to)?,
            peer_read_up_to: mark(row.peer_read_up_to)?,
            both_wrote: row.both_wrote,
        })
    }
}

/// A member's mark, the other user, and the last chat, before the mark is moved.
#[derive(FromRow)]
pub(super) struct MarkRow {
    read_up_to: Option<i64>,
    peer_id: i64,
    last_id: Option<i64>,
}

impl MarkRow {
    /// Where the mark stands after it was to be moved to `up_to`.
    pub(super) fn moved_to(&self, up_to: ChatId) -> sqlx::Result<ReadMark> {
        let wanted = self.last_id.map(|last| last.min(up_to.get()));
        Ok(ReadMark {
            up_to: mark(wanted.max(self.read_up_to))?,
            // `None` is less than every mark.
            moved: wanted > self.read_up_to,
            peer: id(self.peer_id)?,
        })
    }
}

/// An event of a timeline, in columns `seq`, `event` and those of `chats_query!`.
pub(super) fn event<'r, R>(row: &'r R) -> sqlx::Result<TimelineEvent>
where
    R: Row,
    ChatRow: FromRow<'r, R>,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let kind: String = row.try_get("event")?;
    let body = if kind == "chat" {
        EventBody::Chat(Box::new(ChatRow::from_row(row)?.try_into()?))
    } else {
        EventBody::Other(kind)
    };
    Ok(TimelineEvent { seq: seq(row.try_get("seq")?)?, body })
}

/// A page of at most `limit` events of a user after `since`, if none within the bounds is missing.
pub(super) fn event_page(
    user: UserId,
    bounds: Bounds,
    since: Seq,
    limit: u32,
    events: Vec<TimelineEvent>,
) -> sqlx::Result<EventPage> {
    let hole = |seq: Seq| Err(corrupt(format!("event {seq} of user {user} is missing")));
    let mut expected = since.next();
    for event in &events {
        if event.seq != expected {
            return hole(expected);
        }
        expected = expected.next();
    }
    // A page that ends early although the timeline goes on has lost its end.
    if events.len() < usize::try_from(limit).unwrap_or(usize::MAX) && expected <= bounds.last {
        return hole(expected);
    }
    Ok(EventPage { bounds, events })
}

/// The least text that is greater than every text with this prefix; `None` if all are smaller. Texts
/// compare by their bytes, which in UTF-8 is by code points.
pub(super) fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Ranges of characters leave the surrogates out.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
