//! A server without faults, the phones at it, and the recording of what they saw.

use crate::ledger::{Book, Key, Seen, Timeline, Verdict, Words, judge};

pub(super) const RUN: u32 = 7;

/// What becomes of a chat on its way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Well,
    /// The answer comes at the end, or with the next repeat.
    AnswerLate,
    /// The socket breaks, and it is sent again.
    AnswerLost,
    /// The socket breaks before the chat was there.
    SendLost,
    /// A chat of another run comes in instead.
    Other,
}

/// Which one phone writes to which user, by their places modulo how many there are, and what becomes of it.
pub(super) type Step = (usize, usize, Fate);

/// What happens at a phone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Write { target: i64 },
    Send { number: u32, connection: u32 },
    Answer { seq: Option<i64>, seen: Seen },
    Show { seq: Option<i64>, seen: Seen },
}

/// A load as it was seen.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) has_numbers: bool,
    /// By phone: the user.
    pub(super) phones: Vec<i64>,
    /// By user: the number after which the timeline begins.
    pub(super) cursors: Vec<i64>,
    pub(super) acts: Vec<(usize, Act)>,
    pub(super) timelines: Vec<Timeline>,
}

/// A server without faults, and the phones at it.
pub(super) struct World {
    recording: Recording,
    connections: Vec<u32>,
    written: Vec<u32>,
    /// By phone: what it was not acknowledged yet.
    open: Vec<Vec<(Option<i64>, Seen)>>,
    committed: i64,
}

impl World {
    pub(super) fn new(has_numbers: bool, phones: Vec<i64>, cursors: Vec<i64>) -> Self {
        let count = phones.len();
        let timelines =
            (0..).zip(&cursors).map(|(user, _)| Timeline { user, ..Timeline::default() });
        let timelines = timelines.collect();
        Self {
            recording: Recording { has_numbers, phones, cursors, acts: vec![], timelines },
            connections: vec![1; count],
            written: vec![0; count],
            open: vec![vec![]; count],
            committed: 0,
        }
    }

    fn act(&mut self, phone: usize, act: Act) {
        self.recording.acts.push((phone, act));
    }

    pub(super) fn step(&mut self, (phone, target, fate): Step) {
        let phone = phone % self.recording.phones.len();
        let target = i64::try_from(target % self.recording.cursors.len()).unwrap();
        let sender = self.recording.phones[phone];
        let writer = u32::try_from(phone).unwrap();
        let mut seen = Seen {
            key: Key { run: RUN, writer, number: self.written[phone] },
            id: 0,
            sender,
            target,
            words: Words::Intact,
        };
        if matches!(fate, Fate::Other) {
            seen.key.run = RUN + 1;
            self.commit(&mut seen);
            return;
        }
        self.written[phone] += 1;
        self.act(phone, Act::Write { target });
        self.send(phone, &seen);
        if matches!(fate, Fate::SendLost) {
            self.reconnect(phone);
            self.send(phone, &seen);
        }
        let answer = (self.commit(&mut seen), seen);
        match fate {
            Fate::AnswerLate => self.open[phone].push(answer),
            Fate::AnswerLost => {
                self.open[phone].push(answer);
                self.reconnect(phone);
            }
            _ => self.answer(phone, answer),
        }
    }

    fn send(&mut self, phone: usize, seen: &Seen) {
        let connection = self.connections[phone];
        self.act(phone, Act::Send { number: seen.key.number, connection });
    }

    fn answer(&mut self, phone: usize, (seq, seen): (Option<i64>, Seen)) {
        self.act(phone, Act::Answer { seq, seen });
    }

    /// All that is open is sent again and answered.
    fn reconnect(&mut self, phone: usize) {
        self.connections[phone] += 1;
        let open = std::mem::take(&mut self.open[phone]);
        for (_, seen) in &open {
            self.send(phone, seen);
        }
        for answer in open {
            self.answer(phone, answer);
        }
    }

    /// Stores a chat and shows it to the phones; its number for the sender.
    fn commit(&mut self, seen: &mut Seen) -> Option<i64> {
        self.committed += 10;
        seen.id = self.committed;
        let mut users = vec![seen.target, seen.sender];
        users.dedup();
        let mut seq = None;
        for user in users {
            let at = usize::try_from(user).unwrap();
            let events = &mut self.recording.timelines[at].events;
            let next = self.recording.cursors[at] + i64::try_from(events.len()).unwrap() + 1;
            seq = self.recording.has_numbers.then_some(next);
            events.push((seq, *seen));
            if !self.recording.has_numbers && user == seen.sender {
                continue;
            }
            for phone in 0..self.recording.phones.len() {
                if self.recording.phones[phone] == user {
                    self.act(phone, Act::Show { seq, seen: *seen });
                }
            }
        }
        seq
    }

    pub(super) fn end(mut self) -> Recording {
        for phone in 0..self.recording.phones.len() {
            for answer in std::mem::take(&mut self.open[phone]) {
                self.answer(phone, answer);
            }
        }
        self.recording
    }
}

impl Recording {
    pub(super) fn judge(&self) -> Verdict {
        let writers = (0..).zip(&self.phones);
        let mut books: Vec<_> = writers
            .map(|(writer, user)| {
                Book::new(*user, RUN, writer, self.cursors[usize::try_from(*user).unwrap()])
            })
            .collect();
        for (phone, act) in &self.acts {
            let (book, writer) = (&mut books[*phone], u32::try_from(*phone).unwrap());
            match *act {
                Act::Write { target } => {
                    book.write(target);
                }
                Act::Send { number, connection } => {
                    book.send(Key { run: RUN, writer, number }, connection);
                }
                Act::Answer { seq, seen } => book.acknowledge(seq, &seen),
                Act::Show { seq, seen } => book.show(seq, &seen),
            }
        }
        judge(&books, &self.timelines)
    }

    /// The acts that show what is of this run.
    pub(super) fn showings(&self) -> Vec<usize> {
        let acts = self.acts.iter().enumerate();
        let is_own = |act: &Act| matches!(act, Act::Show { seen, .. } if seen.key.run == RUN);
        acts.filter(|(_, (_, act))| is_own(act)).map(|(at, _)| at).collect()
    }

    pub(super) fn answers(&self) -> Vec<usize> {
        let acts = self.acts.iter().enumerate();
        acts.filter(|(_, (_, act))| matches!(act, Act::Answer { .. })).map(|(at, _)| at).collect()
    }

    pub(super) fn stored(&self) -> Vec<(usize, usize)> {
        let timelines = self.timelines.iter().enumerate();
        let events = timelines.flat_map(|(user, timeline)| {
            let events = timeline.events.iter().enumerate();
            events.filter(|(_, (_, seen))| seen.key.run == RUN).map(move |(at, _)| (user, at))
        });
        events.collect()
    }

    pub(super) fn seen(&self, act: usize) -> (usize, Option<i64>, Seen) {
        match self.acts[act] {
            (phone, Act::Show { seq, seen } | Act::Answer { seq, seen }) => (phone, seq, seen),
            other => panic!("{other:?}"),
        }
    }

    /// The number after the last of this user's.
    pub(super) fn next(&self, user: i64) -> Option<i64> {
        let at = usize::try_from(user).unwrap();
        let next = self.cursors[at] + i64::try_from(self.timelines[at].events.len()).unwrap() + 1;
        self.has_numbers.then_some(next)
    }
}
