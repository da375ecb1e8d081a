//! `/v1/admin/chats`: sending in anybody's name, and recalling.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    super::{
        chats::{HeldBack, RecalledChat, SentChat},
        extract::{JsonBody, PathParam, integer},
    },
    Key,
};
use crate::{
    domain::{
        ChatId, ClientMsgId, ConversationId, ConversationRef, Destination, ExternalId, Mentions,
        Scope, UserId, UserRef, WhoMayWrite, external::SYSTEM,
    },
    messaging::{SendOutcome, new_chat},
    protocol::{
        client::{SendChat, SentKind, system_line},
        fault::ApiError,
        fields::{Fields, Words, missing},
    },
    service::Service,
    store::{NewChat, NewConversation, NewMembers, Origin},
};

/// A chat to be sent in somebody's name, to exactly one of `to`, `conversationId` and
/// `conversationExternalId`. As from any sender, but for these and for `system` lines.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the body, which is read in parts")]
pub(super) struct AdminChat {
    /// The sender: an external id, `id:` and the service's own id, or `system`, which is the service itself.
    from: UserRef,
    /// The receiver: an external id, or `id:` and the service's own id.
    to: Option<UserRef>,
    conversation_id: Option<ConversationId>,
    conversation_external_id: Option<ExternalId>,
    /// The sender's key for it.
    client_msg_id: ClientMsgId,
    /// `text` where nothing is said.
    kind: Option<SentKind>,
    /// Of a text, and of a system line.
    #[schema(value_type = Option<String>, min_length = 1)]
    content: Option<Words>,
    /// Of the other kinds; of a system line any object of at most 4 KiB.
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
    /// The id of a chat of the same conversation, which it quotes.
    reply_to: Option<ChatId>,
    /// Ids of 1 to 500 members, or `"all"`.
    #[schema(value_type = Option<Vec<UserId>>, min_items = 1, max_items = 500)]
    mentions: Option<Mentions>,
}

/// Where a chat goes, and in whose name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    from: Sender,
    to: Option<UserRef>,
    conversation_id: Option<ConversationId>,
    conversation_external_id: Option<ExternalId>,
}

/// Who sends.
enum Sender {
    Service,
    User(UserRef),
}

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        if serde_json::from_str(json.get()).is_ok_and(|word: String| word == SYSTEM) {
            return Ok(Self::Service);
        }
        serde_json::from_str(json.get()).map(Self::User).map_err(D::Error::custom)
    }
}

impl Envelope {
    /// The sender, and where it goes.
    async fn resolve(self, service: &Service) -> Result<(UserId, Destination), ApiError> {
        let destination = match (self.to, self.conversation_id, self.conversation_external_id) {
            (Some(user), None, None) => Destination::Direct(service.admin.user(&user).await?),
            (None, Some(id), None) => Destination::Conversation(id),
            (None, None, Some(id)) => {
                let which = ConversationRef::External(id);
                let found = service.messaging.managed_conversation(&which).await?;
                Destination::Conversation(found.id)
            }
            (None, None, None) => return Err(missing("to")),
            _ => {
                let detail =
                    "`to`, `conversationId` and `conversationExternalId` exclude each other";
                return Err(ApiError::invalid(detail));
            }
        };
        let sender = match self.from {
            Sender::Service => service.messaging.service_user().await?,
            Sender::User(user) => service.admin.user(&user).await?,
        };
        Ok((sender, destination))
    }
}

/// The chat that a body asks for.
fn asked(
    fields: &Fields<'_>,
    sender: UserId,
    destination: Destination,
    max_content_chars: usize,
) -> Result<NewChat, ApiError> {
    let is_line = fields.optional::<SentKind>("kind")? == Some(SentKind::System);
    let contents = if is_line {
        system_line(fields, max_content_chars)?
    } else {
        fields.read::<SendChat>()?.contents(max_content_chars)?
    };
    Ok(NewChat { origin: Origin::Server, ..new_chat(sender, destination, contents) })
}

/// Send a chat in somebody's name; a repeat of a sender's key gets the first answer again, with 200
#[utoipa::path(post, path = "/v1/admin/chats", tag = "admin", security(("apiKey" = [])),
    request_body = AdminChat,
    responses((status = 201, body = SentChat), (status = 200, body = SentChat), (status = 202, body = HeldBack)))]
pub(super) async fn send_as(
    State(service): State<Arc<Service>>,
    key: Key,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let mut act = key.begin(&service, Scope::Chats, "chat.send", None).await?;
    let done = async {
        let fields = body.fields()?;
        let envelope: Envelope = fields.read()?;
        let (sender, destination) = envelope.resolve(&service).await?;
        act.is_about(format!("user:{sender}"));
        let max_content_chars = service.settings.chat.max_content_chars;
        let chat = asked(&fields, sender, destination, max_content_chars)?;
        let sent = service.messaging.send(chat).await?;
        if let SendOutcome::Sent(sent) = &sent {
            act.is_about(format!("chat:{}", sent.chat.id));
            if let Destination::Direct(target) = destination
                && service.settings.chat.who_may_write == WhoMayWrite::Conversations
            {
                // The two may go on where the back end has begun.
                let members = NewMembers::Direct(sender, target);
                let service_user = service.messaging.service_user().await?;
                let new = NewConversation { external_id: None, service: service_user, members };
                service.messaging.begin_conversation(&new).await?;
            }
        }
        Ok(SentChat::answer(sent))
    };
    let done = done.await;
    act.end(done).await
}

/// Take back what a chat says, for everybody, at any time; may be repeated
#[utoipa::path(post, path = "/v1/admin/chats/{id}/recall", tag = "admin", security(("apiKey" = [])),
    params(("id" = ChatId, Path)), responses((status = 200, body = RecalledChat)))]
pub(super) async fn recall_any(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
) -> Result<Json<RecalledChat>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "chat.recall", None).await?;
    let done = async {
        let id: ChatId = integer("id", &id)?;
        act.is_about(format!("chat:{id}"));
        Ok(Json(RecalledChat::of(service.messaging.recall_any(id).await?)))
    };
    let done = done.await;
    act.end(done).await
}
