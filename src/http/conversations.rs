//! `/v1/conversations`: whom one talks with, and what was said.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    extract::{Actor, After, JsonBody, Params, PathParam, integer},
    views::{ConversationView, PublicUrl},
};
use crate::{
    domain::{Chat, ChatId, Conversation, ConversationId, ExternalId, UserId, UserRef},
    protocol::fault::ApiError,
    service::Service,
    store::{ChatPage, ConversationPage, OwnChange, Window},
};

/// Conversations, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationList {
    /// Those that are pinned, on the first page alone; in no page of `conversations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pinned: Option<Vec<ConversationView>>,
    conversations: Vec<ConversationView>,
    has_more: bool,
    /// Unread chats of all conversations that are neither muted nor hidden, counted to 99; 100 means more.
    #[schema(maximum = 100)]
    unread_total: u32,
}

/// My conversations, newest first
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations",
    params(
        ("before" = Option<ChatId>, Query, description = "A position, or a lastChat.id; exclusive"),
        ("peerId" = Option<UserId>, Query, description = "Only the conversation with this user"),
        ("peerExternalId" = Option<ExternalId>, Query, description = "The same, by what a company's own back end calls the user; not together with `peerId`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = ConversationList)))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    params: Params,
) -> Result<Json<ConversationList>, ApiError> {
    service.limits.history(actor.user)?;
    let (limit, before) = (params.limit()?, params.integer("before")?);
    let peer = peer(&params)?;
    let is_first = before.is_none() && peer.is_none();
    let ConversationPage { conversations, has_more } = match peer {
        Some(peer) => {
            let found = match service.messaging.known_user(&peer).await? {
                Some(peer) => service.messaging.conversation_with(actor.user, peer).await?,
                None => None,
            };
            ConversationPage { conversations: found.into_iter().collect(), has_more: false }
        }
        None => service.messaging.conversations(actor.user, before, limit).await?,
    };
    let pinned = if is_first {
        let pinned = service.messaging.pinned(actor.user).await?;
        Some(views(&service, pinned, &url).await)
    } else {
        None
    };
    let unread_total = service.messaging.unread_total(actor.user).await?;
    let conversations = views(&service, conversations, &url).await;
    Ok(Json(ConversationList { pinned, conversations, has_more, unread_total }))
}

/// Whose conversation alone is wanted.
fn peer(params: &Params) -> Result<Option<UserRef>, ApiError> {
    let by_id = params.integer("peerId")?.map(UserRef::Id);
    let Some(id) = params.get("peerExternalId") else { return Ok(by_id) };
    if by_id.is_some() {
        return Err(ApiError::invalid("`peerId` and `peerExternalId` exclude each other"));
    }
    let id = ExternalId::parse(id);
    let id = id.map_err(|error| ApiError::invalid(format!("`peerExternalId` {error}")))?;
    Ok(Some(UserRef::External(id)))
}

async fn views(
    service: &Service,
    conversations: Vec<Conversation>,
    url: &PublicUrl,
) -> Vec<ConversationView> {
    let online = service.messaging.online_peers(&conversations).await;
    conversations.into_iter().map(|found| ConversationView::of(found, &online, url)).collect()
}

/// One of the user's conversations, as an answer.
pub(super) async fn view(
    service: &Service,
    user: UserId,
    id: ConversationId,
    url: &PublicUrl,
) -> Result<Json<ConversationView>, ApiError> {
    let found = vec![service.messaging.conversation(user, id).await?];
    let view = views(service, found, url).await.pop();
    view.map(Json).ok_or_else(ApiError::internal)
}

/// One of my conversations, also one that I have left
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = ConversationView)))]
pub(super) async fn one(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
) -> Result<Json<ConversationView>, ApiError> {
    service.limits.history(actor.user)?;
    view(&service, actor.user, integer("id", &id)?, &url).await
}

/// What to change of what I keep of a conversation. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pinned: Option<bool>,
    muted: Option<bool>,
    marked_unread: Option<bool>,
    /// At most 2,000 characters; `null` or empty: none any more.
    #[schema(max_length = 2_000)]
    draft: Option<String>,
}

/// The most Unicode scalar values of a draft.
const MAX_DRAFT_CHARS: usize = 2_000;

/// Pin, mute or mark a conversation, or keep a draft for it, on all my devices
#[utoipa::path(put, path = "/v1/conversations/{id}/settings", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = Settings,
    responses((status = 200, body = ConversationView)))]
pub(super) async fn settings(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<Json<ConversationView>, ApiError> {
    service.limits.write(actor.user)?;
    let id = integer("id", &id)?;
    let Settings { pinned, muted, marked_unread, draft } = body.read_as(actor.user)?;
    if draft.as_ref().is_some_and(|it| it.contains('\0') || it.chars().count() > MAX_DRAFT_CHARS) {
        let detail =
            format!("`draft` must be at most {MAX_DRAFT_CHARS} characters, without U+0000");
        return Err(ApiError::invalid(detail));
    }
    let draft = match draft {
        Some(draft) => Some(Some(draft).filter(|draft| !draft.is_empty())),
        None => body.fields()?.is_null("draft").then_some(None),
    };
    let change = OwnChange { pinned, muted, marked_unread, draft, ..OwnChange::default() };
    service.messaging.change_own(actor.user, id, &change).await?;
    view(&service, actor.user, id, &url).await
}

/// Take a conversation out of my list until its next chat
#[utoipa::path(post, path = "/v1/conversations/{id}/hide", tag = "conversations",
    params(("id" = ConversationId, Path)), responses((status = 204)))]
pub(super) async fn hide(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let change = OwnChange { hide: true, ..OwnChange::default() };
    service.messaging.change_own(actor.user, integer("id", &id)?, &change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Have all chats of a conversation up to now gone for me alone
#[utoipa::path(post, path = "/v1/conversations/{id}/clear", tag = "conversations",
    params(("id" = ConversationId, Path)), responses((status = 204)))]
pub(super) async fn clear(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let change = OwnChange { clear: true, ..OwnChange::default() };
    service.messaging.change_own(actor.user, integer("id", &id)?, &change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Chats, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatList {
    chats: Vec<Chat>,
    has_more: bool,
    /// With `changedSince`: the version to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<i64>,
}

impl ChatList {
    pub(super) fn of(page: ChatPage) -> Self {
        Self { chats: page.chats, has_more: page.has_more, version: None }
    }
}

/// Which chats are wanted.
pub(super) fn window(params: &Params) -> Result<Window, ApiError> {
    match (params.integer("before")?, params.after()?) {
        (None, None) => Ok(Window::Newest),
        (Some(before), None) => Ok(Window::Before(before)),
        (None, Some(After::Beginning)) => Ok(Window::Oldest),
        (None, Some(After::Entry(after))) => Ok(Window::After(after)),
        (Some(_), Some(_)) => Err(excluded()),
    }
}

fn excluded() -> ApiError {
    ApiError::invalid("`before`, `after` and `changedSince` exclude each other")
}

/// Chats of one of my conversations, oldest first; without a bound the newest
#[utoipa::path(get, path = "/v1/conversations/{id}/chats", tag = "conversations",
    params(
        ("id" = ConversationId, Path),
        ("before" = Option<ChatId>, Query, description = "Exclusive; not together with `after`"),
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "Exclusive; 0 is the beginning; not together with `before`"),
        ("changedSince" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "A version of the conversation: chats that are new or changed since, in that order; with no other bound"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = ChatList)))]
pub(super) async fn chats(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
    params: Params,
) -> Result<Json<ChatList>, ApiError> {
    service.limits.history(actor.user)?;
    let id = integer("id", &id)?;
    let limit = params.limit()?;
    let (window, since) = (window(&params)?, params.bound::<ChatId>("changedSince")?);
    let Some(since) = since else {
        let page = service.messaging.chats(actor.user, id, window, limit).await?;
        return Ok(Json(ChatList::of(page)));
    };
    if window != Window::Newest {
        return Err(excluded());
    }
    let since = match since {
        After::Beginning => 0,
        After::Entry(version) => version.get(),
    };
    let page = service.messaging.changes(actor.user, id, since, limit).await?;
    let version = Some(page.version);
    Ok(Json(ChatList { chats: page.chats, has_more: page.has_more, version }))
}

/// How far one has read.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadUpTo {
    up_to: ChatId,
}

/// Move my read mark; never backwards, never past the last chat
#[utoipa::path(post, path = "/v1/conversations/{id}/read", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = ReadUpTo,
    responses((status = 204)))]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let id = integer("id", &id)?;
    let ReadUpTo { up_to } = body.read_as(actor.user)?;
    service.messaging.mark_read(actor.user, id, up_to, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
