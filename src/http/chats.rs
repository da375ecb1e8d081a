//! `/v1/chats`: sending over HTTP.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Actor, JsonBody, PathParam, integer};
use crate::{
    domain::{Chat, ChatId, Seq},
    messaging::new_chat,
    protocol::{client::SendChat, fault::ApiError},
    service::Service,
};

/// A committed chat.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentChat {
    #[schema(value_type = Chat)]
    chat: Arc<Chat>,
    /// Its number in the sender's timeline; absent if the sender has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
}

/// Send a chat; a repeat of a key gets the first answer again, with 200
#[utoipa::path(post, path = "/v1/chats", tag = "chats", request_body = SendChat,
    responses((status = 201, body = SentChat), (status = 200, body = SentChat)))]
pub(super) async fn send(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<(StatusCode, Json<SentChat>), ApiError> {
    let chat: SendChat = body.read_as(actor.user)?;
    let asked = chat.check(service.settings.chat.max_content_chars)?;
    let chat = new_chat(actor.user, asked);
    let sent = service.messaging.send(chat).await?;
    tracing::debug!(chat = %sent.chat.id, is_repeat = sent.is_repeat, "sent");
    let status = if sent.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(SentChat { chat: sent.chat, seq: sent.seq })))
}

/// A chat that was recalled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecalledChat {
    chat: Chat,
}

/// Take back what a chat says, for everybody; may be repeated
#[utoipa::path(post, path = "/v1/chats/{id}/recall", tag = "chats",
    params(("id" = ChatId, Path)), responses((status = 200, body = RecalledChat)))]
pub(super) async fn recall(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
) -> Result<Json<RecalledChat>, ApiError> {
    service.limits.write(actor.user)?;
    let chat = service.messaging.recall(actor.user, integer("id", &id)?).await?;
    Ok(Json(RecalledChat { chat }))
}

/// Delete a chat for me alone, on all my devices; may be repeated
#[utoipa::path(delete, path = "/v1/chats/{id}", tag = "chats",
    params(("id" = ChatId, Path)), responses((status = 204)))]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(id): PathParam,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    service.messaging.delete_for(actor.user, integer("id", &id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
