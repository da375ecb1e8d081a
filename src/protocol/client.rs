//! Frames that a client sends.

use super::{
    fault::{Code, Fault},
    fields::{Fields, missing},
};
use crate::domain::{ChatId, ClientMsgId, Content, ConversationId, DeviceId, Epoch, Seq, UserId};

/// The first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The last event that the client has applied; `None`: from now on.
    pub since: Option<Seq>,
    /// The history in which it counted; `None`: on trust.
    pub epoch: Option<ClientEpoch>,
    /// The device, of whose sockets this is to be the only one.
    pub device: Option<DeviceId>,
}

/// An epoch as a client names it. One that is no UUID is just a foreign one.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Hello {
    /// Reads the fields of a `hello`.
    pub fn read(fields: &Fields<'_>, user: UserId) -> Result<Self, Fault> {
        let invalid = |fault: Fault| Fault { code: Code::InvalidHello, ..fault };
        let device = fields
            .string("deviceId")
            .map_err(invalid)?
            .map(|text| {
                DeviceId::parse(&text)
                    .map_err(|error| Fault::new(Code::InvalidHello, format!("`deviceId` {error}")))
            })
            .transpose()?;
        let since = fields.integer("since").map_err(|fault| Fault {
            code: Code::InvalidHello,
            detail: "`since` must be an integer from 0 to 9007199254740991".into(),
            ..fault
        })?;
        let epoch = fields.string("epoch").map_err(invalid)?;
        fields.check_user(user).map_err(|fault| match fault.code {
            Code::Forbidden => fault,
            _ => invalid(fault),
        })?;
        Ok(Self { since, epoch: epoch.as_deref().map(ClientEpoch::parse), device })
    }
}

/// A frame after the first.
#[derive(Debug)]
pub enum Request {
    /// Commit a chat.
    Send(Send),
    /// Move a read mark.
    Read {
        /// Where.
        conversation: ConversationId,
        /// How far.
        up_to: ChatId,
    },
    /// Somebody is typing.
    Typing {
        /// The user whose sockets show it.
        target: UserId,
    },
    /// Whose presence this screen shows.
    Watch {
        /// All of them.
        users: Vec<UserId>,
    },
    /// Is anybody there?
    Ping,
}

/// A chat that a client wants committed.
#[derive(Debug)]
pub struct Send {
    /// The client's key.
    pub client_msg_id: ClientMsgId,
    /// The user it is sent to.
    pub target: UserId,
    /// Its text.
    pub content: Content,
}

/// What is wrong with a frame after the first.
#[derive(Debug)]
pub struct BadFrame {
    /// The fault.
    pub fault: Fault,
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
            client_msg_id: fields.client_msg_id().ok().flatten(),
        })
    }

    fn read_kind(kind: &str, fields: &Fields<'_>, max_chars: usize) -> Result<Self, Fault> {
        Ok(match kind {
            "send" => Self::Send(Send {
                client_msg_id: fields.client_msg_id()?.ok_or_else(|| missing("clientMsgId"))?,
                target: fields.required_integer("targetUserId")?,
                content: fields.content(max_chars)?,
            }),
            "read" => Self::Read {
                conversation: fields.required_integer("conversationId")?,
                up_to: fields.required_integer("upTo")?,
            },
            "typing" => Self::Typing { target: fields.required_integer("targetUserId")? },
            "watch" => Self::Watch { users: fields.user_ids("userIds")? },
            "ping" => Self::Ping,
            "hello" => {
                return Err(Fault::new(Code::UnexpectedHello, "this socket has said hello before"));
            }
            _ => return Err(Fault::new(Code::UnknownType, "`type` is not one that is known")),
        })
    }
}

/// Reads the type and the fields of a text frame. `None`: it is no protocol, and the socket closes.
pub fn read_frame(text: &str) -> Option<(String, Fields<'_>)> {
    let fields = Fields::parse(text.as_bytes()).ok()?;
    let kind = match fields.string("type") {
        Ok(kind) => kind?,
        // A type that no text can hold is one that nobody knows.
        Err(_) if fields.is_string("type") => String::new(),
        Err(_) => return None,
    };
    Some((kind, fields))
}
