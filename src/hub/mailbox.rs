//! What waits to be written to one socket: a queue bounded in frames and bytes, and a few flags.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::protocol::{Text, close::CloseCode, event::EventFrame};

/// The most frames that wait for a reader of live events.
pub const QUEUE_FRAMES: usize = 256;

/// The most bytes that wait for a reader of live events.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// One frame in the queue.
#[derive(Clone, Debug)]
pub enum Letter {
    /// An event of the user's timeline.
    Event(EventFrame),
    /// A frame outside the timeline.
    Notice(Text),
}

impl Letter {
    fn len(&self) -> usize {
        match self {
            Self::Event(event) => event.size(),
            Self::Notice(text) => text.len(),
        }
    }
}

/// All that was waiting at one moment.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they say different things, and may come together"
)]
pub struct Post {
    /// The frames, in order.
    pub letters: Vec<Letter>,
    /// Since when the first of them waited.
    pub since: Option<Instant>,
    /// Events are missing after these letters: the owner reads them from the database.
    pub pull: bool,
    /// The timeline's history has changed: the owner tells the client to load anew.
    pub reset: bool,
    /// A classic socket's client is to be shown its latest chats.
    pub dirty: bool,
    /// The replica stops: the owner finishes what is under way, and closes.
    pub leave: bool,
    /// The socket is to be closed, after nothing else.
    pub close: Option<CloseCode>,
}

/// The queue is full; the socket is being closed as [`CloseCode::TooSlow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The queue of one socket. Anyone may put something in, without waiting; one task takes it out.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    arrived: Notify,
    closing: Notify,
}

#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they say different things, and may come together"
)]
struct Inner {
    letters: VecDeque<Letter>,
    since: Option<Instant>,
    bytes: usize,
    pull: bool,
    reset: bool,
    dirty: bool,
    leave: bool,
    close: Option<CloseCode>,
}

impl Mailbox {
    /// Puts a numbered event in. One that does not fit closes the socket: an event is never dropped
    /// from a socket that stays.
    pub fn push(&self, event: EventFrame) -> Result<(), Full> {
        let letter = Letter::Event(event);
        let mut inner = self.inner.lock();
        if inner.close.is_some() {
            return Ok(());
        }
        if inner.letters.len() >= QUEUE_FRAMES || inner.bytes + letter.len() > QUEUE_BYTES {
            drop(inner);
            self.close(CloseCode::TooSlow);
            return Err(Full);
        }
        inner.put(letter);
        drop(inner);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a frame in that may be lost: it is dropped when half of the queue is taken, so that such
    /// frames alone never close a socket. Returns whether it was taken.
    pub fn push_lossy(&self, text: Text) -> bool {
        let mut inner = self.inner.lock();
        let room = inner.letters.len() < QUEUE_FRAMES / 2
            && inner.bytes + text.len() <= QUEUE_BYTES / 2
            && inner.close.is_none();
        if room {
            inner.put(Letter::Notice(text));
            drop(inner);
            self.arrived.notify_one();
        }
        room
    }

    /// Tells the owner that events are missing after what is in the queue.
    pub fn pull(&self) {
        self.inner.lock().pull = true;
        self.arrived.notify_one();
    }

    /// Tells the owner that the history has changed. Events in the queue belong to the old one.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.letters.retain(|letter| matches!(letter, Letter::Notice(_)));
        inner.bytes = inner.letters.iter().map(Letter::len).sum();
        inner.reset = true;
        drop(inner);
        self.arrived.notify_one();
    }

    /// Tells the owner of a classic socket that the latest chats have changed.
    pub fn dirty(&self) {
        self.inner.lock().dirty = true;
        self.arrived.notify_one();
    }

    /// Tells the owner that the replica stops.
    pub fn leave(&self) {
        self.inner.lock().leave = true;
        self.arrived.notify_one();
    }

    /// Has the socket closed. The first code counts; what waits is dropped.
    pub fn close(&self, code: CloseCode) {
        let mut inner = self.inner.lock();
        if inner.close.is_none() {
            inner.close = Some(code);
            inner.letters = VecDeque::new();
            inner.bytes = 0;
        }
        drop(inner);
        self.arrived.notify_one();
        self.closing.notify_one();
    }

    /// Whether the socket is to be closed.
    pub fn is_closing(&self) -> bool {
        self.inner.lock().close.is_some()
    }

    /// Waits until there is something, and takes all of it. For the owner alone; may be dropped
    /// without loss.
    pub async fn take(&self) -> Post {
        loop {
            let post = self.inner.lock().take();
            if let Some(post) = post {
                return post;
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until the socket is to be closed: for the owner, while it writes. May be dropped.
    pub async fn closing(&self) -> CloseCode {
        loop {
            if let Some(code) = self.inner.lock().close {
                return code;
            }
            self.closing.notified().await;
        }
    }
}

impl Inner {
    fn put(&mut self, letter: Letter) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += letter.len();
        self.letters.push_back(letter);
    }

    fn take(&mut self) -> Option<Post> {
        let nothing = self.letters.is_empty()
            && !self.pull
            && !self.reset
            && !self.dirty
            && !self.leave
            && self.close.is_none();
        if nothing {
            return None;
        }
        self.bytes = 0;
        Some(Post {
            // Given away whole, so that an idle socket holds no memory for frames.
            letters: std::mem::take(&mut self.letters).into(),
            since: self.since.take(),
            pull: std::mem::take(&mut self.pull),
            reset: std::mem::take(&mut self.reset),
            dirty: std::mem::take(&mut self.dirty),
            leave: std::mem::take(&mut self.leave),
            close: self.close,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Seq, protocol::event::EventBody};

    fn event(seq: i64, len: usize) -> EventFrame {
        let body = EventBody::from_wire(&"x".repeat(len));
        EventFrame { seq: Seq::new(seq).unwrap(), own: None, body }
    }

    #[tokio::test]
    async fn an_event_too_many_closes_and_frees() {
        let mailbox = Mailbox::default();
        for seq in 1..=256 {
            mailbox.push(event(seq, 10)).unwrap();
        }
        assert_eq!(mailbox.push(event(257, 10)), Err(Full));
        let post = mailbox.take().await;
        assert_eq!(post.close, Some(CloseCode::TooSlow));
        assert!(post.letters.is_empty());
    }

    #[tokio::test]
    async fn bytes_count_too() {
        let mailbox = Mailbox::default();
        mailbox.push(event(1, QUEUE_BYTES - 100)).unwrap();
        assert_eq!(mailbox.push(event(2, 100)), Err(Full));
        assert_eq!(mailbox.closing().await, CloseCode::TooSlow);
    }

    #[tokio::test]
    async fn notices_are_dropped_before_they_close() {
        let mailbox = Mailbox::default();
        let taken = (0..1_000).filter(|_| mailbox.push_lossy("typing".into())).count();
        assert_eq!(taken, QUEUE_FRAMES / 2);
        mailbox.push(event(1, 10)).unwrap();
        assert_eq!(mailbox.take().await.close, None);
    }

    #[tokio::test]
    async fn the_first_close_counts() {
        let mailbox = Mailbox::default();
        mailbox.close(CloseCode::Kicked);
        mailbox.close(CloseCode::TooSlow);
        mailbox.push(event(1, 10)).unwrap();
        assert_eq!(mailbox.take().await.close, Some(CloseCode::Kicked));
    }
}
