//! A chat, as the service shows it.

use serde_json::Value;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub id: i64,
    pub conversation: i64,
    pub sender: i64,
    pub target: i64,
    pub key: String,
    pub content: String,
}

impl Chat {
    /// Reads the `chat` of a frame or of an answer.
    pub fn read(json: &Value) -> Self {
        let number = |name: &str| json[name].as_i64().unwrap_or_else(|| panic!("{name}: {json}"));
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self {
            id: number("id"),
            conversation: number("conversationId"),
            sender: number("userId"),
            target: number("targetUserId"),
            key: text("clientMsgId"),
            content: text("content"),
        }
    }

    /// Whether it belongs into the timeline of this user.
    pub fn concerns(&self, user: i64) -> bool {
        self.sender == user || self.target == user
    }
}
