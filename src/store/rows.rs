//! Rows as the domain knows them, the same in every database.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{Bounds, Change, EventPage, ReadMark, Session, TimelineEvent, error::corrupt};
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ChatKind, ChatState, ClientMsgId, Conversation, ConversationId,
        ConversationKind, Mentions, OutOfRange, Payload, Peer, Quote, Seq, Target, User, UserId,
        UserName,
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
            " c.id AS chat_id, v.id AS conversation_id, c.sender_id, s.name AS sender_name,",
            " CASE WHEN v.kind <> 'direct' THEN NULL",
            " WHEN v.low_user = c.sender_id THEN v.high_user ELSE v.low_user END AS target_id,",
            " t.name AS target_name, c.content, c.created_at,",
            " c.client_msg_id, c.kind, c.body, c.state, CAST(c.version AS BIGINT) AS version,",
            " c.mentions, c.reply_to, q.sender_id AS quoted_sender_id,",
            " qs.name AS quoted_sender_name, q.kind AS quoted_kind, q.content AS quoted_content,",
            " q.state AS quoted_state ",
            $source,
            " LEFT JOIN conversations v ON v.id = c.conversation_id",
            " LEFT JOIN users s ON s.id = c.sender_id",
            " LEFT JOIN users t ON v.kind = 'direct' AND t.id =",
            " CASE WHEN v.low_user = c.sender_id THEN v.high_user ELSE v.low_user END",
            " LEFT JOIN chats q ON q.id = c.reply_to",
            " LEFT JOIN users qs ON qs.id = q.sender_id ",
            $tail
        )
    };
}
pub(super) use chats_query;

/// A statement that reads chats to be quoted, where `$which` chooses them as `c`.
macro_rules! quotes_query {
    ($which:literal) => {
        concat!(
            "SELECT c.id AS chat_id, c.conversation_id, c.sender_id, s.name AS sender_name, c.kind,
                 c.content, c.state
             FROM chats c LEFT JOIN users s ON s.id = c.sender_id WHERE ",
            $which
        )
    };
}
pub(super) use quotes_query;

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
                 FROM members m WHERE m.user_id = $1 AND m.state = 'member' ",
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
                "LEFT JOIN users p ON v.kind = 'direct' AND p.id =
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
    target_id: Option<i64>,
    target_name: Option<String>,
    content: String,
    created_at: i64,
    client_msg_id: String,
    kind: String,
    body: Option<String>,
    state: Option<String>,
    version: i64,
    mentions: Option<String>,
    reply_to: Option<i64>,
    quoted_sender_id: Option<i64>,
    quoted_sender_name: Option<String>,
    quoted_kind: Option<String>,
    quoted_content: Option<String>,
    quoted_state: Option<String>,
}

/// A chat as `quotes_query!` reads it.
#[derive(FromRow)]
pub(super) struct QuotedRow {
    chat_id: i64,
    conversation_id: i64,
    sender_id: i64,
    sender_name: String,
    kind: String,
    content: String,
    state: Option<String>,
}

impl QuotedRow {
    /// Its id, and what can be quoted of it.
    pub(super) fn entry(self) -> sqlx::Result<(ChatId, (ConversationId, Quote))> {
        let quote = Quote {
            id: id(self.chat_id)?,
            user_id: id(self.sender_id)?,
            user_name: UserName::stored(self.sender_name),
            kind: ChatKind::from(self.kind),
            content: Quote::cut(&self.content).into(),
            state: self.state.map(ChatState::from),
        };
        Ok((quote.id, (id(self.conversation_id)?, quote)))
    }
}

impl ChatRow {
    /// The chat that it quotes.
    fn quote(&mut self) -> sqlx::Result<Option<Quote>> {
        let Some(quoted) = self.reply_to else { return Ok(None) };
        let row = (
            self.quoted_sender_id.take(),
            self.quoted_sender_name.take(),
            self.quoted_kind.take(),
            self.quoted_content.take(),
        );
        let (Some(sender_id), Some(sender_name), Some(kind), Some(content)) = row else {
            return Err(corrupt(format!("chat {} quotes one that is gone", self.chat_id)));
        };
        let (conversation_id, state) = (self.conversation_id, self.quoted_state.take());
        let row = QuotedRow {
            chat_id: quoted,
            conversation_id,
            sender_id,
            sender_name,
            kind,
            content,
            state,
        };
        Ok(Some(row.entry()?.1.1))
    }
}

impl TryFrom<ChatRow> for Chat {
    type Error = sqlx::Error;

    fn try_from(mut row: ChatRow) -> sqlx::Result<Self> {
        let reply_to = row.quote()?;
        let mentions = row.mentions.map(|json| {
            let mentions = Mentions::from_json(&json);
            mentions
                .ok_or_else(|| corrupt(format!("the mentions of chat {} are none", row.chat_id)))
        });
        let target = match (row.target_id, row.target_name) {
            (Some(target), Some(called)) => {
                Some(Target { id: id(target)?, name: UserName::stored(called) })
            }
            (None, None) => None,
            _ => return Err(corrupt(format!("the receiver of chat {} is gone", row.chat_id))),
        };
        Ok(Self {
            id: id(row.chat_id)?,
            user_id: id(row.sender_id)?,
            user_name: UserName::stored(row.sender_name),
            target,
            content: row.content.into(),
            create_time: Timestamp::from_millis(row.created_at),
            client_msg_id: ClientMsgId::parse(&row.client_msg_id).map_err(|error| {
                corrupt(format!("the client's key of chat {} {error}", row.chat_id))
            })?,
            conversation_id: id(row.conversation_id)?,
            kind: ChatKind::from(row.kind),
            body: row.body.map(|body| payload(body, "a chat")).transpose()?,
            state: row.state.map(ChatState::from),
            version: u32::try_from(row.version).map_err(|_| corrupt("a version is negative"))?,
            reply_to,
            mentions: mentions.transpose()?,
        })
    }
}

/// An object that passes through.
fn payload(json: String, of: &str) -> sqlx::Result<Payload> {
    Payload::parse(json).map_err(|error| corrupt(format!("the payload of {of} {error}")))
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
    peer_id: Option<i64>,
    peer_name: Option<String>,
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
        let kind = ConversationKind::from(row.conversation_kind);
        let peer = match (&kind, row.peer_id, row.peer_name) {
            (ConversationKind::Direct, Some(id), Some(name)) => Some(Peer {
                user: UserRow { id, name, avatar: row.peer_avatar }.try_into()?,
                last_seen_at: row.peer_seen_at.map(Timestamp::from_millis),
            }),
            (ConversationKind::Other(_), None, None) => None,
            _ => {
                let id = last_chat.conversation_id;
                return Err(corrupt(format!("the other side of conversation {id} is gone")));
            }
        };
        Ok(Self {
            id: last_chat.conversation_id,
            kind,
            peer,
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
    peer_id: Option<i64>,
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
            peer: self.peer_id.map(id).transpose()?,
        })
    }
}

/// An event of a timeline, in columns `seq`, `event`, `event_chat`, `payload` and those of
/// `chats_query!`.
pub(super) fn event<'r, R>(row: &'r R) -> sqlx::Result<TimelineEvent>
where
    R: Row,
    ChatRow: FromRow<'r, R>,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let kind: String = row.try_get("event")?;
    let chat = || ChatRow::from_row(row)?.try_into().map(Box::new);
    let change = if kind == "chat" {
        Change::Chat(chat()?)
    } else {
        let has_chat = row.try_get::<Option<i64>, _>("event_chat")?.is_some();
        let payload_of = |json| payload(json, "an event");
        Change::Other {
            kind,
            chat: has_chat.then(chat).transpose()?,
            payload: row.try_get::<Option<String>, _>("payload")?.map(payload_of).transpose()?,
        }
    };
    Ok(TimelineEvent { seq: seq(row.try_get("seq")?)?, change })
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
