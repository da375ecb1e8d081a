//! How one user's events reach that user's sockets on this replica: a state machine without I/O.
//!
//! Its driver feeds it what it hears and carries out the [`Effect`]s. What it guarantees, whatever
//! is heard late, twice, out of order or never: each socket is sent events with strictly consecutive
//! numbers, and no socket that lags behind [`Timeline::head`] is left alone.
//!
//! A socket is either *live*, fed from hints, or *behind*: then its own task reads the missing
//! stretch from the database, at the socket's pace, and asks [`Timeline::go_live`] to be fed again.

use std::collections::BTreeMap;

use crate::domain::{ConnectionId, Seq};

/// The most hints that are kept while an earlier one is missing.
pub const MAX_WAITING: usize = 64;

/// What the driver is to do for one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<E> {
    /// Queue this event: it has the number after the last one.
    Send(E),
    /// The socket is behind now: its task reads the database.
    Pull,
    /// The socket is behind now: its task tells its client to load anew.
    Reset,
}

/// Names one gap. The driver gives it back to [`Timeline::gap_expired`] after a short wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// The number of the last event that was queued.
    Live(Seq),
    /// The socket's task reads the database and knows its number.
    Behind,
}

/// One user's timeline, as the sockets of this replica know it.
#[derive(Clone, Debug)]
pub struct Timeline<E> {
    head: Seq,
    sockets: Vec<(ConnectionId, Cursor)>,
    /// Events after a gap, by number.
    waiting: BTreeMap<Seq, E>,
    /// The open gap.
    gap: Option<Gap>,
    gaps: u64,
}

impl<E> Default for Timeline<E> {
    fn default() -> Self {
        Self { head: Seq::ZERO, sockets: Vec::new(), waiting: BTreeMap::new(), gap: None, gaps: 0 }
    }
}

impl<E: Clone> Timeline<E> {
    /// The highest number that is known to exist.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Adds a socket, behind. This comes *before* its task first reads the database, so that an event
    /// committed after that read is a hint.
    pub fn attach(&mut self, socket: ConnectionId) {
        self.sockets.push((socket, Cursor::Behind));
    }

    /// Removes a socket.
    pub fn detach(&mut self, socket: ConnectionId) {
        self.sockets.retain(|(id, _)| *id != socket);
        self.settle();
    }

    /// Makes a socket live, if it has everything up to the head; `false`: there is more to read. Other
    /// sockets that lack what it has read are pulled.
    pub fn go_live(
        &mut self,
        socket: ConnectionId,
        last: Seq,
        sink: impl FnMut(ConnectionId, Effect<E>),
    ) -> bool {
        if last < self.head {
            // A socket that is gone has nothing to read.
            return self.cursor(socket).is_none();
        }
        if let Some(cursor) = self.cursor(socket) {
            *cursor = Cursor::Live(last);
        }
        if last > self.head {
            self.raise(last, sink);
        }
        true
    }

    /// Takes a hint. Returns a gap that has opened.
    pub fn hint(
        &mut self,
        seq: Seq,
        event: &E,
        mut sink: impl FnMut(ConnectionId, Effect<E>),
    ) -> Option<Gap> {
        self.head = self.head.max(seq);
        let mut early = false;
        for (id, cursor) in &mut self.sockets {
            match cursor {
                Cursor::Live(last) if seq == last.next() => {
                    *last = seq;
                    sink(*id, Effect::Send(event.clone()));
                    while let Some(event) = self.waiting.get(&last.next()) {
                        *last = last.next();
                        sink(*id, Effect::Send(event.clone()));
                    }
                }
                Cursor::Live(last) => early |= seq > *last,
                Cursor::Behind => {}
            }
        }
        // When it is full the gap stands all the same, and the database closes it.
        if early && self.waiting.len() < MAX_WAITING {
            self.waiting.insert(seq, event.clone());
        }
        self.settle();
        (early && self.gap.is_none()).then(|| {
            self.gaps += 1;
            *self.gap.insert(Gap(self.gaps))
        })
    }

    /// Pulls the live sockets that still lag after the wait for a gap.
    pub fn gap_expired(&mut self, gap: Gap, sink: impl FnMut(ConnectionId, Effect<E>)) {
        if self.gap == Some(gap) {
            self.pull_lagging(sink);
        }
    }

    /// Whether a live socket lacks this number, which the database has.
    pub fn lags(&self, seq: Seq) -> bool {
        self.sockets.iter().any(|(_, cursor)| matches!(cursor, Cursor::Live(last) if *last < seq))
    }

    /// Notes that the timeline reaches `seq` in the database, and pulls the live sockets that lag.
    pub fn raise(&mut self, seq: Seq, sink: impl FnMut(ConnectionId, Effect<E>)) {
        self.head = self.head.max(seq);
        self.pull_lagging(sink);
    }

    /// Forgets everything, since the history has changed. Every socket is reset.
    pub fn restart(&mut self, mut sink: impl FnMut(ConnectionId, Effect<E>)) {
        self.head = Seq::ZERO;
        self.waiting.clear();
        self.gap = None;
        for (id, cursor) in &mut self.sockets {
            *cursor = Cursor::Behind;
            sink(*id, Effect::Reset);
        }
    }

    fn cursor(&mut self, socket: ConnectionId) -> Option<&mut Cursor> {
        self.sockets.iter_mut().find(|(id, _)| *id == socket).map(|(_, cursor)| cursor)
    }

    fn pull_lagging(&mut self, mut sink: impl FnMut(ConnectionId, Effect<E>)) {
        let head = self.head;
        for (id, cursor) in &mut self.sockets {
            if matches!(cursor, Cursor::Live(last) if *last < head) {
                *cursor = Cursor::Behind;
                sink(*id, Effect::Pull);
            }
        }
        self.settle();
    }

    /// Drops hints that no live socket waits for, and the gap once it is closed.
    fn settle(&mut self) {
        let slowest = self.sockets.iter().filter_map(|(_, cursor)| match cursor {
            Cursor::Live(last) if *last < self.head => Some(*last),
            _ => None,
        });
        if let Some(last) = slowest.min() {
            self.waiting = self.waiting.split_off(&last.next());
        } else {
            self.waiting.clear();
            self.gap = None;
        }
    }
}
