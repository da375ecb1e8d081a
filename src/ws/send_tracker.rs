//! What one client has been sent, and which of its sends are still open. No I/O.

use std::{collections::HashMap, sync::Arc};

use crate::{
    domain::{Chat, ClientMsgId, Seq},
    messaging::{SendOutcome, Sent},
    protocol::{
        Text,
        event::{EventFrame, sent},
        fault::ApiError,
        server::ServerFrame,
    },
};

/// How a send ended.
pub(super) type Outcome = (ClientMsgId, Result<SendOutcome, ApiError>);

/// The cursor of one socket, and the answers that wait for it.
///
/// A chat that this socket sent is shown as `sent` in its place in the timeline. A duplicate is answered by
/// another `sent`, which waits until the client has passed its number.
pub(super) struct SendTracker {
    cursor: Seq,
    open: HashMap<ClientMsgId, Open>,
    waiting: Vec<Answer>,
}

/// The sends with one key that have not ended.
#[derive(Default)]
struct Open {
    /// More than one if the client repeats a send before it is answered.
    count: u32,
    /// Whether the event was shown as `sent`.
    is_shown: bool,
}

/// A `sent` about a chat that the client has not been shown yet.
struct Answer {
    chat: Arc<Chat>,
    seq: Seq,
    /// Whether it answers a duplicate. Otherwise the event is the answer, and this one is needed only
    /// where a `reset` skips the event.
    is_repeat: bool,
}

impl SendTracker {
    /// A client that has applied everything up to `cursor`.
    pub(super) fn new(cursor: Seq) -> Self {
        Self { cursor, open: HashMap::new(), waiting: Vec::new() }
    }

    /// The last event that was sent.
    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Notes a send, before it is admitted.
    pub(super) fn open(&mut self, key: &ClientMsgId) {
        self.open.entry(key.clone()).or_default().count += 1;
    }

    /// How many answers wait for an earlier event.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every send was answered.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.waiting.is_empty()
    }

    /// Adds the frames of an event and of the answers that waited for it. An event that was shown before
    /// adds nothing.
    pub(super) fn show(&mut self, event: &EventFrame, frames: &mut Vec<Text>) {
        if event.seq <= self.cursor {
            return;
        }
        debug_assert_eq!(event.seq, self.cursor.next(), "events have no holes");
        self.cursor = event.seq;
        tracing::debug!(seq = event.seq.get(), "event goes to the client");
        let open = event.own.as_ref().and_then(|key| self.open.get_mut(key));
        let shown = open.filter(|open| !open.is_shown).and_then(|open| {
            open.is_shown = true;
            event.as_sent()
        });
        if let Some(key) = event.own.as_ref().filter(|_| shown.is_some()) {
            let answers = self.waiting.len();
            self.waiting.retain(|answer| answer.is_repeat || answer.seq != event.seq);
            if self.waiting.len() < answers {
                self.close(key);
            }
        }
        frames.push(shown.unwrap_or_else(|| event.text()));
        frames.extend(self.due());
    }

    /// Ends a send. Returns its answer, unless its event is the answer.
    pub(super) fn settle(&mut self, (key, result): Outcome) -> Option<Text> {
        let Sent { chat, seq, is_repeat } = match result {
            Ok(SendOutcome::Sent(sent)) => sent,
            Ok(SendOutcome::Held) => {
                self.close(&key);
                return Some(ServerFrame::Held { client_msg_id: &key }.encode());
            }
            Err(error) => {
                self.close(&key);
                return Some(ServerFrame::fault(&error, Some(&key)).encode());
            }
        };
        // Who has no timeline is shown no event.
        let seq = seq.unwrap_or(Seq::ZERO);
        let is_shown = !is_repeat && self.open.get(&key).is_some_and(|open| open.is_shown);
        if !is_shown && seq > self.cursor {
            if is_repeat {
                self.close(&key);
            }
            self.waiting.push(Answer { chat, seq, is_repeat });
            return None;
        }
        self.close(&key);
        (!is_shown).then(|| sent(&chat, seq))
    }

    /// Goes on from the end of a timeline that the client loads anew. Returns the answers that waited
    /// for what is skipped.
    pub(super) fn restart(&mut self, last: Seq) -> Vec<Text> {
        self.cursor = last;
        self.due()
    }

    fn due(&mut self) -> Vec<Text> {
        let cursor = self.cursor;
        let due: Vec<_> = self.waiting.extract_if(.., |answer| answer.seq <= cursor).collect();
        due.into_iter()
            .map(|Answer { chat, seq, is_repeat }| {
                if !is_repeat {
                    self.close(&chat.client_msg_id);
                }
                sent(&chat, seq)
            })
            .collect()
    }

    /// Ends one send with this key.
    fn close(&mut self, key: &ClientMsgId) {
        if let Some(open) = self.open.get_mut(key) {
            open.count -= 1;
            if open.count == 0 {
                self.open.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        domain::{Chat, ChatId, ChatKind, ConversationId, Target, UserId, UserName},
        protocol::event::EventBody,
    };

    fn chat(key: &str) -> Chat {
        Chat {
            id: ChatId::new(1).unwrap(),
            user_id: UserId::new(1).unwrap(),
            user_name: UserName::parse("a").unwrap(),
            target: Some(Target {
                id: UserId::new(2).unwrap(),
                name: UserName::parse("b").unwrap(),
            }),
            content: "hi".into(),
            create_time: Timestamp::from_millis(0),
            client_msg_id: ClientMsgId::parse(key).unwrap(),
            conversation_id: ConversationId::new(1).unwrap(),
            kind: ChatKind::Text,
            body: None,
            state: None,
            version: 1,
            reply_to: None,
            mentions: None,
        }
    }

    fn seq(n: i64) -> Seq {
        Seq::new(n).unwrap()
    }

    fn ended(key: &str, n: i64, is_repeat: bool) -> Outcome {
        let chat = chat(key);
        let key = chat.client_msg_id.clone();
        let sent = Sent { chat: Arc::new(chat), seq: Some(seq(n)), is_repeat };
        (key, Ok(SendOutcome::Sent(sent)))
    }

    /// Does these steps; returns what was written, as `type seq`.
    fn written(cursor: i64, steps: &[&str]) -> Vec<String> {
        let mut tracker = SendTracker::new(seq(cursor));
        let key = ClientMsgId::parse("k").unwrap();
        let mut frames = Vec::new();
        for step in steps {
            match step.split_at(1) {
                ("o", _) => tracker.open(&key),
                ("f", n) => frames.extend(tracker.settle(ended("k", n.parse().unwrap(), false))),
                ("r", n) => frames.extend(tracker.settle(ended("k", n.parse().unwrap(), true))),
                ("s", n) => {
                    let (seq, body) = (seq(n.parse().unwrap()), EventBody::chat(&chat("k")));
                    let own = Some(key.clone());
                    tracker.show(&EventFrame { seq, own, body }, &mut frames);
                }
                ("h", _) => frames.extend(tracker.settle((key.clone(), Ok(SendOutcome::Held)))),
                ("R", n) => frames.extend(tracker.restart(seq(n.parse().unwrap()))),
                _ => unreachable!(),
            }
        }
        assert!(tracker.is_settled(), "{steps:?} leaves something");
        let of = |text: &Text| -> serde_json::Value { serde_json::from_str(text).unwrap() };
        frames
            .iter()
            .map(|text| format!("{} {}", of(text)["type"].as_str().unwrap(), of(text)["seq"]))
            .collect()
    }

    #[test]
    fn a_send_is_answered_by_its_event() {
        assert_eq!(written(6, &["o", "f7", "s7"]), ["sent 7"]);
        assert_eq!(written(6, &["o", "s7", "f7"]), ["sent 7"]);
        assert_eq!(written(6, &["s7"]), ["event 7"]);
    }

    #[test]
    fn a_repeat_is_answered_beside_it_once_the_cursor_is_there() {
        assert_eq!(written(9, &["o", "r7"]), ["sent 7"]);
        assert_eq!(written(6, &["o", "r7", "s7"]), ["event 7", "sent 7"]);
        assert_eq!(written(6, &["o", "s7", "r7"]), ["sent 7", "sent 7"]);
        for twice in [
            ["o", "o", "f7", "r7", "s7"],
            ["o", "o", "s7", "f7", "r7"],
            ["o", "o", "f7", "s7", "r7"],
            ["o", "o", "r7", "s7", "f7"],
        ] {
            assert_eq!(written(6, &twice), ["sent 7", "sent 7"], "{twice:?}");
        }
    }

    #[test]
    fn a_reset_that_skips_the_event_answers_all_the_same() {
        assert_eq!(written(6, &["o", "f7", "R9"]), ["sent 7"]);
        assert_eq!(written(6, &["o", "R9", "f7"]), ["sent 7"]);
        assert_eq!(written(6, &["o", "r7", "R9"]), ["sent 7"]);
    }

    #[test]
    fn a_send_that_is_held_is_answered_and_its_release_is_an_event() {
        assert_eq!(written(6, &["o", "h", "s7"]), ["held null", "event 7"]);
        assert_eq!(written(6, &["o", "o", "h", "s7", "r7"]), ["held null", "sent 7", "sent 7"]);
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        assert_eq!(written(6, &["s7", "s7", "s6"]), ["event 7"]);
    }
}
