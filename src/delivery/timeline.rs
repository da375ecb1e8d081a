//! How one user's events reach that user's sockets on this replica: a state machine without I/O.
//!
//! Its driver feeds it what it hears and carries out the [`Effect`]s. What it guarantees, whatever
//! is heard late, twice, out of order or never: each socket is sent events with strictly consecutive
//! numbers, and no socket that lags behind [`Timeline::head`] is left alone.
//!
//! A socket is either *live*, fed from hints, or *behind*: then its own task reads the missing
//! stretch from the database, at the socket's pace, and asks [`Timeline::go_live`] to be fed again.
//! A classic socket is shown a snapshot instead of events, so all it needs is a mark.

use std::collections::BTreeMap;

use crate::domain::{ConnectionId, Seq};

/// How many hints that came too early are kept while the one before them is awaited.
pub const MAX_WAITING: usize = 64;

/// What the driver is to do for one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<E> {
    /// Queue this event: it has the number after the last one.
    Send(E),
    /// Have the socket's task read what it misses; it is behind now.
    Pull,
    /// Have the socket's task show a new snapshot.
    Dirty,
    /// Have the socket's task tell its client to load anew; it is behind now.
    Reset,
}

/// Names one gap. The driver gives it back to [`Timeline::gap_expired`] after a short wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// The number of the last event that was queued.
    Live(Seq),
    /// Where it stands is known to the socket's task.
    Behind,
    /// The newest number that marked the socket; `None` until the first is known.
    Classic(Option<Seq>),
}

/// The state of one user.
#[derive(Clone, Debug)]
pub struct Timeline<E> {
    head: Seq,
    sockets: Vec<(ConnectionId, Cursor)>,
    /// Events after a gap, by number.
    waiting: BTreeMap<Seq, E>,
    /// The gap that is open.
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

    /// Enters a socket, behind. This comes *before* its task first reads the database: an event that
    /// is committed after that read is then heard of.
    pub fn attach(&mut self, socket: ConnectionId) {
        self.sockets.push((socket, Cursor::Behind));
    }

    /// Enters a classic socket, before its task first reads the database.
    pub fn attach_classic(&mut self, socket: ConnectionId) {
        self.sockets.push((socket, Cursor::Classic(None)));
    }

    /// Tells where a classic socket begins: later numbers mark it, also those that are known already.
    /// Sockets that lag behind what it has read are brought up.
    pub fn begin_classic(
        &mut self,
        socket: ConnectionId,
        last: Seq,
        sink: impl FnMut(ConnectionId, Effect<E>),
    ) {
        if let Some(Cursor::Classic(seen)) = self.cursor(socket) {
            *seen = (*seen).max(Some(last));
        }
        // More than it has read may be known by now.
        self.raise(last.max(self.head), sink);
    }

    /// Removes a socket.
    pub fn detach(&mut self, socket: ConnectionId) {
        self.sockets.retain(|(id, _)| *id != socket);
        self.settle();
    }

    /// Feeds a socket from hints from now on, if its task has brought it to the head; `false`: there
    /// is more to read. Sockets that lag behind what it has read are brought up.
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

    /// Hears of an event. Returns a gap that has opened.
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
                Cursor::Classic(seen) => mark(*id, seen, seq, &mut sink),
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

    /// The wait for a gap is over: live sockets that lag read the database.
    pub fn gap_expired(&mut self, gap: Gap, sink: impl FnMut(ConnectionId, Effect<E>)) {
        if self.gap == Some(gap) {
            self.pull_lagging(sink);
        }
    }

    /// Whether a socket lags behind this number, which the database has, and nobody is at it.
    pub fn lags(&self, seq: Seq) -> bool {
        self.sockets.iter().any(|(_, cursor)| match cursor {
            Cursor::Live(last) => *last < seq,
            Cursor::Behind => false,
            Cursor::Classic(seen) => seen.is_some_and(|seen| seen < seq),
        })
    }

    /// Learns from the database that the timeline reaches `seq`: whoever lags is brought up.
    pub fn raise(&mut self, seq: Seq, mut sink: impl FnMut(ConnectionId, Effect<E>)) {
        self.head = self.head.max(seq);
        for (id, cursor) in &mut self.sockets {
            if let Cursor::Classic(seen @ Some(_)) = cursor {
                mark(*id, seen, seq, &mut sink);
            }
        }
        self.pull_lagging(sink);
    }

    /// The history has changed: nothing that was known counts. Every socket loads anew.
    pub fn restart(&mut self, mut sink: impl FnMut(ConnectionId, Effect<E>)) {
        self.head = Seq::ZERO;
        self.waiting.clear();
        self.gap = None;
        for (id, cursor) in &mut self.sockets {
            match cursor {
                Cursor::Classic(seen) => {
                    *seen = None;
                    sink(*id, Effect::Dirty);
                }
                Cursor::Live(_) | Cursor::Behind => {
                    *cursor = Cursor::Behind;
                    sink(*id, Effect::Reset);
                }
            }
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

    /// Forgets hints that nobody live waits for, and the gap once it is closed.
    fn settle(&mut self) {
        let slowest = self.sockets.iter().filter_map(|(_, cursor)| match cursor {
            Cursor::Live(last) if *last < self.head => Some(*last),
            _ => None,
        });
        match slowest.min() {
            Some(last) => self.waiting = self.waiting.split_off(&last.next()),
            None if self.waiting.is_empty() => self.gap = None,
            None => {
                self.waiting.clear();
                self.gap = None;
            }
        }
    }
}

fn mark<E>(
    id: ConnectionId,
    seen: &mut Option<Seq>,
    seq: Seq,
    sink: &mut impl FnMut(ConnectionId, Effect<E>),
) {
    if *seen < Some(seq) {
        *seen = Some(seq);
        sink(id, Effect::Dirty);
    }
}
