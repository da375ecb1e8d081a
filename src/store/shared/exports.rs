//! All that is kept of a user.

use async_trait::async_trait;
use futures_util::FutureExt;
use serde::Serialize;
use sqlx::{FromRow, Row};

use super::{Conn, Db, DbRow, media::media_columns, queries::chats_query};
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ChatKind, ClientMsgId, ConversationId, ConversationKind,
        ExternalId, GroupTitle, HeldId, Media, MediaId, Mentions, Payload, ReportId, Role,
        SessionId, UserId, UserName,
    },
    store::{
        ExportKey, ExportPage, ExportPart, ExportedUser, Exports, StoreError, media::MediaRow,
    },
};

#[async_trait]
impl Exports for Db {
    async fn exported_user(&self, user: UserId) -> Result<Option<ExportedUser>, StoreError> {
        self.read(move |c| exported_user(c, user).boxed()).await
    }

    async fn export_page(
        &self,
        user: UserId,
        part: ExportPart,
        after: Option<&ExportKey>,
        limit: u32,
    ) -> Result<ExportPage, StoreError> {
        let after = after.cloned();
        self.read(move |c| {
            async move {
                match part {
                    ExportPart::Sessions => page::<SessionRecord>(c, user, after, limit).await,
                    ExportPart::Conversations => {
                        page::<ConversationRecord>(c, user, after, limit).await
                    }
                    ExportPart::Stretches => page::<StretchRecord>(c, user, after, limit).await,
                    ExportPart::Hidden => page::<HiddenRecord>(c, user, after, limit).await,
                    ExportPart::Chats => page::<ChatRecord>(c, user, after, limit).await,
                    ExportPart::Blocks => page::<BlockRecord>(c, user, after, limit).await,
                    ExportPart::Reports => page::<ReportRecord>(c, user, after, limit).await,
                    ExportPart::Held => page::<HeldRecord>(c, user, after, limit).await,
                }
            }
            .boxed()
        })
        .await
    }

    async fn uploads(
        &self,
        user: UserId,
        after: Option<MediaId>,
        limit: u32,
    ) -> Result<Vec<(Media, Timestamp)>, StoreError> {
        self.read(move |c| {
            async move {
                let rows: Vec<UploadRow> = sqlx::query_as(concat!(
                    "SELECT f.created_at, ",
                    media_columns!(),
                    " FROM media f WHERE f.owner_id = $1 AND f.state = 'kept' AND f.id > $2
                     ORDER BY f.id LIMIT $3"
                ))
                .bind(user)
                // Every id is greater than the empty text.
                .bind(after.map(|id| id.to_string()).unwrap_or_default())
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?;
                let uploads =
                    rows.into_iter().map(|row| Ok((row.media.try_into()?, row.created_at)));
                uploads.collect()
            }
            .boxed()
        })
        .await
    }
}

#[derive(FromRow)]
struct UploadRow {
    created_at: Timestamp,
    #[sqlx(flatten)]
    media: MediaRow,
}

/// A record of a list.
trait Record: for<'r> FromRow<'r, DbRow> + Serialize + Send + Unpin {
    /// Reads at most `$2` records of user `$1`, in the order of their places after `$3`, or after `$3` and `$4`.
    const QUERY: &'static str;

    /// Before the first.
    const START: ExportKey = ExportKey::Id(0);

    fn place(&self) -> ExportKey;
}

async fn page<R: Record>(
    connection: &mut Conn,
    user: UserId,
    after: Option<ExportKey>,
    limit: u32,
) -> sqlx::Result<ExportPage> {
    let query = sqlx::query_as(R::QUERY).bind(user).bind(i64::from(limit));
    let query = match after.unwrap_or(R::START) {
        ExportKey::Id(id) => query.bind(id),
        ExportKey::Ids(first, second) => query.bind(first).bind(second),
        ExportKey::Text(text) => query.bind(text),
    };
    let rows: Vec<R> = query.fetch_all(connection).await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let next = rows.last().filter(|_| is_full).map(Record::place);
    let records = rows.iter().map(json).collect::<sqlx::Result<_>>()?;
    Ok(ExportPage { records, next })
}

fn json(record: &impl Serialize) -> sqlx::Result<String> {
    serde_json::to_string(record).map_err(|error| sqlx::Error::Encode(error.into()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserRecord {
    id: UserId,
    name: UserName,
    create_time: Timestamp,
    last_seen_at: Option<Timestamp>,
    avatar_url: Option<String>,
    profile: ProfileRecord,
    identities: Vec<IdentityRecord>,
    restriction: Option<RestrictionRecord>,
    subscriptions: Vec<SubscriptionRecord>,
}

#[derive(Serialize)]
struct ProfileRecord {
    public: Option<Payload>,
    hidden: Option<Payload>,
}

#[derive(FromRow, Serialize)]
struct IdentityRecord {
    provider: String,
    subject: String,
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct RestrictionRecord {
    kind: String,
    until: Option<Timestamp>,
    reason: Option<String>,
    #[sqlx(rename = "created_at")]
    create_time: Timestamp,
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionRecord {
    appid: String,
    template_id: String,
    grants: i64,
}

#[derive(FromRow)]
struct UserRow {
    name: UserName,
    created_at: Timestamp,
    seen_at: Option<Timestamp>,
    avatar: Option<AvatarHash>,
    avatar_url: Option<String>,
    public_profile: Option<Payload>,
    hidden_profile: Option<Payload>,
}

async fn exported_user(connection: &mut Conn, id: UserId) -> sqlx::Result<Option<ExportedUser>> {
    let row: Option<UserRow> = sqlx::query_as(
        "SELECT u.name, u.created_at, l.seen_at, u.avatar, u.avatar_url, u.public_profile,
             u.hidden_profile
         FROM users u LEFT JOIN last_seen l ON l.user_id = u.id
         WHERE u.id = $1 AND u.kind = 'person' AND u.erased_at IS NULL",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let identities = sqlx::query_as(
        "SELECT provider, subject FROM identities WHERE user_id = $1 ORDER BY provider, subject",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let restriction = sqlx::query_as(
        "SELECT kind, until, reason, created_at FROM restrictions WHERE user_id = $1",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let subscriptions = sqlx::query_as(
        "SELECT appid, template_id, grants FROM subscription_grants WHERE user_id = $1
         ORDER BY appid, template_id",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let record = UserRecord {
        id,
        name: row.name,
        create_time: row.created_at,
        last_seen_at: row.seen_at,
        avatar_url: row.avatar_url,
        profile: ProfileRecord { public: row.public_profile, hidden: row.hidden_profile },
        identities,
        restriction,
        subscriptions,
    };
    Ok(Some(ExportedUser { record: json(&record)?, avatar: row.avatar }))
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionRecord {
    id: SessionId,
    #[sqlx(rename = "created_at")]
    create_time: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
    revoked: bool,
}

impl Record for SessionRecord {
    const QUERY: &'static str = "SELECT id, created_at, idle_expires_at, expires_at, revoked
         FROM sessions WHERE user_id = $1 AND id > $3 ORDER BY id LIMIT $2";

    fn place(&self) -> ExportKey {
        ExportKey::Id(self.id.get())
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are columns, and facts of their own")]
struct ConversationRecord {
    id: ConversationId,
    kind: ConversationKind,
    external_id: Option<ExternalId>,
    title: Option<GroupTitle>,
    peer_id: Option<UserId>,
    is_creator: bool,
    creator_key: Option<String>,
    left: bool,
    role: Role,
    joined_at: Option<Timestamp>,
    read_up_to: Option<i64>,
    visible_after: i64,
    cleared_up_to: i64,
    hidden_up_to: i64,
    mention_id: Option<i64>,
    pinned_at: Option<Timestamp>,
    muted: bool,
    marked_unread: bool,
    draft: Option<String>,
}

impl Record for ConversationRecord {
    const QUERY: &'static str = "SELECT g.id, g.kind, g.external_id, g.title,
             CASE WHEN g.kind <> 'direct' THEN NULL
                 WHEN g.low_user = $1 THEN g.high_user ELSE g.low_user END AS peer_id,
             coalesce(g.creator_id = $1, false) AS is_creator,
             CASE WHEN g.creator_id = $1 THEN g.creator_key END AS creator_key,
             m.state <> 'member' AS \"left\", m.role, m.joined_at, m.read_up_to, m.visible_after,
             m.cleared_up_to, m.hidden_up_to, m.mention_id, m.pinned_at, m.muted, m.marked_unread,
             m.draft
         FROM members m JOIN conversations g ON g.id = m.conversation_id
         WHERE m.user_id = $1 AND m.conversation_id > $3 ORDER BY m.conversation_id LIMIT $2";

    fn place(&self) -> ExportKey {
        ExportKey::Id(self.id.get())
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct StretchRecord {
    conversation_id: ConversationId,
    #[sqlx(rename = "from_chat")]
    after: i64,
    #[sqlx(rename = "to_chat")]
    up_to: i64,
}

impl Record for StretchRecord {
    const QUERY: &'static str = "SELECT conversation_id, from_chat, to_chat FROM member_stretches
         WHERE user_id = $1 AND (conversation_id, from_chat) > ($3, $4)
         ORDER BY conversation_id, from_chat LIMIT $2";

    const START: ExportKey = ExportKey::Ids(0, 0);

    fn place(&self) -> ExportKey {
        ExportKey::Ids(self.conversation_id.get(), self.after)
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct HiddenRecord {
    chat_id: ChatId,
}

impl Record for HiddenRecord {
    const QUERY: &'static str = "SELECT chat_id FROM hidden_chats
         WHERE user_id = $1 AND chat_id > $3 ORDER BY chat_id LIMIT $2";

    fn place(&self) -> ExportKey {
        ExportKey::Id(self.chat_id.get())
    }
}

/// A chat, which says of the one that it quotes no more than the id.
#[derive(Serialize)]
struct ChatRecord {
    #[serde(flatten)]
    chat: Chat,
    #[serde(rename = "replyTo", skip_serializing_if = "Option::is_none")]
    reply_to: Option<ChatId>,
}

impl<'r, R: Row> FromRow<'r, R> for ChatRecord
where
    Chat: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let mut chat = Chat::from_row(row)?;
        let reply_to = chat.reply_to.take().map(|quoted| quoted.id);
        Ok(Self { chat, reply_to })
    }
}

impl Record for ChatRecord {
    // The index of the senders' keys is the only one by sender.
    const QUERY: &'static str = chats_query!(
        "",
        "FROM chats c",
        "WHERE c.sender_id = $1 AND c.client_msg_id > $3 ORDER BY c.client_msg_id LIMIT $2"
    );

    const START: ExportKey = ExportKey::Text(String::new());

    fn place(&self) -> ExportKey {
        ExportKey::Text(self.chat.client_msg_id.as_str().to_owned())
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockRecord {
    #[sqlx(rename = "blocked_id")]
    user_id: UserId,
    read_up_to: Option<i64>,
    #[sqlx(rename = "created_at")]
    create_time: Timestamp,
}

impl Record for BlockRecord {
    const QUERY: &'static str = "SELECT blocked_id, read_up_to, created_at FROM blocks
         WHERE blocker_id = $1 AND blocked_id > $3 ORDER BY blocked_id LIMIT $2";

    fn place(&self) -> ExportKey {
        ExportKey::Id(self.user_id.get())
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportRecord {
    id: ReportId,
    #[sqlx(rename = "reported_id")]
    reported_user_id: UserId,
    chat_id: Option<ChatId>,
    reason: String,
    detail: Option<String>,
    #[sqlx(rename = "created_at")]
    create_time: Timestamp,
    outcome: Option<String>,
}

impl Record for ReportRecord {
    const QUERY: &'static str =
        "SELECT id, reported_id, chat_id, reason, detail, created_at, outcome
         FROM reports WHERE reporter_id = $1 AND id > $3 ORDER BY id LIMIT $2";

    fn place(&self) -> ExportKey {
        ExportKey::Id(self.id.get())
    }
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldRecord {
    id: HeldId,
    client_msg_id: ClientMsgId,
    #[sqlx(rename = "target_id")]
    target_user_id: Option<UserId>,
    conversation_id: Option<ConversationId>,
    state: String,
    until: Option<Timestamp>,
    kind: Option<ChatKind>,
    content: Option<String>,
    body: Option<Payload>,
    reply_to: Option<ChatId>,
    mentions: Option<Mentions>,
    media_id: Option<String>,
    code: Option<String>,
    detail: Option<String>,
    #[sqlx(rename = "created_at")]
    create_time: Timestamp,
}

impl Record for HeldRecord {
    const QUERY: &'static str =
        "SELECT id, client_msg_id, target_id, conversation_id, state, until,
             kind, content, body, reply_to, mentions, media_id, code, detail, created_at
         FROM held_chats WHERE sender_id = $1 AND client_msg_id > $3
         ORDER BY client_msg_id LIMIT $2";

    const START: ExportKey = ExportKey::Text(String::new());

    fn place(&self) -> ExportKey {
        ExportKey::Text(self.client_msg_id.as_str().to_owned())
    }
}
