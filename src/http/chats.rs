//! `/v1/chats`: sending over HTTP.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Actor, JsonBody};
use crate::{
    domain::{Chat, Destination, Seq},
    protocol::{
        client::{Send, SendChat},
        fault::ApiError,
    },
    service::Service,
    store::NewChat,
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
    let Send { client_msg_id, target, content } =
        chat.check(service.settings.chat.max_content_chars)?;
    let chat = NewChat::text(actor.user, Destination::Direct(target), client_msg_id, content);
    let sent = service.messaging.send(chat).await?;
    tracing::debug!(chat = %sent.chat.id, is_repeat = sent.is_repeat, "sent");
    let status = if sent.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(SentChat { chat: sent.chat, seq: sent.seq })))
}
