//! What waits to be written to one socket: a queue bounded in frames and bytes, and a few flags.

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::protocol::{Text, close::CloseCode, event::EventFrame};

/// The most frames that wait for a reader of live events.
pub const QUEUE_FRAMES: usize = 256;

/// The most bytes that wait for a reader of live events.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// One frame in the queue.
#[derive(Clone, Debug)]
pub enum Outbound {
    /// An event of the user's timeline.
    Event(EventFrame),
    /// A frame outside the timeline.
    Notice(Text),
}

impl Outbound {
    fn len(&self) -> usize {
        match self {
            Self::Event(event) => event.size(),
            Self::Notice(text) => text.len(),
        }
    }
}

/// All that was waiting at one moment.
#[derive(Debug, Default)]
pub struct Batch {
    /// The frames, in order.
    pub frames: Vec<Outbound>,
    /// When the first of them was queued.
    pub since: Option<Instant>,
    /// Events are missing: the owner reads the database.
    pub pull: bool,
    /// The timeline's history has changed: the owner tells the client to load anew.
    pub reset: bool,
    /// The replica stops: the owner finishes what is under way, and closes.
    pub drain: bool,
    /// The socket is to be closed, after nothing else.
    pub close: Option<CloseCode>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self { frames, since: _, pull, reset, drain, close } = self;
        frames.is_empty() && !pull && !reset && !drain && close.is_none()
    }
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
    is_legacy: bool,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Batch,
    bytes: usize,
}

impl Mailbox {
    /// The queue of a legacy socket, which shows the latest chats only: it takes no notices, and when it
    /// is full it drops its events and sets `pull`.
    pub fn legacy() -> Self {
        Self { is_legacy: true, ..Self::default() }
    }

    /// Puts a numbered event in. One that does not fit closes the socket: an event is never dropped
    /// from a socket of version 1 that stays.
    pub fn push(&self, event: EventFrame) -> Result<(), Full> {
        let frame = Outbound::Event(event);
        let mut inner = self.inner.lock();
        if inner.waiting.close.is_some() {
            return Ok(());
        }
        if inner.waiting.frames.len() < QUEUE_FRAMES && inner.bytes + frame.len() <= QUEUE_BYTES {
            inner.put(frame);
        } else if self.is_legacy {
            inner.drop_frames();
            inner.waiting.pull = true;
        } else {
            drop(inner);
            self.close(CloseCode::TooSlow);
            return Err(Full);
        }
        drop(inner);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a frame in that may be lost: it is dropped if half of the queue is full, so that such frames
    /// alone never close a socket. Returns whether it was taken.
    pub fn push_lossy(&self, text: Text) -> bool {
        let mut inner = self.inner.lock();
        let room = !self.is_legacy
            && inner.waiting.frames.len() < QUEUE_FRAMES / 2
            && inner.bytes + text.len() <= QUEUE_BYTES / 2
            && inner.waiting.close.is_none();
        if room {
            inner.put(Outbound::Notice(text));
            drop(inner);
            self.arrived.notify_one();
        }
        room
    }

    /// Tells the owner that events are missing after what is in the queue.
    pub fn pull(&self) {
        self.inner.lock().waiting.pull = true;
        self.arrived.notify_one();
    }

    /// Tells the owner that the history has changed. Events in the queue belong to the old one.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.waiting.frames.retain(|frame| matches!(frame, Outbound::Notice(_)));
        inner.bytes = inner.waiting.frames.iter().map(Outbound::len).sum();
        inner.waiting.reset = true;
        drop(inner);
        self.arrived.notify_one();
    }

    /// Tells the owner that the replica stops.
    pub fn drain(&self) {
        self.inner.lock().waiting.drain = true;
        self.arrived.notify_one();
    }

    /// Has the socket closed. The first code counts; what waits is dropped.
    pub fn close(&self, code: CloseCode) {
        let mut inner = self.inner.lock();
        if inner.waiting.close.is_none() {
            inner.waiting.close = Some(code);
            inner.drop_frames();
        }
        drop(inner);
        self.arrived.notify_one();
        self.closing.notify_one();
    }

    /// Whether the socket is to be closed.
    pub fn is_closing(&self) -> bool {
        self.inner.lock().waiting.close.is_some()
    }

    /// Waits until there is something, and takes all of it. For the owner alone; may be dropped
    /// without loss.
    pub async fn take(&self) -> Batch {
        loop {
            let batch = self.inner.lock().take();
            if let Some(batch) = batch {
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until the socket is to be closed: for the owner, while it writes. May be dropped.
    pub async fn closing(&self) -> CloseCode {
        loop {
            if let Some(code) = self.inner.lock().waiting.close {
                return code;
            }
            self.closing.notified().await;
        }
    }
}

impl Inner {
    fn put(&mut self, frame: Outbound) {
        self.waiting.since.get_or_insert_with(Instant::now);
        self.bytes += frame.len();
        self.waiting.frames.push(frame);
    }

    fn drop_frames(&mut self) {
        self.waiting.frames = Vec::new();
        self.bytes = 0;
    }

    /// Takes all with its memory, so that an idle socket holds none. A close stays.
    fn take(&mut self) -> Option<Batch> {
        if self.waiting.is_empty() {
            return None;
        }
        self.bytes = 0;
        let close = self.waiting.close;
        Some(std::mem::replace(&mut self.waiting, Batch { close, ..Batch::default() }))
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
        let batch = mailbox.take().await;
        assert_eq!(batch.close, Some(CloseCode::TooSlow));
        assert!(batch.frames.is_empty());
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

    #[tokio::test]
    async fn a_legacy_socket_is_not_closed_but_reads_the_database() {
        let mailbox = Mailbox::legacy();
        assert!(!mailbox.push_lossy("typing".into()));
        for seq in 1..=258 {
            mailbox.push(event(seq, 10)).unwrap();
        }
        let Batch { frames, pull, close, .. } = mailbox.take().await;
        assert!(pull && close.is_none());
        let after: Vec<_> = frames
            .iter()
            .map(|frame| match frame {
                Outbound::Event(event) => event.seq.get(),
                Outbound::Notice(_) => unreachable!(),
            })
            .collect();
        assert_eq!(after, [258], "what comes after is kept");
        mailbox.push(event(1, QUEUE_BYTES)).unwrap();
        assert!(mailbox.take().await.pull);
    }
}
