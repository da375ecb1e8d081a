//! Events of a timeline as frames. What an event says is encoded once for everybody who gets it; only its
//! number differs.

use std::{fmt, sync::Arc};

use super::Text;
use crate::domain::{Chat, ChatId, ClientMsgId, ConversationChange, ConversationId, Payload, Seq};

/// One numbered event of one user's timeline, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFrame {
    /// Its number in that timeline.
    pub seq: Seq,
    /// The key of the chat, if the timeline's user sent it.
    pub own: Option<ClientMsgId>,
    /// What it says.
    pub body: EventBody,
}

/// What an event says, as the JSON that stands after its number. Clones share it.
#[derive(Clone, PartialEq)]
pub struct EventBody(Arc<str>);

/// Bodies of chats never reach a log.
impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventBody({} bytes)", self.0.len())
    }
}

/// What stands between the number of a new chat's event and the chat.
const CHAT_MARK: &str = r#","event":"chat","chat":"#;

/// The same of the event of a conversation.
const CONVERSATION_MARK: &str = r#","event":"conversation","conversation":"#;

/// How many bytes a frame has beside its body, at most.
const HEAD_BYTES: usize = 40;

impl EventBody {
    /// Somebody sent a chat.
    pub fn chat(chat: &Chat) -> Self {
        Self(format!("{CHAT_MARK}{}}}", json(chat)).into())
    }

    /// A chat has changed.
    pub fn changed(chat: &Chat) -> Self {
        Self(format!(r#","event":"changed","chat":{}}}"#, json(chat)).into())
    }

    /// A chat is gone for the timeline's user.
    pub fn gone(chat: ChatId, conversation: ConversationId) -> Self {
        let chat = format!(r#"{{"id":{chat},"conversationId":{conversation},"state":"deleted"}}"#);
        Self(format!(r#","event":"changed","chat":{chat}}}"#).into())
    }

    /// A conversation began, changed, or is the user's no more.
    pub fn conversation(change: &ConversationChange) -> Self {
        let text = serde_json::to_string(change).expect("a conversation can be encoded");
        Self(format!("{CONVERSATION_MARK}{text}}}").into())
    }

    /// An event of a kind that this version does not know, with what its writer gave it.
    pub fn other(kind: &str, chat: Option<&Chat>, payload: Option<&Payload>) -> Self {
        let mut body = format!(r#","event":{}"#, serde_json::Value::from(kind));
        if let Some(chat) = chat {
            body += r#","chat":"#;
            body += &json(chat);
        }
        if let Some(members) = payload.map(Payload::members).filter(|members| !members.is_empty()) {
            body.push(',');
            body += members;
        }
        body.push('}');
        Self(body.into())
    }

    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The JSON of the chat of a `chat` event; `None` for any other event.
    pub fn chat_json(&self) -> Option<&str> {
        self.0.strip_prefix(CHAT_MARK)?.strip_suffix('}')
    }

    /// Whether it is a `conversation` event.
    pub fn is_of_conversation(&self) -> bool {
        self.0.starts_with(CONVERSATION_MARK)
    }

    /// The JSON that stands after the number.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What [`EventBody::as_str`] was.
    pub fn from_wire(body: &str) -> Self {
        Self(body.into())
    }
}

impl EventFrame {
    /// Its length in bytes, to within a few.
    pub fn size(&self) -> usize {
        HEAD_BYTES + self.body.size()
    }

    /// The `event` frame.
    pub fn text(&self) -> Text {
        format!("{}{}", head(self.seq), self.body.0).into()
    }

    /// Reads an `event` frame; `None` if the number in it is another.
    pub fn from_text(seq: Seq, own: Option<ClientMsgId>, text: &str) -> Option<Self> {
        let body = text.strip_prefix(&head(seq))?;
        Some(Self { seq, own, body: EventBody::from_wire(body) })
    }

    /// How this event is shown on the socket that sent it: as `sent`. `None` if it is not the
    /// timeline's user's own.
    pub fn as_sent(&self) -> Option<Text> {
        Some(sent_text(self.seq, self.own.as_ref()?, self.body.chat_json()?))
    }
}

/// The `sent` frame that answers a repeat, with the chat's number in the sender's timeline.
pub fn sent(chat: &Chat, seq: Seq) -> Text {
    sent_text(seq, &chat.client_msg_id, &json(chat))
}

fn head(seq: Seq) -> String {
    format!(r#"{{"type":"event","seq":{seq}"#)
}

fn sent_text(seq: Seq, key: &ClientMsgId, chat_json: &str) -> Text {
    let key = serde_json::Value::from(key.as_str());
    format!(r#"{{"type":"sent","clientMsgId":{key},"seq":{seq},"chat":{chat_json}}}"#).into()
}

fn json(chat: &Chat) -> String {
    // Strings, integers and JSON that was parsed.
    serde_json::to_string(chat).expect("a chat can be encoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        domain::{ChatId, ChatKind, ConversationId, Target, UserId, UserName},
    };

    fn chat() -> Chat {
        Chat {
            id: ChatId::new(7).unwrap(),
            user_id: UserId::new(2).unwrap(),
            user_name: UserName::parse(r#"李","event":"chat","chat":"四"#).unwrap(),
            target: Some(Target {
                id: UserId::new(1).unwrap(),
                name: UserName::parse("张三").unwrap(),
            }),
            content: "你好\n\"}".into(),
            create_time: Timestamp::from_millis(1_763_804_459_123),
            client_msg_id: ClientMsgId::parse(r#"a"b\c"#).unwrap(),
            conversation_id: ConversationId::new(3).unwrap(),
            kind: ChatKind::Text,
            body: None,
            state: None,
            version: 1,
            reply_to: None,
            mentions: None,
        }
    }

    #[test]
    fn an_event_becomes_sent_without_being_encoded_again() {
        let chat = chat();
        let seq = Seq::new(41).unwrap();
        let event =
            EventFrame { seq, own: Some(chat.client_msg_id.clone()), body: EventBody::chat(&chat) };
        let shown = event.as_sent().unwrap();
        assert_eq!(shown, sent(&chat, seq));
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["chat"], serde_json::to_value(&chat).unwrap());
        assert_eq!(value["clientMsgId"], chat.client_msg_id.as_str());
        assert!(EventFrame { own: None, ..event.clone() }.as_sent().is_none());
        assert!(event.text().len() <= event.size());
        assert_eq!(EventFrame::from_text(seq, event.own.clone(), &event.text()), Some(event));
    }

    #[test]
    fn a_kind_that_is_not_known_shows_all_that_its_writer_gave_it() {
        let payload = Payload::parse(r#"{ "a": [1.0], "b":"\u4f60" }"#.to_owned()).unwrap();
        let body = EventBody::other("\"x\"", Some(&chat()), Some(&payload));
        let frame = EventFrame { seq: Seq::new(3).unwrap(), own: None, body };
        let text = frame.text();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["event"], &value["seq"]), (&"\"x\"".into(), &3.into()));
        assert_eq!(value["chat"], serde_json::to_value(chat()).unwrap());
        assert!(text.ends_with(r#","a": [1.0], "b":"\u4f60"}"#), "{text}");
    }
}
