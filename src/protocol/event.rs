//! Events of a timeline as frames: encoded once for each user, shared by that user's sockets.

use std::fmt;

use super::Text;
use crate::domain::{Chat, ClientMsgId, Seq};

/// One numbered event of one user's timeline, ready to be sent.
#[derive(Clone, PartialEq)]
pub struct EventFrame {
    /// Its number in that timeline.
    pub seq: Seq,
    /// The key of the chat, if the timeline's user sent it.
    pub own: Option<ClientMsgId>,
    /// The `event` frame.
    pub text: Text,
}

/// Bodies of chats never reach a log.
impl fmt::Debug for EventFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFrame").field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// A chat as JSON, encoded once for all the frames that show it.
pub struct ChatJson<'a> {
    chat: &'a Chat,
    json: String,
}

/// What stands between an event's number and its chat.
const CHAT_MARK: &str = r#","event":"chat","chat":"#;

impl<'a> ChatJson<'a> {
    /// Encodes a chat.
    pub fn of(chat: &'a Chat) -> Self {
        // Strings and integers: this cannot fail.
        Self { chat, json: serde_json::to_string(chat).unwrap_or_default() }
    }

    /// The `event` frame in the timeline of the sender.
    pub fn own_event(&self, seq: Seq) -> EventFrame {
        self.event(seq, Some(self.chat.client_msg_id.clone()))
    }

    /// The `event` frame in the timeline of anybody else.
    pub fn others_event(&self, seq: Seq) -> EventFrame {
        self.event(seq, None)
    }

    /// The `sent` frame that answers a repeat, with the chat's number in the sender's timeline.
    pub fn sent(&self, seq: Seq) -> Text {
        sent(seq, &self.chat.client_msg_id, &self.json)
    }

    fn event(&self, seq: Seq, own: Option<ClientMsgId>) -> EventFrame {
        let text = format!(r#"{{"type":"event","seq":{seq}{CHAT_MARK}{}}}"#, self.json);
        EventFrame { seq, own, text: text.into() }
    }
}

impl EventFrame {
    /// The frame of an event of a kind that this version does not know.
    pub fn of_other(seq: Seq, kind: &str) -> Self {
        let kind = serde_json::Value::from(kind);
        let text = format!(r#"{{"type":"event","seq":{seq},"event":{kind}}}"#);
        Self { seq, own: None, text: text.into() }
    }

    /// How this event is shown on the socket that sent it: as `sent`. `None` if it is not the
    /// timeline's user's own.
    pub fn as_sent(&self) -> Option<Text> {
        let key = self.own.as_ref()?;
        let text = self.text.as_str();
        let chat = text.find(CHAT_MARK)? + CHAT_MARK.len()..text.len() - 1;
        Some(sent(self.seq, key, text.get(chat)?))
    }
}

fn sent(seq: Seq, key: &ClientMsgId, chat_json: &str) -> Text {
    let key = serde_json::Value::from(key.as_str());
    format!(r#"{{"type":"sent","clientMsgId":{key},"seq":{seq},"chat":{chat_json}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        domain::{ChatId, ChatKind, ConversationId, UserId, UserName},
    };

    fn chat() -> Chat {
        Chat {
            id: ChatId::new(7).unwrap(),
            user_id: UserId::new(2).unwrap(),
            target_user_id: UserId::new(1).unwrap(),
            user_name: UserName::parse(r#"李","event":"chat","chat":"四"#).unwrap(),
            target_user_name: UserName::parse("张三").unwrap(),
            content: "你好\n\"}".into(),
            create_time: Timestamp::from_millis(1_763_804_459_123),
            client_msg_id: ClientMsgId::parse(r#"a"b\c"#).unwrap(),
            conversation_id: ConversationId::new(3).unwrap(),
            kind: ChatKind::Text,
        }
    }

    #[test]
    fn an_event_becomes_sent_without_being_encoded_again() {
        let chat = chat();
        let json = ChatJson::of(&chat);
        let seq = Seq::new(41).unwrap();
        let sent = json.own_event(seq).as_sent().unwrap();
        assert_eq!(sent, json.sent(seq));
        let value: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(value["chat"], serde_json::to_value(&chat).unwrap());
        assert_eq!(value["clientMsgId"], chat.client_msg_id.as_str());
        assert!(json.others_event(seq).as_sent().is_none());
    }
}
