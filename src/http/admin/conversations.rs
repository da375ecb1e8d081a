//! `/v1/admin/conversations`: conversations that a company's own back end makes, changes and reads.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        conversations::{ChatList, window},
        extract::{JsonBody, Params, PathParam},
        views::GroupView,
    },
    Key,
};
use crate::{
    admin::Act,
    domain::{
        ChatId, ConversationId, ConversationKind, ConversationRef, ExternalId, GroupChange,
        GroupTitle, Role, Scope, UserId, UserRef,
    },
    protocol::{
        MAX_USER_LIST_BYTES,
        fault::{ApiError, ErrorCode},
        fields::Words,
    },
    service::Service,
    store::{ManagedConversation, NewConversation, NewMembers},
};

/// The most users that one request names.
const MAX_USERS: usize = 1_000;

/// A conversation, as the server API sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManagedView {
    id: ConversationId,
    #[schema(value_type = String, example = "group")]
    kind: ConversationKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    external_id: Option<ExternalId>,
    /// What all members see of a group.
    #[serde(flatten)]
    group: Option<GroupView>,
    /// Rises with each new chat and each change of one; null before the first.
    #[schema(required = true)]
    version: Option<ChatId>,
}

impl From<ManagedConversation> for ManagedView {
    fn from(conversation: ManagedConversation) -> Self {
        let ManagedConversation { id, kind, external_id, group, version } = conversation;
        Self { id, kind, external_id, group: group.map(Into::into), version }
    }
}

/// A conversation that is to begin.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BeginConversation {
    /// What the back end calls it: a repeat gets the same conversation.
    external_id: Option<ExternalId>,
    kind: BegunKind,
    /// Of a group.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    title: Option<Words>,
    /// Of a direct conversation one or two; of a group at most `groups.max_members`.
    #[schema(min_items = 1, max_items = 1_000)]
    members: Vec<Member>,
}

/// What can be begun.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BegunKind {
    Direct,
    Group,
}

/// A member: an external id, `id:` and the service's own id, the own id as a number, or an object with one of
/// these and a role.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be an external id, an id, or an object with one of these")]
enum Member {
    Named(UserRef),
    WithRole(MemberWithRole),
}

/// A member with a role.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberWithRole {
    external_id: Option<ExternalId>,
    user_id: Option<UserId>,
    role: Option<Role>,
}

impl Member {
    fn named(self) -> Result<(UserRef, Role), ApiError> {
        match self {
            Self::Named(user) => Ok((user, Role::Member)),
            Self::WithRole(MemberWithRole { external_id, user_id, role }) => {
                let user = match (external_id, user_id) {
                    (Some(id), None) => UserRef::External(id),
                    (None, Some(id)) => UserRef::Id(id),
                    _ => {
                        let detail = "a member has either an `externalId` or a `userId`";
                        return Err(ApiError::invalid(detail));
                    }
                };
                Ok((user, role.unwrap_or(Role::Member)))
            }
        }
    }
}

/// The users whom a list names, each once, with a role.
async fn members(
    service: &Service,
    members: Vec<Member>,
) -> Result<BTreeMap<UserId, Role>, ApiError> {
    if members.is_empty() || members.len() > MAX_USERS {
        return Err(ApiError::invalid(format!("`members` must name 1 to {MAX_USERS} users")));
    }
    let pairs = members.into_iter().map(Member::named).collect::<Result<Vec<_>, _>>()?;
    let (names, roles): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let users = service.admin.users(&names).await?;
    Ok(users.into_iter().zip(roles).collect())
}

impl BeginConversation {
    async fn asked(self, service: &Service) -> Result<NewConversation, ApiError> {
        let Self { external_id, kind, title, members: named } = self;
        let title = title.map(|title| title.group_title("title")).transpose()?;
        let users = members(service, named).await?;
        let members = match kind {
            BegunKind::Group => {
                if users.values().filter(|role| **role == Role::Owner).count() > 1 {
                    return Err(ApiError::invalid("a group has one owner at most"));
                }
                NewMembers::Group { title, members: users }
            }
            BegunKind::Direct if title.is_some() => {
                return Err(ApiError::invalid("a direct conversation has no `title`"));
            }
            BegunKind::Direct => match *users.into_keys().collect::<Vec<_>>() {
                [one] => NewMembers::Direct(one, one),
                [one, other] => NewMembers::Direct(one, other),
                _ => {
                    let detail = "a direct conversation has one or two `members`";
                    return Err(ApiError::invalid(detail));
                }
            },
        };
        let service = service.messaging.service_user().await?;
        Ok(NewConversation { external_id, service, members })
    }
}

/// Begin a conversation; a repeat of an external id gets the same one, with 200
#[utoipa::path(post, path = "/v1/admin/conversations", tag = "admin", security(("apiKey" = [])),
    request_body = BeginConversation,
    responses((status = 201, body = ManagedView), (status = 200, body = ManagedView)))]
pub(super) async fn begin_any(
    State(service): State<Arc<Service>>,
    key: Key,
    body: JsonBody<MAX_USER_LIST_BYTES>,
) -> Result<(StatusCode, Json<ManagedView>), ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "conversation.create", None).await?;
    let done = async {
        let new = body.fields()?.read::<BeginConversation>()?.asked(&service).await?;
        let (id, is_new) = service.messaging.begin_conversation(&new).await?;
        act.is_about(format!("conversation:{id}"));
        let found = service.messaging.managed_conversation(&ConversationRef::Id(id)).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Json(found.into())))
    };
    let done = done.await;
    act.end(done).await
}

/// The conversation that a path names; notes that the act is about it.
async fn found(service: &Service, act: &mut Act, id: &str) -> Result<ConversationId, ApiError> {
    let which: ConversationRef =
        id.parse().map_err(|error| ApiError::invalid(format!("`id` {error}")))?;
    let id = service.messaging.managed_conversation(&which).await?.id;
    act.is_about(format!("conversation:{id}"));
    Ok(id)
}

async fn view(service: &Service, id: ConversationId) -> Result<Json<ManagedView>, ApiError> {
    let found = service.messaging.managed_conversation(&ConversationRef::Id(id)).await?;
    Ok(Json(found.into()))
}

/// A conversation, without what was said there
#[utoipa::path(get, path = "/v1/admin/conversations/{id}", tag = "admin", security(("apiKey" = [])),
    params(("id" = ConversationId, Path, description = "Or `external:` and the external id")),
    responses((status = 200, body = ManagedView)))]
pub(super) async fn one_any(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
) -> Result<Json<ManagedView>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "conversation.read", None).await?;
    let done = async {
        let id = found(&service, &mut act, &id).await?;
        view(&service, id).await
    };
    let done = done.await;
    act.end(done).await
}

/// What to change about a group.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeConversation {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    title: Option<Words>,
}

/// Rename a group
#[utoipa::path(put, path = "/v1/admin/conversations/{id}", tag = "admin", security(("apiKey" = [])),
    params(("id" = ConversationId, Path, description = "Or `external:` and the external id")),
    request_body = ChangeConversation,
    responses((status = 200, body = ManagedView)))]
pub(super) async fn change_any(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<Json<ManagedView>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "conversation.change", None).await?;
    let done = async {
        let id = found(&service, &mut act, &id).await?;
        let ChangeConversation { title } = body.fields()?.read()?;
        if let Some(title) = title {
            let title: GroupTitle = title.group_title("title")?;
            service.messaging.manage_group(id, &GroupChange::Rename(title)).await?;
        }
        view(&service, id).await
    };
    let done = done.await;
    act.end(done).await
}

/// Who is to be added or removed.
#[derive(Deserialize, ToSchema)]
pub(super) struct NamedMembers {
    #[schema(min_items = 1, max_items = 1_000)]
    members: Vec<Member>,
}

/// Add members to a group; who is one already stays one
#[utoipa::path(post, path = "/v1/admin/conversations/{id}/members", tag = "admin",
    security(("apiKey" = [])),
    params(("id" = ConversationId, Path, description = "Or `external:` and the external id")),
    request_body = NamedMembers,
    responses((status = 200, body = ManagedView)))]
pub(super) async fn add_any(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    body: JsonBody<MAX_USER_LIST_BYTES>,
) -> Result<Json<ManagedView>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "members.add", None).await?;
    let done = async {
        let id = found(&service, &mut act, &id).await?;
        let NamedMembers { members: named } = body.fields()?.read()?;
        let users = members(&service, named).await?.into_keys().collect();
        service.messaging.manage_group(id, &GroupChange::Add(users)).await?;
        view(&service, id).await
    };
    let done = done.await;
    act.end(done).await
}

/// Remove members from a group, one after another; may be repeated
#[utoipa::path(delete, path = "/v1/admin/conversations/{id}/members", tag = "admin",
    security(("apiKey" = [])),
    params(("id" = ConversationId, Path, description = "Or `external:` and the external id")),
    request_body = NamedMembers,
    responses((status = 200, body = ManagedView)))]
pub(super) async fn remove_any(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    body: JsonBody<MAX_USER_LIST_BYTES>,
) -> Result<Json<ManagedView>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "members.remove", None).await?;
    let done = async {
        let id = found(&service, &mut act, &id).await?;
        let NamedMembers { members: named } = body.fields()?.read()?;
        for user in members(&service, named).await?.into_keys() {
            match service.messaging.manage_group(id, &GroupChange::Remove(user)).await {
                // Whoever is none is none already.
                Err(fault) if fault.code == ErrorCode::UserNotFound => {}
                done => done?,
            }
        }
        view(&service, id).await
    };
    let done = done.await;
    act.end(done).await
}

/// The most Unicode scalar values of why somebody reads a conversation.
const MAX_REASON_CHARS: usize = 200;

/// Why somebody reads, if that is said.
fn reason(params: &Params) -> Result<Option<&str>, ApiError> {
    let Some(reason) = params.get("reason") else { return Ok(None) };
    let length = reason.chars().count();
    if !(1..=MAX_REASON_CHARS).contains(&length) || reason.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "`reason` must be 1 to {MAX_REASON_CHARS} characters, none of them control"
        )));
    }
    Ok(Some(reason))
}

/// Chats of a conversation, whoever may read them, oldest first; in the audit log before they are read
#[utoipa::path(get, path = "/v1/admin/conversations/{id}/chats", tag = "admin",
    security(("apiKey" = [])),
    params(
        ("id" = ConversationId, Path, description = "Or `external:` and the external id"),
        ("before" = Option<ChatId>, Query, description = "A chat's id; exclusive"),
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "A chat's id; exclusive; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
        ("reason" = Option<String>, Query, min_length = 1, max_length = 200, description = "Why it is read, for the audit log"),
    ),
    responses((status = 200, body = ChatList)))]
pub(super) async fn all_chats(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    params: Params,
) -> Result<Json<ChatList>, ApiError> {
    // A number tells which one before it is looked for.
    let subject = id.parse::<ConversationId>().ok().map(|id| format!("conversation:{id}"));
    let reason = reason(&params);
    let known = reason.as_ref().ok().copied().flatten();
    let mut act =
        key.begin_because(&service, Scope::Conversations, "chats.read", subject, known).await?;
    let done = async {
        reason?;
        let id = found(&service, &mut act, &id).await?;
        let page = service.messaging.all_chats(id, window(&params)?, params.limit()?).await?;
        Ok(Json(ChatList::of(page)))
    };
    let done = done.await;
    act.end(done).await
}
