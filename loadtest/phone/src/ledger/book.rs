//! What one phone sent, was acknowledged and was shown.
//!
//! A book costs 32 bytes for each chat that is written and 24 for each showing: a chat between two
//! phones, of which each is shown it, costs 80 bytes in all. Vectors have up to twice that reserved.

use std::{fmt, str::FromStr};

use super::verdict::{Class, Verdict};

/// Which chat: who wrote it, and which of theirs it is, from 0. It is the `clientMsgId`, so it must be
/// new to the database: `run` tells the runs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Tells the runs apart that share a database.
    pub run: u32,
    /// The phone; less than [`u32::MAX`].
    pub writer: u32,
    pub number: u32,
}

impl Key {
    /// Stands for a text that is no key, where something has to be entered: no load sent it.
    pub const UNREADABLE: Self = Self { run: u32::MAX, writer: u32::MAX, number: u32::MAX };
    /// Stands for an event that is no chat. It has its number, as what another run sent.
    pub const NO_CHAT: Self = Self { run: u32::MAX, writer: u32::MAX, number: 0 };
    /// Stands for the event that the words of a chat are gone.
    pub const RECALL: Self = Self { number: 2, ..Self::NO_CHAT };
    /// Stands for a chat that the user deleted, and for the event that it is gone.
    pub const DELETION: Self = Self { number: 4, ..Self::NO_CHAT };
    /// Stands for a line of the service in a group.
    pub const LINE: Self = Self { number: 6, ..Self::NO_CHAT };

    /// What stands for something that no phone wrote.
    const SPECIAL: [(Self, &'static str); 5] = [
        (Self::UNREADABLE, "a chat without a key"),
        (Self::NO_CHAT, "an event that is no chat"),
        (Self::RECALL, "a recall"),
        (Self::DELETION, "a chat that was deleted"),
        (Self::LINE, "a line of the service"),
    ];
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::SPECIAL.iter().find(|(key, _)| key == self) {
            Some((_, words)) => f.write_str(words),
            None => write!(f, "{:x}-{}-{}", self.run, self.writer, self.number),
        }
    }
}

/// A text that is no key.
#[derive(Debug, thiserror::Error)]
#[error("not a key of a load")]
pub struct NoKey;

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.splitn(3, '-');
        let run = parts.next().and_then(|part| u32::from_str_radix(part, 16).ok());
        let mut number = || parts.next()?.parse().ok();
        match (run, number(), number()) {
            (Some(run), Some(writer), Some(number)) => Ok(Self { run, writer, number }),
            _ => Err(NoKey),
        }
    }
}

/// A chat as a phone was shown it, or as it was read back.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub key: Key,
    pub id: i64,
    pub sender: i64,
    /// As [`address`](crate::address) has it.
    pub target: i64,
    pub words: Words,
}

/// What a chat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// What does not belong to the key.
    Changed,
    /// What belongs to the key.
    Intact,
    /// Nothing any more.
    Recalled,
}

impl Seen {
    /// An event that is no chat.
    pub const NO_CHAT: Self = Self::event(Key::NO_CHAT, 0);

    /// What one of the special keys stands for, of the chat or line with this id.
    pub const fn event(key: Key, id: i64) -> Self {
        Self { key, id, sender: 0, target: 0, words: Words::Intact }
    }
}

/// The number of an event, counted from where the book begins. Farther ones than two thousand million
/// count as the farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset(i32);

impl Offset {
    const NONE: Self = Self(i32::MIN);

    fn new(seq: Option<i64>, base: i64) -> Self {
        let Some(seq) = seq else { return Self::NONE };
        let limits = i64::from(i32::MIN + 1)..=i64::from(i32::MAX);
        let offset = seq.saturating_sub(base).clamp(*limits.start(), *limits.end());
        Self(i32::try_from(offset).expect("it is clamped"))
    }

    fn seq(self, base: i64) -> Option<i64> {
        (self != Self::NONE).then(|| base + i64::from(self.0))
    }
}

/// A sender, a target, and what became of the words, in 32 bits: one mix-up in a thousand million is not
/// noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    pub(super) fn new(sender: i64, target: i64, words: Words) -> Self {
        let mix = |user: i64, factor| user.cast_unsigned().wrapping_add(1).wrapping_mul(factor);
        let mixed = mix(sender, 0x9e37_79b9_7f4a_7c15) ^ mix(target, 0xc2b2_ae3d_27d4_eb4f) >> 1;
        let high = u32::try_from(mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 32);
        Self(high.expect("32 bits are left") & !3 | words as u32)
    }

    /// What became of the words of a chat of this sender to this target; `None` if it is another's.
    pub(super) fn words(self, sender: i64, target: i64) -> Option<Words> {
        let all = [Words::Changed, Words::Intact, Words::Recalled];
        all.into_iter().find(|words| Self::new(sender, target, *words) == self)
    }
}

/// A chat that the phone was given to send. Moments are counted in sends and acknowledgements of the
/// phone; 0 is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) target: i64,
    /// As it was acknowledged.
    id: i64,
    seq: Offset,
    /// When it was sent for the first time.
    pub(super) first: u32,
    /// When it was first acknowledged.
    pub(super) acknowledged: u32,
    connection: u32,
}

/// The connection of a chat that was sent more than once.
const SEVERAL: u32 = u32::MAX;
/// The acknowledgement of a chat that was refused for good.
const REFUSED: u32 = u32::MAX;

impl Sent {
    /// Whether the sender was told that it will not be committed.
    pub(super) fn is_refused(&self) -> bool {
        self.acknowledged == REFUSED
    }

    /// The connection, if it was sent exactly once.
    pub(super) fn only_connection(&self) -> Option<u32> {
        (self.first > 0 && self.connection != SEVERAL).then_some(self.connection)
    }
}

/// A showing. What is of another run has no writer, and a digest of its key instead of the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) id: i64,
    seq: Offset,
    pub(super) writer: u32,
    pub(super) number: u32,
    pub(super) mark: Mark,
}

/// The writer of what is of another run.
pub(super) const OTHERS: u32 = u32::MAX;

/// Of a key: the writer and the number, as [`Shown`] has them.
pub(super) fn short(key: Key, run: u32) -> (u32, u32) {
    if key.run == run && key.writer != OTHERS {
        return (key.writer, key.number);
    }
    if key == Key::UNREADABLE {
        return (OTHERS, u32::MAX);
    }
    let mixed = key.run.rotate_left(16) ^ key.writer.wrapping_mul(0x9e37_79b1) ^ key.number;
    (OTHERS, mixed & !1)
}

/// Where a phone began, or began anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// The first of the showings that counts.
    pub(super) first: usize,
    /// How many of these were loaded, and not shown one by one.
    pub(super) loaded: usize,
    /// The number after which events go on.
    pub(super) cursor: i64,
}

/// What one phone sent, was acknowledged and was shown.
#[derive(Debug)]
pub struct Book {
    pub(super) user: i64,
    pub(super) run: u32,
    pub(super) writer: u32,
    pub(super) cursor: i64,
    /// Counts sends and acknowledgements.
    moment: u32,
    pub(super) sent: Vec<Sent>,
    pub(super) shown: Vec<Shown>,
    /// One, and one for each reload.
    pub(super) beginnings: Vec<Beginning>,
    /// What was wrong with acknowledgements.
    pub(super) at_once: Verdict,
}

impl Book {
    /// A phone of this user. Numbers of events begin after `cursor`. All books of a load have the same
    /// `run`, and each its own `writer`.
    pub fn new(user: i64, run: u32, writer: u32, cursor: i64) -> Self {
        Self {
            user,
            run,
            writer,
            cursor,
            moment: 0,
            sent: Vec::new(),
            shown: Vec::new(),
            beginnings: vec![Beginning { first: 0, loaded: 0, cursor }],
            at_once: Verdict::default(),
        }
    }

    /// The phone hears for the first time where its numbers begin: after `cursor`. It has been shown and
    /// acknowledged nothing yet.
    pub fn begin(&mut self, cursor: i64) {
        self.cursor = cursor;
        self.beginnings = vec![Beginning { first: 0, loaded: 0, cursor }];
    }

    /// The phone has a chat to send, and will send it until it is acknowledged.
    pub fn write(&mut self, target: i64) -> Key {
        let number = u32::try_from(self.sent.len()).expect("fewer chats than that");
        self.sent.push(Sent {
            target,
            id: 0,
            seq: Offset::NONE,
            first: 0,
            acknowledged: 0,
            connection: SEVERAL,
        });
        Key { run: self.run, writer: self.writer, number }
    }

    /// It sends a chat, for the first time or again. `connection` is new for each socket: what was sent
    /// once each on one socket is stored in the order of sending.
    ///
    /// # Panics
    ///
    /// For a key that this book did not give.
    pub fn send(&mut self, key: Key, connection: u32) {
        self.moment += 1;
        let moment = self.moment;
        let sent = self.own(key).expect("it was written");
        if sent.first == 0 {
            (sent.first, sent.connection) = (moment, connection);
        } else {
            sent.connection = SEVERAL;
        }
    }

    /// It heard that a chat is committed. `seq` is the number in the sender's timeline, where there are
    /// such numbers.
    pub fn acknowledge(&mut self, seq: Option<i64>, seen: &Seen) {
        self.moment += 1;
        let (moment, user, base) = (self.moment, self.user, self.cursor);
        let Some(sent) = self.own(seen.key) else {
            return self.at_once.add(Class::Foreign, || {
                format!("{user} did not send what is acknowledged: {seen:?}")
            });
        };
        let target = sent.target;
        if sent.acknowledged == 0 || sent.is_refused() {
            (sent.acknowledged, sent.seq, sent.id) = (moment, Offset::new(seq, base), seen.id);
        }
        let (before, is_same) = ((sent.seq.seq(base), sent.id), sent.seq == Offset::new(seq, base));
        if !(is_same && before.1 == seen.id) {
            self.at_once.add(Class::Doubled, || {
                let again = (seq, seen.id);
                format!("{} is acknowledged as {before:?} and as {again:?}", seen.key)
            });
        }
        if (seen.sender, seen.target) != (user, target) || seen.words == Words::Changed {
            self.at_once.add(Class::Foreign, || format!("acknowledged to {user}: {seen:?}"));
        }
    }

    /// It heard that a chat to a group is refused for good: its user is no member.
    ///
    /// # Panics
    ///
    /// For a key that this book did not give.
    pub fn refuse(&mut self, key: Key) {
        let sent = self.own(key).expect("it was written");
        if sent.acknowledged == 0 {
            sent.acknowledged = REFUSED;
        }
    }

    /// It was shown an event, as an `event` or as the `sent` that moves the cursor. A `sent` at or below
    /// the cursor is the answer to a repeat and shows nothing.
    pub fn show(&mut self, seq: Option<i64>, seen: &Seen) {
        let (writer, number) = short(seen.key, self.run);
        self.shown.push(Shown {
            id: seen.id,
            seq: Offset::new(seq, self.cursor),
            writer,
            number,
            mark: Mark::new(seen.sender, seen.target, seen.words),
        });
    }

    /// It was told to load anew, took these events, and goes on from `last`. What it was shown before
    /// counts no more, save for the faults there were in it.
    pub fn reload(&mut self, events: &[(i64, Seen)], last: i64) {
        let first = self.shown.len();
        for (seq, seen) in events.iter().filter(|(seq, _)| *seq <= last) {
            self.show(Some(*seq), seen);
        }
        let loaded = self.shown.len() - first;
        self.beginnings.push(Beginning { first, loaded, cursor: last });
    }

    fn own(&mut self, key: Key) -> Option<&mut Sent> {
        let is_own = key.run == self.run && key.writer == self.writer;
        self.sent.get_mut(usize::try_from(key.number).ok()?).filter(|_| is_own)
    }

    /// The key that a showing is of; a digest of it if it is of another run.
    pub(super) fn key(&self, shown: &Shown) -> Key {
        let short_of = |key: &Key| short(*key, self.run) == (shown.writer, shown.number);
        let special = Key::SPECIAL.into_iter().map(|(key, _)| key).find(short_of);
        special.unwrap_or(Key { run: self.run, writer: shown.writer, number: shown.number })
    }

    /// The number after which the phone is to have been shown everything. A reload may go back before
    /// the beginning: a server that was restored counts on from what it has.
    pub(super) fn floor(&self) -> i64 {
        self.beginnings.last().map_or(self.cursor, |last| last.cursor.min(self.cursor))
    }

    pub(super) fn seq(&self, shown: &Shown) -> Option<i64> {
        shown.seq.seq(self.cursor)
    }

    /// The number and the id with which a chat of this phone was first acknowledged.
    pub(super) fn answer(&self, sent: &Sent) -> Option<(Option<i64>, i64)> {
        let is_acknowledged = sent.acknowledged > 0 && !sent.is_refused();
        is_acknowledged.then(|| (sent.seq.seq(self.cursor), sent.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_of_two_costs_80_bytes() {
        assert_eq!(size_of::<Sent>() + 2 * size_of::<Shown>(), 80);
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = Key { run: 0xbeef, writer: 7, number: 3 };
        assert_eq!(key.to_string(), "beef-7-3");
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        for text in ["", "beef-7", "beef-7-x", "a chat", "beef-7-3-4"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
