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
    chat: Chat,
    /// Its number in the sender's timeline.
    seq: Seq,
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
    let chat = NewChat {
        sender: actor.user,
        client_msg_id: fields.client_msg_id()?.ok_or_else(|| missing("clientMsgId"))?,
        target: fields.required_integer("targetUserId")?,
        content: fields.content(service.settings.chat.max_content_chars)?,
    };
    let sent = service.messaging.send(chat).await?;
    let status = if sent.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(SentChat { chat: sent.chat, seq: sent.seq })))
}
