//! Events as frames: encoded once for each user, shared by that user's sockets.

use std::fmt;

use crate::{
    domain::{Chat, ClientMsgId, Seq},
    protocol::Text,
    store::{Committed, EventBody, TimelineEvent},
};

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

const CHAT_MARK: &str = r#","event":"chat","chat":"#;

impl EventFrame {
    /// The frame of a chat that is encoded already, in the timeline of its sender (`own`) or its
    /// target.
    fn of_chat_json(seq: Seq, own: Option<ClientMsgId>, json: &str) -> Self {
        let text = format!(r#"{{"type":"event","seq":{seq}{CHAT_MARK}{json}}}"#);
        Self { seq, own, text: text.into() }
    }

    /// The frame of an event that was read from a timeline. `user_sent` tells whether a chat is the
    /// timeline's user's own.
    pub fn of_event(event: &TimelineEvent, user_sent: impl Fn(&Chat) -> bool) -> Self {
        match &event.body {
            EventBody::Chat(chat) => {
                let own = user_sent(chat).then(|| chat.client_msg_id.clone());
                Self::of_chat_json(event.seq, own, &encode(chat))
            }
            EventBody::Other(kind) => {
                let kind = serde_json::Value::from(kind.as_str());
                let text = format!(r#"{{"type":"event","seq":{},"event":{kind}}}"#, event.seq);
                Self { seq: event.seq, own: None, text: text.into() }
            }
        }
    }

    /// The frames of a chat that was committed just now: the sender's, and the target's unless that
    /// is the same user.
    pub fn of_commit(committed: &Committed) -> (Self, Option<Self>) {
        let json = encode(&committed.chat);
        let own = Some(committed.chat.client_msg_id.clone());
        let target = committed.target_seq.map(|seq| Self::of_chat_json(seq, None, &json));
        (Self::of_chat_json(committed.sender_seq, own, &json), target)
    }

    /// How this event is shown on the socket that sent it: as `sent`. `None` if it is nobody's own.
    pub fn as_sent(&self) -> Option<Text> {
        let key = self.own.as_ref()?;
        let start = self.text.as_str().find(CHAT_MARK)? + CHAT_MARK.len();
        Some(sent(self.seq, key, self.text.as_str().get(start..self.text.len() - 1)?))
    }
}

/// The answer to a repeated send.
pub fn sent_again(committed: &Committed) -> Text {
    sent(committed.sender_seq, &committed.chat.client_msg_id, &encode(&committed.chat))
}

fn sent(seq: Seq, key: &ClientMsgId, chat_json: &str) -> Text {
    let key = serde_json::Value::from(key.as_str());
    format!(r#"{{"type":"sent","clientMsgId":{key},"seq":{seq},"chat":{chat_json}}}"#).into()
}

fn encode(chat: &Chat) -> String {
    // Strings and integers: this cannot fail.
    serde_json::to_string(chat).unwrap_or_default()
}
