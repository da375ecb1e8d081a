//! `/v1/conversations` of groups: how they begin, who is in them, and what they are called.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    conversations::view,
    extract::{Actor, JsonBody, Params, PathParam, integer},
    views::{ConversationView, PublicUrl, UserView},
};
use crate::{
    clock::Timestamp,
    domain::{ClientMsgId, ConversationId, GroupChange, GroupTitle, Role, UserId},
    protocol::{fault::ApiError, fields::Words},
    service::Service,
    store::NewGroup,
};

/// The most users that one request names.
const MAX_USERS: usize = 1_000;

/// A group that is to begin.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BeginGroup {
    kind: BegunKind,
    /// The caller's key for it: a repeat gets the same group.
    key: ClientMsgId,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    title: Option<Words>,
    /// Its members; oneself is one without being named.
    #[schema(min_items = 1, max_items = 1_000)]
    user_ids: Vec<UserId>,
}

/// What can be begun.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BegunKind {
    Group,
}

fn users(named: Vec<UserId>) -> Result<BTreeSet<UserId>, ApiError> {
    if named.is_empty() || named.len() > MAX_USERS {
        return Err(ApiError::invalid(format!("`userIds` must name 1 to {MAX_USERS} users")));
    }
    Ok(named.into_iter().collect())
}

/// Begin a group; a repeat of a key gets the same group, with 200
#[utoipa::path(post, path = "/v1/conversations", tag = "groups", request_body = BeginGroup,
    responses((status = 201, body = ConversationView), (status = 200, body = ConversationView)))]
pub(super) async fn begin(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    body: JsonBody,
) -> Result<(StatusCode, Json<ConversationView>), ApiError> {
    service.limits.write(actor.user)?;
    let BeginGroup { kind: BegunKind::Group, key, title, user_ids } = body.read_as(actor.user)?;
    let title = title.map(|title| title.group_title("title")).transpose()?;
    let new = NewGroup { creator: actor.user, key, title, members: users(user_ids)? };
    if new.members.iter().all(|user| *user == actor.user) {
        return Err(ApiError::invalid("`userIds` must name somebody else"));
    }
    // Before anything that may be otherwise by now: a repeat begins nothing.
    let (group, is_new) = if let Some(group) = service.messaging.repeated_group(&new).await? {
        (group, false)
    } else {
        service.limits.new_conversation(actor.user)?;
        service.messaging.begin_group(&new).await?
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, view(&service, actor.user, group, &url).await?))
}

/// What to change about a group.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeGroup {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    title: Option<Words>,
}

/// Rename a group; for its owner and admins
#[utoipa::path(put, path = "/v1/conversations/{id}", tag = "groups",
    params(("id" = ConversationId, Path)), request_body = ChangeGroup,
    responses((status = 200, body = ConversationView)))]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<Json<ConversationView>, ApiError> {
    service.limits.write(actor.user)?;
    let id = integer("id", &id)?;
    let ChangeGroup { title } = body.read_as(actor.user)?;
    if let Some(title) = title {
        let title: GroupTitle = title.group_title("title")?;
        service.messaging.change_group(actor.user, id, &GroupChange::Rename(title)).await?;
    } else {
        // Nothing to change, and still only for members.
        service.messaging.members(actor.user, id, None, 1).await?;
    }
    view(&service, actor.user, id, &url).await
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberView {
    user: UserView,
    role: Role,
    #[schema(value_type = String, format = DateTime)]
    joined_at: Timestamp,
}

/// Members of a group: the owner, then admins, then the others, each by id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberList {
    members: Vec<MemberView>,
    has_more: bool,
    /// Rises with each change of members and of their roles.
    members_version: u32,
}

/// Members of one of my groups: the owner, then admins, then the others
#[utoipa::path(get, path = "/v1/conversations/{id}/members", tag = "groups",
    params(
        ("id" = ConversationId, Path),
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The id of the last member of the page before; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = MemberList)))]
pub(super) async fn members(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
    params: Params,
) -> Result<Json<MemberList>, ApiError> {
    service.limits.history(actor.user)?;
    let id = integer("id", &id)?;
    let after = params.after_entry()?;
    let page = service.messaging.members(actor.user, id, after, params.limit()?).await?;
    let member = |(user, member): (_, crate::domain::GroupMember)| MemberView {
        user: UserView::of(user, actor.user, &url),
        role: member.role,
        joined_at: member.joined_at,
    };
    let members = page.members.into_iter().map(member).collect();
    Ok(Json(MemberList { members, has_more: page.has_more, members_version: page.members_version }))
}

/// Who is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddMembers {
    #[schema(min_items = 1, max_items = 1_000)]
    user_ids: Vec<UserId>,
}

/// Add members to a group; who is one already stays one
#[utoipa::path(post, path = "/v1/conversations/{id}/members", tag = "groups",
    params(("id" = ConversationId, Path)), request_body = AddMembers,
    responses((status = 200, body = ConversationView)))]
pub(super) async fn add_members(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<Json<ConversationView>, ApiError> {
    service.limits.write(actor.user)?;
    let id = integer("id", &id)?;
    let AddMembers { user_ids } = body.read_as(actor.user)?;
    let change = GroupChange::Add(users(user_ids)?);
    service.messaging.change_group(actor.user, id, &change).await?;
    view(&service, actor.user, id, &url).await
}

/// Remove a member from a group, or leave it
#[utoipa::path(delete, path = "/v1/conversations/{id}/members/{userId}", tag = "groups",
    params(("id" = ConversationId, Path), ("userId" = UserId, Path)),
    responses((status = 204)))]
pub(super) async fn remove_member(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam((id, user)): PathParam<(String, String)>,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let (id, user) = (integer("id", &id)?, integer("userId", &user)?);
    service.messaging.change_group(actor.user, id, &GroupChange::Remove(user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A member's role.
#[derive(Deserialize, ToSchema)]
pub(super) struct GiveRole {
    role: Role,
}

/// Give a member a role; `owner` hands the group over
#[utoipa::path(put, path = "/v1/conversations/{id}/members/{userId}", tag = "groups",
    params(("id" = ConversationId, Path), ("userId" = UserId, Path)), request_body = GiveRole,
    responses((status = 200, body = ConversationView)))]
pub(super) async fn give_role(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam((id, user)): PathParam<(String, String)>,
    body: JsonBody,
) -> Result<Json<ConversationView>, ApiError> {
    service.limits.write(actor.user)?;
    let (id, user) = (integer("id", &id)?, integer("userId", &user)?);
    let GiveRole { role } = body.read_as(actor.user)?;
    service.messaging.change_group(actor.user, id, &GroupChange::SetRole(user, role)).await?;
    view(&service, actor.user, id, &url).await
}
