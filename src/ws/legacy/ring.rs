//! The encoded chats of a legacy socket: a snapshot is all of them in a row.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, de::IgnoredAny};
use tokio::time::Instant;

use crate::{
    domain::{Chat, ChatId},
    protocol::{Text, event::EventBody},
};

/// How long a ring is used before it is read anew. So the names in it are at most this old, and a user who
/// gets no chats costs no memory.
const RING_AGE: Duration = Duration::from_mins(1);

/// The latest chats of the user's direct conversations, encoded, by ascending id.
pub(super) struct Ring {
    limit: usize,
    /// Before the ring is filled: the chats of events since the read began.
    chats: VecDeque<(ChatId, EventBody)>,
    filled_at: Option<Instant>,
}

/// What an event was to a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// A new chat, which it has now.
    Added,
    /// A new chat of a group, which is not for this kind of socket.
    Elsewhere,
    /// Something else, so the ring must be filled anew.
    Outdated {
        /// Whether it is a chat that has changed, and not a conversation.
        is_of_chat: bool,
    },
}

/// The fields that the ring reads of a chat.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatHead {
    id: ChatId,
    /// Direct chats alone have one.
    target_user_id: Option<IgnoredAny>,
}

impl Ring {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit: limit as usize, chats: VecDeque::new(), filled_at: None }
    }

    pub(super) fn is_filled(&self) -> bool {
        self.filled_at.is_some_and(|filled_at| filled_at.elapsed() < RING_AGE)
    }

    pub(super) fn clear(&mut self) {
        self.chats = VecDeque::new();
        self.filled_at = None;
    }

    pub(super) fn drop_if_old(&mut self) {
        if self.filled_at.is_some() && !self.is_filled() {
            self.clear();
        }
    }

    /// Adds the chats that were read to those of events since.
    pub(super) fn fill(&mut self, chats: &[Chat]) {
        for chat in chats {
            self.add(chat.id, EventBody::chat(chat));
        }
        self.filled_at = Some(Instant::now());
    }

    /// Applies an event.
    pub(super) fn apply(&mut self, body: EventBody) -> Applied {
        let read = |chat| serde_json::from_str(chat).ok();
        let Some(ChatHead { id, target_user_id }) = body.chat_json().and_then(read) else {
            return Applied::Outdated { is_of_chat: !body.is_of_conversation() };
        };
        if target_user_id.is_none() {
            return Applied::Elsewhere;
        }
        self.add(id, body);
        Applied::Added
    }

    fn add(&mut self, id: ChatId, body: EventBody) {
        if let Err(place) = self.chats.binary_search_by_key(&id, |(id, _)| *id) {
            self.chats.insert(place, (id, body));
        }
        if self.chats.len() > self.limit {
            self.chats.pop_front();
        }
    }

    pub(super) fn snapshot(&self) -> Text {
        let bytes: usize = self.chats.iter().map(|(_, body)| body.size()).sum();
        let mut text = String::with_capacity(bytes + 2);
        for (_, body) in &self.chats {
            text.push(if text.is_empty() { '[' } else { ',' });
            text.push_str(body.chat_json().expect("only chats enter the ring"));
        }
        if text.is_empty() {
            text.push('[');
        }
        text.push(']');
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of a chat's event; in a direct conversation or another one.
    fn body(id: i64, is_direct: bool) -> EventBody {
        let target = if is_direct { r#""targetUserId":2,"# } else { "" };
        let chat = format!(r#"{{"id":{id},"userId":1,{target}"content":"\"targetUserId\":2"}}"#);
        EventBody::from_wire(&format!(r#","event":"chat","chat":{chat}}}"#))
    }

    fn ids(ring: &Ring) -> Vec<i64> {
        let chats: Vec<ChatHead> = serde_json::from_str(&ring.snapshot()).unwrap();
        chats.iter().map(|chat| chat.id.get()).collect()
    }

    #[test]
    fn a_snapshot_has_the_latest_direct_chats_by_id() {
        let mut ring = Ring::new(3);
        assert_eq!(ring.snapshot().as_str(), "[]");
        for (id, is_direct) in [(4, true), (9, true), (10, false), (7, true), (7, true), (5, true)]
        {
            let applied = ring.apply(body(id, is_direct));
            assert_eq!(applied, if is_direct { Applied::Added } else { Applied::Elsewhere });
        }
        assert_eq!(ids(&ring), [5, 7, 9]);
        assert_eq!(ring.apply(body(3, true)), Applied::Added, "older than all");
        assert_eq!(ids(&ring), [5, 7, 9]);
    }

    #[test]
    fn another_kind_of_event_is_not_applied() {
        let mut ring = Ring::new(3);
        let recalled = r#","event":"recalled","chat":{"id":1,"targetUserId":2}}"#;
        for (other, is_of_chat) in [
            (recalled, true),
            (r#","event":"chat","chat":{"targetUserId":2}}"#, true),
            (r#","event":"conversation","conversation":{"id":3,"draft":"x"}}"#, false),
        ] {
            let applied = ring.apply(EventBody::from_wire(other));
            assert_eq!(applied, Applied::Outdated { is_of_chat });
        }
        assert_eq!(ids(&ring), [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_is_filled_for_a_minute() {
        let mut ring = Ring::new(3);
        ring.apply(body(7, true));
        assert!(!ring.is_filled());
        ring.fill(&[]);
        assert!(ring.is_filled());
        assert_eq!(ids(&ring), [7], "an event that came during the read");
        ring.drop_if_old();
        assert!(ring.is_filled());
        tokio::time::advance(RING_AGE).await;
        assert!(!ring.is_filled());
        ring.drop_if_old();
        assert_eq!(ids(&ring), [0; 0]);
    }
}
