//! What one client has been sent, and which of its sends are still open. No I/O.

use std::collections::HashMap;

use crate::{
    domain::{ClientMsgId, Seq},
    messaging::{Error, Sent},
    protocol::{
        Text,
        event::{ChatJson, EventFrame},
        fault::Fault,
        server::ServerFrame,
    },
};

/// How a send ended.
pub(super) type Outcome = (ClientMsgId, Result<Sent, Error>);

/// The cursor of one socket, and the answers that wait for it.
///
/// A chat that this socket sent is shown as `sent` in its place in the timeline. The answer to a
/// repeat is a `sent` beside it, whose number the client has passed: it waits until that is so.
pub(super) struct Outbox {
    cursor: Seq,
    /// How many sends with this key are open: a client may repeat one before it is answered.
    open: HashMap<ClientMsgId, u32>,
    /// Answers to repeats of chats that this socket has not been shown yet.
    waiting: Vec<(Seq, Text)>,
}

impl Outbox {
    /// A client that has applied everything up to `cursor`.
    pub(super) fn new(cursor: Seq) -> Self {
        Self { cursor, open: HashMap::new(), waiting: Vec::new() }
    }

    /// The last event that was sent.
    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Notes a send, before it is handed over.
    pub(super) fn open(&mut self, key: &ClientMsgId) {
        *self.open.entry(key.clone()).or_default() += 1;
    }

    /// Adds the frames that show an event and what has waited for it. An event that was shown before
    /// adds nothing.
    pub(super) fn show(&mut self, event: EventFrame, frames: &mut Vec<Text>) {
        if event.seq <= self.cursor {
            return;
        }
        debug_assert_eq!(event.seq, self.cursor.next(), "events have no holes");
        self.cursor = event.seq;
        let sent = event.own.as_ref().filter(|key| self.close(key)).and_then(|_| event.as_sent());
        frames.push(sent.unwrap_or(event.text));
        frames.extend(self.due());
    }

    /// The frame for how a send ended, if it is not shown by its event.
    pub(super) fn settle(&mut self, (key, result): Outcome) -> Option<Text> {
        match result {
            Ok(sent) if sent.is_repeat => {
                self.close(&key);
                let text = ChatJson::of(&sent.chat).sent(sent.seq);
                if sent.seq <= self.cursor {
                    return Some(text);
                }
                self.waiting.push((sent.seq, text));
                None
            }
            Ok(_) => None,
            Err(error) => {
                self.close(&key);
                Some(ServerFrame::fault(&Fault::from(error), Some(&key)).encode())
            }
        }
    }

    /// Goes on from the end of a timeline that the client loads anew. Returns answers that need not
    /// wait any more.
    pub(super) fn restart(&mut self, last: Seq) -> Vec<Text> {
        self.cursor = last;
        self.due()
    }

    fn due(&mut self) -> Vec<Text> {
        let cursor = self.cursor;
        self.waiting.extract_if(.., |(seq, _)| *seq <= cursor).map(|(_, text)| text).collect()
    }

    /// Closes one send with this key; whether there was one.
    fn close(&mut self, key: &ClientMsgId) -> bool {
        let Some(count) = self.open.get_mut(key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.open.remove(key);
        }
        true
    }
}
