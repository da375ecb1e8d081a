//! `/v1/chats`: sending over HTTP.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Actor, JsonBody, PathParam, integer};
use crate::{
    domain::{Chat, ChatId, Seq},
    messaging::{SendOutcome, Sent},
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

impl SentChat {
    /// The answer to its sender: a repeat is no new one.
    pub(super) fn answer(outcome: SendOutcome) -> Response {
        let Sent { chat, seq, is_repeat } = match outcome {
            SendOutcome::Sent(sent) => sent,
            SendOutcome::Held => {
                return (StatusCode::ACCEPTED, Json(HeldBack { state: "held" })).into_response();
            }
        };
        tracing::debug!(chat = %chat.id, is_repeat, "sent");
        let status = if is_repeat { StatusCode::OK } else { StatusCode::CREATED };
        (status, Json(Self { chat, seq })).into_response()
    }
}

/// A chat that is held back until somebody decides about it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldBack {
    #[schema(example = "held")]
    state: &'static str,
}

/// Send a chat; a repeat of a key gets the first answer again, with 200
#[utoipa::path(post, path = "/v1/chats", tag = "chats", request_body = SendChat,
    responses((status = 201, body = SentChat), (status = 200, body = SentChat), (status = 202, body = HeldBack)))]
pub(super) async fn send(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let chat: SendChat = body.read_as(actor.user)?;
    let asked = chat.check(service.settings.chat.max_content_chars)?;
    Ok(SentChat::answer(service.messaging.send_as(actor.user, asked).await?))
}

/// A chat that was recalled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecalledChat {
    chat: Chat,
}

impl RecalledChat {
    pub(super) fn of(chat: Chat) -> Self {
        Self { chat }
    }
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
    Ok(Json(RecalledChat::of(chat)))
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
