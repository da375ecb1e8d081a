//! Rows of several columns as the domain knows them, the same in every database.

use sqlx::{FromRow, Row};

use super::{EventPage, ReadMark, TimelineEvent, TimelineRange, error::corrupt};
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, AvatarUrl, Chat, ChatId, ChatKind, ChatState, ClientMsgId, Conversation,
        ConversationChange, ConversationId, ConversationKind, ExternalId, GroupFace, GroupTitle,
        Mentions, OwnConversation, OwnSettings, Payload, Peer, Quote, Role, SeenConversation, Seq,
        Target, User, UserId, UserName,
    },
};

/// Has a domain value read by way of a row.
macro_rules! read_as {
    ($value:ty, $row:ty) => {
        impl<'r, R: Row> FromRow<'r, R> for $value
        where
            $row: FromRow<'r, R>,
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                <$row>::from_row(row)?.try_into()
            }
        }
    };
}

/// A chat as `chats_query!` reads it.
#[derive(FromRow)]
pub(super) struct ChatRow {
    chat_id: ChatId,
    conversation_id: ConversationId,
    sender_id: UserId,
    sender_name: UserName,
    target_id: Option<UserId>,
    target_name: Option<UserName>,
    content: String,
    created_at: Timestamp,
    client_msg_id: ClientMsgId,
    kind: ChatKind,
    body: Option<Payload>,
    state: Option<ChatState>,
    version: i64,
    mentions: Option<Mentions>,
    reply_to: Option<ChatId>,
    quoted_sender_id: Option<UserId>,
    quoted_sender_name: Option<UserName>,
    quoted_kind: Option<ChatKind>,
    quoted_content: Option<String>,
    quoted_state: Option<ChatState>,
}

read_as!(Chat, ChatRow);

/// A chat as `quotes_query!` reads it.
#[derive(FromRow)]
pub(super) struct QuotedRow {
    reader_id: UserId,
    chat_id: ChatId,
    conversation_id: ConversationId,
    sender_id: UserId,
    sender_name: UserName,
    kind: ChatKind,
    content: String,
    state: Option<ChatState>,
}

impl QuotedRow {
    /// Who may read it and its id, and what can be quoted of it.
    pub(super) fn entry(self) -> ((UserId, ChatId), (ConversationId, Quote)) {
        let quote = Quote {
            id: self.chat_id,
            user_id: self.sender_id,
            user_name: self.sender_name,
            kind: self.kind,
            content: Quote::cut(&self.content).into(),
            state: self.state,
        };
        ((self.reader_id, quote.id), (self.conversation_id, quote))
    }
}

impl ChatRow {
    /// The chat that it quotes.
    fn quote(&mut self) -> sqlx::Result<Option<Quote>> {
        let Some(id) = self.reply_to else { return Ok(None) };
        let sender = self.quoted_sender_id.zip(self.quoted_sender_name.take());
        let what = self.quoted_kind.take().zip(self.quoted_content.take());
        let Some(((user_id, user_name), (kind, content))) = sender.zip(what) else {
            return Err(corrupt(format!("chat {} quotes one that is gone", self.chat_id)));
        };
        let (content, state) = (Quote::cut(&content).into(), self.quoted_state.take());
        Ok(Some(Quote { id, user_id, user_name, kind, content, state }))
    }
}

impl TryFrom<ChatRow> for Chat {
    type Error = sqlx::Error;

    fn try_from(mut row: ChatRow) -> sqlx::Result<Self> {
        let reply_to = row.quote()?;
        let target = match (row.target_id, row.target_name) {
            (Some(id), Some(name)) => Some(Target { id, name }),
            (None, None) => None,
            _ => return Err(corrupt(format!("the receiver of chat {} is gone", row.chat_id))),
        };
        Ok(Self {
            id: row.chat_id,
            user_id: row.sender_id,
            user_name: row.sender_name,
            target,
            content: row.content.into(),
            create_time: row.created_at,
            client_msg_id: row.client_msg_id,
            conversation_id: row.conversation_id,
            kind: row.kind,
            body: row.body,
            state: row.state,
            version: u32::try_from(row.version).map_err(|_| corrupt("a version is negative"))?,
            reply_to,
            mentions: row.mentions,
        })
    }
}

/// A user's public face.
#[derive(FromRow)]
pub(super) struct UserRow {
    id: UserId,
    name: UserName,
    avatar: Option<AvatarHash>,
    avatar_url: Option<AvatarUrl>,
    public_profile: Option<Payload>,
    external_id: Option<ExternalId>,
}

read_as!(User, UserRow);

impl TryFrom<UserRow> for User {
    type Error = sqlx::Error;

    fn try_from(row: UserRow) -> sqlx::Result<Self> {
        let UserRow { id, name, avatar, avatar_url, public_profile, external_id } = row;
        Ok(Self { id, name, avatar, avatar_url, public_profile, external_id })
    }
}

/// What a member keeps of a conversation.
#[derive(FromRow)]
struct SettingsRow {
    pinned: bool,
    muted: bool,
    marked_unread: bool,
    draft: Option<String>,
}

/// What is one member's of a conversation, as `own_columns!` reads it.
#[derive(FromRow)]
pub(super) struct OwnRow {
    about_id: ConversationId,
    conversation_kind: ConversationKind,
    conversation_external_id: Option<ExternalId>,
    title: Option<GroupTitle>,
    member_count: i64,
    members_version: i64,
    conversation_version: Option<ChatId>,
    is_member: bool,
    role: Role,
    #[sqlx(flatten)]
    settings: SettingsRow,
    hidden_up_to: i64,
    cleared_up_to: i64,
}

impl OwnRow {
    /// What is one's own of it.
    pub(super) fn into_own(self) -> sqlx::Result<OwnConversation> {
        Ok(self.split()?.1)
    }

    /// What an event says of it: to a member what all share, and what is the member's own if it is about that.
    pub(super) fn into_change(self, is_own: bool) -> sqlx::Result<ConversationChange> {
        let (id, kind) = (self.about_id, self.conversation_kind.clone());
        let (is_member, version) = (self.is_member, self.conversation_version);
        let external_id = self.conversation_external_id.clone();
        let (group, own) = self.split()?;
        let own = is_own.then_some(own);
        let seen = is_member.then_some(SeenConversation { external_id, group, version, own });
        Ok(ConversationChange { id, kind, seen })
    }

    fn split(self) -> sqlx::Result<(Option<GroupFace>, OwnConversation)> {
        let count = |number: i64| u32::try_from(number).map_err(|_| corrupt("a count is negative"));
        let is_direct = self.conversation_kind == ConversationKind::Direct;
        let group = GroupFace {
            title: self.title,
            member_count: count(self.member_count)?,
            members_version: count(self.members_version)?,
        };
        let SettingsRow { pinned, muted, marked_unread, draft } = self.settings;
        let settings = OwnSettings { pinned, muted, marked_unread, draft };
        let own = OwnConversation {
            role: (!is_direct && self.is_member).then_some(self.role),
            settings,
            hidden_up_to: self.hidden_up_to,
            cleared_up_to: self.cleared_up_to,
        };
        Ok(((!is_direct).then_some(group), own))
    }
}

/// A conversation as one of its members sees it.
pub(super) struct ConversationRow {
    own: OwnRow,
    last: LastRow,
    last_chat: Option<Chat>,
}

#[derive(FromRow)]
struct LastRow {
    last_id: Option<ChatId>,
    shown_id: Option<ChatId>,
    read_up_to: Option<ChatId>,
    peer_id: Option<UserId>,
    peer_name: Option<UserName>,
    peer_avatar: Option<AvatarHash>,
    peer_avatar_url: Option<AvatarUrl>,
    peer_profile: Option<Payload>,
    peer_external_id: Option<ExternalId>,
    peer_seen_at: Option<Timestamp>,
    peer_read_up_to: Option<ChatId>,
    both_wrote: bool,
    mentioned: bool,
    unread: i64,
}

impl<'r, R: Row> FromRow<'r, R> for ConversationRow
where
    OwnRow: FromRow<'r, R>,
    LastRow: FromRow<'r, R>,
    Chat: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let last = LastRow::from_row(row)?;
        // The other columns of a row without a chat are NULL.
        let last_chat = last.shown_id.map(|_| Chat::from_row(row)).transpose()?;
        Ok(Self { own: OwnRow::from_row(row)?, last, last_chat })
    }
}

read_as!(Conversation, ConversationRow);

impl TryFrom<ConversationRow> for Conversation {
    type Error = sqlx::Error;

    fn try_from(ConversationRow { own, last, last_chat }: ConversationRow) -> sqlx::Result<Self> {
        let (id, kind) = (own.about_id, own.conversation_kind.clone());
        let (is_member, version) = (own.is_member, own.conversation_version);
        let external_id = own.conversation_external_id.clone();
        let (group, own) = own.split()?;
        let peer = match (&kind, last.peer_id, last.peer_name) {
            (ConversationKind::Direct, Some(id), Some(name)) => Some(Peer {
                user: User {
                    id,
                    name,
                    avatar: last.peer_avatar,
                    avatar_url: last.peer_avatar_url,
                    public_profile: last.peer_profile,
                    external_id: last.peer_external_id,
                },
                last_seen_at: last.peer_seen_at,
                // What the service's rules allow is decided above.
                shows_presence: true,
            }),
            (ConversationKind::Group | ConversationKind::Other(_), None, None) => None,
            _ => return Err(corrupt(format!("the other side of conversation {id} is gone"))),
        };
        Ok(Self {
            id,
            kind,
            external_id,
            peer,
            group,
            role: own.role,
            left: !is_member,
            last_chat,
            position: last.last_id,
            version: version.or(last.last_id),
            unread: u32::try_from(last.unread).map_err(|_| corrupt("a count is negative"))?,
            mentioned: last.mentioned,
            read_up_to: last.read_up_to,
            peer_read_up_to: last.peer_read_up_to,
            both_wrote: last.both_wrote,
            own: own.settings,
        })
    }
}

/// A member's mark, the other user, and the last chat, before the mark is moved.
#[derive(FromRow)]
pub(super) struct MarkRow {
    marked_unread: bool,
    read_up_to: Option<ChatId>,
    peer_id: Option<UserId>,
    last_id: Option<ChatId>,
}

impl MarkRow {
    /// The mark after it was to be moved to `up_to`.
    pub(super) fn moved_to(&self, up_to: ChatId) -> ReadMark {
        let wanted = self.last_id.map(|last| last.min(up_to));
        // `None` is less than every mark.
        let moved = wanted > self.read_up_to;
        ReadMark {
            up_to: wanted.max(self.read_up_to),
            moved,
            peer: self.peer_id,
            marked_unread: self.marked_unread,
        }
    }
}

/// Takes off the row that was read beyond a page to see whether there is one.
pub(super) fn cut<R>(mut rows: Vec<R>, limit: u32) -> (Vec<R>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}

/// A page of at most `limit` events of a user after `since`, if none within the range is missing.
pub(super) fn event_page(
    user: UserId,
    range: TimelineRange,
    since: Seq,
    limit: u32,
    events: Vec<TimelineEvent>,
) -> sqlx::Result<EventPage> {
    let hole = |seq| Err(corrupt(format!("event {seq} of user {user} is missing")));
    let mut expected = since.next();
    for event in &events {
        if event.seq != expected {
            return hole(expected);
        }
        expected = expected.next();
    }
    // A page that ends early although the timeline goes on has lost its end.
    if events.len() < usize::try_from(limit).unwrap_or(usize::MAX) && expected <= range.last {
        return hole(expected);
    }
    Ok(EventPage { range, events })
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
