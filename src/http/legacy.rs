//! The legacy routes: what the first mini program uses, unchanged.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Caller, JsonBody, Params};
use crate::{
    domain::{Chat, ClientMsgId, Destination, UserId, UserName},
    messaging::SendOutcome,
    protocol::{
        fault::ApiError,
        fields::{Fields, Words, missing},
    },
    service::Service,
    store::NewChat,
};

/// What a legacy client reads when its chat is stored.
const SUCCESS: &str = "MSG SEND SUCCESS";

/// A chat as a legacy client sends it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeedChat)]
pub(super) struct LegacyChat {
    user_id: UserId,
    target_user_id: UserId,
    /// `chat.max_content_chars` characters at most, and at least one that is visible.
    #[schema(value_type = String, min_length = 1)]
    content: Words,
    /// Names an anonymous user who is new; otherwise ignored.
    #[schema(value_type = Option<String>)]
    user_name: Option<Words>,
    /// Names an anonymous user who is new; otherwise ignored.
    #[schema(value_type = Option<String>)]
    target_user_name: Option<Words>,
    client_msg_id: Option<ClientMsgId>,
}

/// Stores a chat that a legacy client sent, over HTTP or its socket.
pub async fn push(service: &Service, caller: &Caller, fields: &Fields<'_>) -> Result<(), ApiError> {
    let chat: LegacyChat = fields.read()?;
    let (sender, target) = (chat.user_id, chat.target_user_id);
    caller.act_as(sender)?;
    let content = chat.content.content(service.settings.chat.max_content_chars)?;
    if matches!(caller, Caller::Anonymous) {
        let name = |key, id: UserId, given: Option<Words>| {
            let given = given.map(|name| name.user_name(key)).transpose()?;
            Ok::<_, ApiError>((id, given.unwrap_or_else(|| UserName::placeholder(id.get()))))
        };
        let users = [
            name("userName", sender, chat.user_name)?,
            name("targetUserName", target, chat.target_user_name)?,
        ];
        service.messaging.ensure_users(&users).await?;
    }
    let key = chat.client_msg_id.unwrap_or_else(ClientMsgId::random);
    let chat = NewChat::text(sender, Destination::Direct(target), key, content);
    // A legacy client knows no chat that is held back: it sees the chat once it is released.
    if let SendOutcome::Sent(sent) = service.messaging.send(chat).await? {
        tracing::debug!(chat = %sent.chat.id, is_repeat = sent.is_repeat, "sent");
    }
    Ok(())
}

/// Send a chat
#[utoipa::path(post, path = "/push", tag = "seed", request_body = LegacyChat,
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn push_route(
    State(service): State<Arc<Service>>,
    caller: Caller,
    body: JsonBody,
) -> Result<&'static str, ApiError> {
    push(&service, &caller, &body.fields()?).await?;
    Ok(SUCCESS)
}

/// A user's latest chats, oldest first
#[utoipa::path(get, path = "/getMessage", tag = "seed", params(("userId" = UserId, Query)),
    responses((status = 200, body = Vec<Chat>)))]
pub(super) async fn get_message(
    State(service): State<Arc<Service>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<Chat>>, ApiError> {
    let user = user_id(&params)?;
    caller.act_as(user)?;
    service.limits.history(user)?;
    let limit = service.settings.chat.classic_limit;
    Ok(Json(service.messaging.latest_chats(user, limit).await?))
}

/// Somebody who is online.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnlineUserView {
    user_id: UserId,
    user_name: UserName,
    connections: u32,
}

/// Who is online, by user id
#[utoipa::path(get, path = "/getOnlineUser", tag = "seed",
    responses((status = 200, body = BTreeMap<String, OnlineUserView>)))]
pub(super) async fn get_online_user(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Result<Json<BTreeMap<UserId, OnlineUserView>>, ApiError> {
    if let Some(user) = caller.user() {
        service.limits.presence(user)?;
    }
    let online = service.messaging.online_users(caller.user()).await?;
    let view = |(user_id, (user_name, connections))| {
        (user_id, OnlineUserView { user_id, user_name, connections })
    };
    Ok(Json(online.into_iter().map(view).collect()))
}

/// Close a user's sockets (a GET that changes state, as legacy clients expect)
#[utoipa::path(get, path = "/close", tag = "seed", params(("userId" = UserId, Query)),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn close(
    State(service): State<Arc<Service>>,
    caller: Caller,
    params: Params,
) -> Result<&'static str, ApiError> {
    let user = user_id(&params)?;
    caller.act_as(user)?;
    service.limits.write(user)?;
    service.messaging.close_sockets(user).await?;
    Ok("ok")
}

fn user_id(params: &Params) -> Result<UserId, ApiError> {
    params.integer("userId")?.ok_or_else(|| missing("userId"))
}
