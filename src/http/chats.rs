//! `/v1/chats`: sending over HTTP.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::Problem,
    extract::{Actor, JsonBody},
};
use crate::{
    domain::Destination,
    domain::{Chat, ClientMsgId, Seq, UserId},
    protocol::{fault::Fault, fields::missing},
    service::Service,
    store::NewChat,
};

/// A chat to be sent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body whose fields are read one by one")]
pub(super) struct SendChat {
    client_msg_id: ClientMsgId,
    target_user_id: UserId,
    /// `chat.max_content_chars` characters at most, and at least one that is visible.
    #[schema(min_length = 1)]
    content: String,
}

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
    responses((status = 201, body = SentChat), (status = 200, body = SentChat), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn send(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<(StatusCode, Json<SentChat>), Fault> {
    let fields = body.fields_of(actor.user)?;
    let client_msg_id = fields.client_msg_id()?.ok_or_else(|| missing("clientMsgId"))?;
    let destination = Destination::Direct(fields.required_integer("targetUserId")?);
    let content = fields.content(service.settings.chat.max_content_chars)?;
    let chat = NewChat::text(actor.user, destination, client_msg_id, content);
    let sent = service.messaging.send(chat).await?;
    let status = if sent.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(SentChat { chat: sent.chat, seq: sent.seq })))
}
