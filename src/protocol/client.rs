//! Frames that a client sends.

use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    MAX_WATCHED,
    fault::{ApiError, ErrorCode},
    fields::{Fields, Words, missing, nested},
};
use crate::domain::{
    ChatId, ChatKind, ClientMsgId, Content, ConversationId, Destination, DeviceId, Epoch,
    ExternalId, MediaId, MediaKind, Mentions, Payload, Seq, UserId, card::Card,
};

/// The first frame.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hello {
    /// The last event that the client has applied; `None`: from now on.
    pub since: Option<Seq>,
    /// The history in which it counted; `None`: on trust.
    pub epoch: Option<ClientEpoch>,
    /// The device; this socket replaces the other ones of it.
    #[serde(rename = "deviceId")]
    pub device: Option<DeviceId>,
}

/// An epoch as a client names it. One that is no UUID is just a foreign one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct ClientEpoch(Option<Epoch>);

impl ClientEpoch {
    /// Reads what a client names.
    pub fn parse(text: &str) -> Self {
        Self(Epoch::parse(text))
    }

    /// Whether it is this history.
    pub fn is(&self, epoch: Epoch) -> bool {
        self.0 == Some(epoch)
    }
}

impl From<String> for ClientEpoch {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl Hello {
    /// Reads the fields of a `hello`.
    pub fn read(fields: &Fields<'_>, user: UserId) -> Result<Self, ApiError> {
        let hello = fields.read().and_then(|hello| fields.check_user(user).map(|()| hello));
        hello.map_err(|fault| match fault.code {
            ErrorCode::Forbidden => fault,
            _ => ApiError { code: ErrorCode::InvalidHello, ..fault },
        })
    }
}

/// A frame after the first.
#[derive(Debug)]
pub enum Request {
    /// Commit a chat.
    Send(Send),
    /// Move a read mark.
    Read {
        /// The conversation that was read.
        conversation: ConversationId,
        /// The last chat that was read.
        up_to: ChatId,
    },
    /// Somebody is typing.
    Typing {
        /// Whose sockets show it.
        to: Destination,
    },
    /// Replace the users whose presence this socket is shown.
    Watch {
        /// At most [`MAX_WATCHED`].
        users: Vec<UserId>,
    },
    /// Somebody looks at this client, or nobody does. What sockets are sent does not depend on it.
    State {
        /// Whether nobody looks.
        is_background: bool,
    },
    /// Is anybody there?
    Ping,
}

/// Where a client wants a chat to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// By the service's own ids.
    Known(Destination),
    /// To the user whom a company's own back end calls so.
    External(ExternalId),
}

/// A chat that a client wants committed.
#[derive(Debug)]
pub struct Send {
    /// Where it is to go.
    pub to: Addressee,
    /// What it holds.
    pub contents: Contents,
}

/// What a chat holds, and its key.
#[derive(Debug)]
pub struct Contents {
    /// The client's key.
    pub client_msg_id: ClientMsgId,
    /// What it is.
    pub kind: ChatKind,
    /// What it says in plain text.
    pub content: Content,
    /// What it holds beside that.
    pub body: Option<Payload>,
    /// The chat that it quotes.
    pub reply_to: Option<ChatId>,
    /// Whom it calls by name.
    pub mentions: Option<Mentions>,
    /// The upload that it shows.
    pub media: Option<MediaId>,
}

/// A chat to be sent, to exactly one of `targetUserId`, `targetExternalId` and `conversationId`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendChat {
    client_msg_id: ClientMsgId,
    target_user_id: Option<UserId>,
    /// What a company's own back end calls the receiver.
    target_external_id: Option<ExternalId>,
    conversation_id: Option<ConversationId>,
    /// `text` where nothing is said.
    #[serde(default)]
    kind: SentKind,
    /// Of a text: `chat.max_content_chars` characters at most, and at least one that is visible.
    #[schema(value_type = Option<String>, min_length = 1)]
    content: Option<Words>,
    /// Of any other kind.
    #[schema(value_type = Option<SentBody>)]
    body: Option<Box<RawValue>>,
    /// The id of a chat of the same conversation, which it quotes.
    reply_to: Option<ChatId>,
    /// Ids of 1 to 500 members, or `"all"`.
    #[schema(value_type = Option<Vec<UserId>>, min_items = 1, max_items = 500)]
    mentions: Option<Mentions>,
}

/// The kinds that clients send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentKind {
    /// Words.
    #[default]
    Text,
    /// A picture.
    Image,
    /// What somebody said.
    Voice,
    /// Any other upload.
    File,
    /// A title with something behind it.
    Card,
    /// Told apart from what is no kind: only the service and the server API make such chats.
    System,
}

/// What a chat holds beside its words.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the body, which is read by the kind")]
enum SentBody {
    Card(Card),
    Upload(SentUpload),
}

/// One's own upload, or one that a chat shows which one can read.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SentUpload {
    #[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
    media_id: MediaId,
}

impl SendChat {
    /// Checks what the types do not say. `max_content_chars`: of a text.
    pub fn check(self, max_content_chars: usize) -> Result<Send, ApiError> {
        let targets = (self.target_user_id, self.target_external_id.clone(), self.conversation_id);
        let to = match targets {
            (target, None, conversation) => Addressee::Known(destination(target, conversation)?),
            (None, Some(target), None) => Addressee::External(target),
            _ => {
                let detail =
                    "`targetUserId`, `targetExternalId` and `conversationId` exclude each other";
                return Err(ApiError::invalid(detail));
            }
        };
        let is_to_all = self.mentions == Some(Mentions::All);
        let contents = self.contents(max_content_chars)?;
        if is_to_all && !matches!(to, Addressee::Known(Destination::Conversation(_))) {
            return Err(ApiError::invalid("`mentions` of all are for groups"));
        }
        Ok(Send { to, contents })
    }

    /// Checks what it holds, wherever it goes.
    pub fn contents(self, max_content_chars: usize) -> Result<Contents, ApiError> {
        let upload = match self.kind {
            SentKind::Text | SentKind::Card | SentKind::System => None,
            SentKind::Image => Some(MediaKind::Image),
            SentKind::Voice => Some(MediaKind::Voice),
            SentKind::File => Some(MediaKind::File),
        };
        let mut media = None;
        let (kind, content, body) = match (self.kind, self.content, self.body) {
            (SentKind::System, ..) => {
                let detail = "only the service makes system lines";
                return Err(ApiError::new(ErrorCode::Forbidden, detail));
            }
            (SentKind::Text, Some(_), Some(_)) => {
                return Err(ApiError::invalid("a text has no `body`"));
            }
            (SentKind::Text, Some(content), None) => {
                (ChatKind::Text, content.content(max_content_chars)?, None)
            }
            (SentKind::Text, None, _) => return Err(missing("content")),
            (_, Some(_), _) => return Err(ApiError::invalid("only a text has `content`")),
            (_, None, None) => return Err(missing("body")),
            (_, None, Some(body)) => match upload {
                None => {
                    let card = nested::<Card>("body", &body)?;
                    let (title, body) =
                        card.check().map_err(|error| ApiError::invalid(error.to_string()))?;
                    let content = Content::parse(&title, usize::MAX / 4)
                        .map_err(|error| ApiError::invalid(format!("`body.title` {error}")))?;
                    (ChatKind::Card, content, Some(body))
                }
                Some(upload) => {
                    let SentUpload { media_id } = nested("body", &body)?;
                    media = Some(media_id);
                    let body = Payload::parse(format!(r#"{{"mediaId":"{media_id}"}}"#));
                    let body = body.expect("nothing in an id has to be escaped");
                    let content = Content::of_service(upload.placeholder());
                    (ChatKind::from(upload.as_str().to_owned()), content, Some(body))
                }
            },
        };
        Ok(Contents {
            client_msg_id: self.client_msg_id,
            kind,
            content,
            body,
            reply_to: self.reply_to,
            mentions: self.mentions,
            media,
        })
    }
}

/// The most bytes of what a line holds beside its words.
const MAX_LINE_BYTES: usize = 4_096;

/// Reads a system line, which only the server API sends: words, and any JSON object.
pub fn system_line(fields: &Fields<'_>, max_content_chars: usize) -> Result<Contents, ApiError> {
    let content: Words = fields.required("content")?;
    let body: Option<Box<RawValue>> = fields.optional("body")?;
    let body = body.map(|json| Payload::parse(json.get().to_owned())).transpose();
    let body = body.map_err(|error| ApiError::invalid(format!("`body` {error}")))?;
    if body.as_ref().is_some_and(|body| body.as_str().len() > MAX_LINE_BYTES) {
        return Err(ApiError::invalid("`body` must be at most 4 KiB"));
    }
    Ok(Contents {
        client_msg_id: fields.required("clientMsgId")?,
        kind: ChatKind::System,
        content: content.content(max_content_chars)?,
        body,
        reply_to: fields.optional("replyTo")?,
        mentions: fields.optional("mentions")?,
        media: None,
    })
}

/// Exactly one of the two.
fn destination(
    target: Option<UserId>,
    conversation: Option<ConversationId>,
) -> Result<Destination, ApiError> {
    match (target, conversation) {
        (Some(target), None) => Ok(Destination::Direct(target)),
        (None, Some(conversation)) => Ok(Destination::Conversation(conversation)),
        (None, None) => Err(missing("targetUserId")),
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("`targetUserId` and `conversationId` exclude each other"))
        }
    }
}

/// What is wrong with a frame after the first.
#[derive(Debug)]
pub struct BadFrame {
    /// What its sender is told.
    pub fault: ApiError,
    /// The key of the send that it answers.
    pub client_msg_id: Option<ClientMsgId>,
}

impl Request {
    /// Reads the fields of a frame of this type.
    pub fn read(
        kind: &str,
        fields: &Fields<'_>,
        user: UserId,
        max_content_chars: usize,
    ) -> Result<Self, BadFrame> {
        let parsed =
            fields.check_user(user).and_then(|()| Self::read_kind(kind, fields, max_content_chars));
        parsed.map_err(|fault| BadFrame {
            fault,
            client_msg_id: fields.optional("clientMsgId").ok().flatten(),
        })
    }

    fn read_kind(kind: &str, fields: &Fields<'_>, max_chars: usize) -> Result<Self, ApiError> {
        Ok(match kind {
            "send" => Self::Send(fields.read::<SendChat>()?.check(max_chars)?),
            "read" => Self::Read {
                conversation: fields.required("conversationId")?,
                up_to: fields.required("upTo")?,
            },
            "typing" => Self::Typing {
                to: destination(
                    fields.optional("targetUserId")?,
                    fields.optional("conversationId")?,
                )?,
            },
            "watch" => {
                let invalid = |fault| ApiError { code: ErrorCode::InvalidUserIds, ..fault };
                let users: Vec<UserId> = fields.required("userIds").map_err(invalid)?;
                if users.len() > MAX_WATCHED {
                    let detail = format!("`userIds` must name at most {MAX_WATCHED} users");
                    return Err(ApiError::new(ErrorCode::InvalidUserIds, detail));
                }
                Self::Watch { users }
            }
            "state" => Self::State { is_background: fields.required("background")? },
            "ping" => Self::Ping,
            "hello" => {
                return Err(ApiError::new(
                    ErrorCode::UnexpectedHello,
                    "this socket has said hello before",
                ));
            }
            _ => {
                return Err(ApiError::new(
                    ErrorCode::UnknownType,
                    "`type` is not one that is known",
                ));
            }
        })
    }
}

/// Reads the type and the fields of a text frame. `None`: it is no protocol, and the socket closes.
pub fn read_frame(text: &str) -> Option<(String, Fields<'_>)> {
    let fields = Fields::parse(text.as_bytes()).ok()?;
    let kind = match fields.required::<Words>("type").ok()?.decode() {
        // A type that no text can hold is one that nobody knows.
        Err(error) if error.is_syntax() => String::new(),
        kind => kind.ok()?,
    };
    Some((kind, fields))
}
