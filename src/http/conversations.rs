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
    domain::{Chat, ChatId, ConversationId, UserId},
    protocol::fault::ApiError,
    service::Service,
    store::{ConversationPage, Window},
};

/// Conversations, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationList {
    conversations: Vec<ConversationView>,
    has_more: bool,
}

/// My conversations, newest first
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations",
    params(
        ("before" = Option<ChatId>, Query, description = "A lastChat.id, exclusive"),
        ("peerId" = Option<UserId>, Query, description = "Only the conversation with this user"),
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
    let ConversationPage { conversations, has_more } = match params.integer("peerId")? {
        Some(peer) => {
            let found = service.messaging.conversation_with(actor.user, peer).await?;
            ConversationPage { conversations: found.into_iter().collect(), has_more: false }
        }
        None => service.messaging.conversations(actor.user, before, limit).await?,
    };
    let online = service.messaging.online_peers(&conversations).await;
    let conversations =
        conversations.into_iter().map(|found| ConversationView::of(found, &online, &url)).collect();
    Ok(Json(ConversationList { conversations, has_more }))
}

/// Chats, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatList {
    chats: Vec<Chat>,
    has_more: bool,
}

/// Chats of one of my conversations, oldest first; without a bound the newest
#[utoipa::path(get, path = "/v1/conversations/{id}/chats", tag = "conversations",
    params(
        ("id" = ConversationId, Path),
        ("before" = Option<ChatId>, Query, description = "Exclusive; not together with `after`"),
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "Exclusive; 0 is the beginning; not together with `before`"),
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
    let window = match (params.integer("before")?, params.after()?) {
        (None, None) => Window::Newest,
        (Some(before), None) => Window::Before(before),
        (None, Some(After::Beginning)) => Window::Oldest,
        (None, Some(After::Entry(after))) => Window::After(after),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("`before` and `after` exclude each other"));
        }
    };
    let page = service.messaging.chats(actor.user, id, window, params.limit()?).await?;
    Ok(Json(ChatList { chats: page.chats, has_more: page.has_more }))
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
