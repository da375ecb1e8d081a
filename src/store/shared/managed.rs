//! Conversations as the service itself manages them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::{
    super::dialect::Now,
    Conn, Db,
    conversations::page,
    group_changes::{change_group, give_roles, join, names, tell_members, write_lines},
    groups::count,
    ids,
    outbox::tell,
    queries::conversation_version,
    recalls::recall,
    sql,
};
use crate::{
    domain::{
        Chat, ChatId, ConversationId, ConversationKind, ConversationRef, ExternalId, GroupChange,
        GroupFace, GroupRefusal, GroupRules, GroupTitle, Role, SystemLine, UserId, group::Changer,
        system_line::SystemEvent,
    },
    store::{
        CONVERSATION_CREATED, ChatPage, GroupBegun, ManagedConversation, ManagedConversations,
        NewConversation, NewMembers, Recalled, StoreError, Told, Window, error::corrupt,
    },
};

/// A statement that reads a [`ManagedRow`].
macro_rules! managed_query {
    ($which:literal) => {
        concat!(
            "SELECT g.id, g.kind, g.external_id, g.title,
                 CAST(g.member_count AS BIGINT) AS member_count,
                 CAST(g.members_version AS BIGINT) AS members_version, ",
            conversation_version!(),
            " AS version FROM conversations g WHERE ",
            $which
        )
    };
}

#[derive(FromRow)]
struct ManagedRow {
    id: ConversationId,
    kind: ConversationKind,
    external_id: Option<ExternalId>,
    title: Option<GroupTitle>,
    member_count: i64,
    members_version: i64,
    version: Option<ChatId>,
}

impl ManagedRow {
    fn into_conversation(self) -> sqlx::Result<ManagedConversation> {
        let face = GroupFace {
            title: self.title,
            member_count: count(self.member_count)?,
            members_version: count(self.members_version)?,
        };
        let group = (self.kind != ConversationKind::Direct).then_some(face);
        let Self { id, kind, external_id, version, .. } = self;
        Ok(ManagedConversation { id, kind, external_id, group, version })
    }
}

#[async_trait]
impl ManagedConversations for Db {
    async fn begin_conversation(&self, new: &NewConversation) -> Result<GroupBegun, StoreError> {
        let (new, now) = (new.clone(), self.now());
        self.transaction(move |c| async move { begin(c, new, now).await }.boxed()).await
    }

    async fn managed_conversation(
        &self,
        which: &ConversationRef,
    ) -> Result<Option<ManagedConversation>, StoreError> {
        let which = which.clone();
        self.read(move |c| {
            async move {
                let row: Option<ManagedRow> = match which {
                    ConversationRef::Id(id) => {
                        sqlx::query_as(managed_query!("g.id = $1"))
                            .bind(id)
                            .fetch_optional(c)
                            .await?
                    }
                    ConversationRef::External(id) => {
                        let query = sqlx::query_as(managed_query!("g.external_id = $1"));
                        query.bind(id).fetch_optional(c).await?
                    }
                };
                row.map(ManagedRow::into_conversation).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn manage_group(
        &self,
        group: ConversationId,
        service: UserId,
        change: &GroupChange,
        rules: GroupRules,
    ) -> Result<Result<Told, GroupRefusal>, StoreError> {
        let (change, now) = (change.clone(), self.now());
        self.transaction(move |c| {
            async move { change_group(c, group, Changer::Service(service), change, rules, now).await }
                .boxed()
        })
        .await
    }

    async fn all_chats(
        &self,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<ChatPage, StoreError> {
        let page = self.read(move |c| page(c, None, conversation, window, limit).boxed()).await?;
        page.ok_or_else(|| StoreError::Corrupt("the service has no reach".to_owned()))
    }

    async fn recall_any(
        &self,
        service: UserId,
        chat: ChatId,
    ) -> Result<Option<(Chat, Told)>, StoreError> {
        let (by, now) = (Changer::Service(service), self.now());
        let recalled =
            self.transaction(move |c| recall(c, by, chat, Duration::ZERO, now).boxed()).await?;
        match recalled {
            Recalled::Done(chat, told) => Ok(Some((*chat, told))),
            Recalled::NotFound => Ok(None),
            Recalled::Forbidden | Recalled::TooLate => {
                Err(StoreError::Corrupt("the service may recall every chat".to_owned()))
            }
        }
    }
}

async fn begin(connection: &mut Conn, new: NewConversation, now: Now) -> sqlx::Result<GroupBegun> {
    let NewConversation { external_id, service, members } = new;
    match members {
        NewMembers::Direct(one, other) => {
            let pair = (one.min(other), one.max(other));
            begin_direct(connection, external_id, pair, now).await
        }
        NewMembers::Group { title, members } => {
            begin_group(connection, external_id, service, title, members, now).await
        }
    }
}

async fn begin_direct(
    connection: &mut Conn,
    external_id: Option<ExternalId>,
    (low, high): (UserId, UserId),
    now: Now,
) -> sqlx::Result<GroupBegun> {
    let pair = BTreeSet::from([low, high]);
    if names(connection, &pair).await?.len() < pair.len() {
        return Ok(GroupBegun::UserNotFound);
    }
    let begun: Option<ConversationId> = sqlx::query_scalar(concat!(
        "INSERT INTO conversations (kind, low_user, high_user, external_id, is_managed, created_at)
         VALUES ('direct', $1, $2, $3, true, ",
        sql!(now "$4"),
        ") ON CONFLICT DO NOTHING RETURNING id"
    ))
    .bind(low)
    .bind(high)
    .bind(external_id.clone())
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = begun {
        sqlx::query(concat!(
            "INSERT INTO members (conversation_id, user_id) SELECT $2, n.id FROM ",
            sql!(rows "$1" as "n"),
            " WHERE true ON CONFLICT DO NOTHING"
        ))
        .bind(ids(&pair))
        .bind(id)
        .execute(&mut *connection)
        .await?;
        tell(connection, CONVERSATION_CREATED, Some(id), None, None, now).await?;
        return Ok(GroupBegun::Begun(id, Told::default()));
    }
    let rows: Vec<(ConversationId, Option<ExternalId>, bool)> = sqlx::query_as(
        "SELECT id, external_id, kind = 'direct' AND low_user = $1 AND high_user = $2
         FROM conversations
         WHERE kind = 'direct' AND low_user = $1 AND high_user = $2 OR external_id = $3",
    )
    .bind(low)
    .bind(high)
    .bind(external_id.clone())
    .fetch_all(&mut *connection)
    .await?;
    let [(id, known, true)] = &rows[..] else { return Ok(GroupBegun::KeyReused) };
    if known.is_some() && external_id.is_some() && *known != external_id {
        return Ok(GroupBegun::KeyReused);
    }
    // The two may have talked before the back end knew of it.
    sqlx::query(
        "UPDATE conversations SET external_id = coalesce(external_id, $2), is_managed = true
         WHERE id = $1 AND (NOT is_managed OR external_id IS NULL AND $3)",
    )
    .bind(id)
    .bind(external_id.clone())
    .bind(external_id.is_some())
    .execute(connection)
    .await?;
    Ok(GroupBegun::Repeat(*id))
}

async fn begin_group(
    connection: &mut Conn,
    external_id: Option<ExternalId>,
    service: UserId,
    title: Option<GroupTitle>,
    members: BTreeMap<UserId, Role>,
    now: Now,
) -> sqlx::Result<GroupBegun> {
    let roles: Vec<_> = members.iter().map(|(user, role)| (*user, *role)).collect();
    let asked = json!(["group", title, roles]);
    let digest = Sha256::digest(asked.to_string()).to_vec();
    let group: Option<ConversationId> = sqlx::query_scalar(concat!(
        "INSERT INTO conversations
             (kind, title, creator_id, external_id, request_digest, is_managed, created_at)
         VALUES ('group', $1, $2, $3, $4, true, ",
        sql!(now "$5"),
        ") ON CONFLICT (external_id) WHERE external_id IS NOT NULL DO NOTHING RETURNING id"
    ))
    .bind(title.clone())
    .bind(service)
    .bind(external_id.clone())
    .bind(&digest)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(group) = group else {
        let (first, asked): (ConversationId, Option<Vec<u8>>) =
            sqlx::query_as("SELECT id, request_digest FROM conversations WHERE external_id = $1")
                .bind(external_id)
                .fetch_one(connection)
                .await?;
        let is_same = asked == Some(digest);
        return Ok(if is_same { GroupBegun::Repeat(first) } else { GroupBegun::KeyReused });
    };
    let users: BTreeSet<UserId> = members.into_keys().collect();
    if names(connection, &users).await?.len() < users.len() {
        sqlx::query("DELETE FROM conversations WHERE id = $1")
            .bind(group)
            .execute(connection)
            .await?;
        return Ok(GroupBegun::UserNotFound);
    }
    let people: Vec<_> = users.iter().copied().collect();
    join(connection, group, &people, 0, now).await?;
    let given: Vec<_> = roles.into_iter().filter(|(_, role)| *role > Role::Member).collect();
    give_roles(connection, group, &given).await?;
    let who = json!({"by": service, "members": people});
    tell(connection, CONVERSATION_CREATED, Some(group), None, Some(who), now).await?;
    let line =
        SystemLine { event: SystemEvent::GroupCreated, actor: service, users: people, title };
    let chats = write_lines(connection, group, &[line], now).await?;
    let events = tell_members(connection, group, None, true, now).await?;
    if chats.is_empty() {
        return Err(corrupt("a group began without a word"));
    }
    Ok(GroupBegun::Begun(group, Told { chats, events }))
}
