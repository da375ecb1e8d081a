//! What all phones of a run have in common, and how far each of them is.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicI64, AtomicU32, AtomicUsize,
            Ordering::{Acquire, Relaxed},
        },
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    clock::{Clock, Moment},
    content::Contents,
    ledger::{Asked, Changes, Group, Key, Seen, Timeline, Words},
    target::Target,
    wire::{ChatFrame, Content, Event, Person, Wire},
};

/// What all phones of a run have in common.
pub struct World {
    pub wire: Arc<dyn Wire>,
    pub http: reqwest::Client,
    pub targets: Vec<Target>,
    /// By phone. Who has several phones is there several times.
    pub people: Vec<Person>,
    pub contents: Contents,
    pub clock: Clock,
    pub timing: Timing,
    /// How many chats from one phone to one person may be unacknowledged.
    pub window: usize,
    /// The number after which phones follow their timelines. `None`: the last one when they are first
    /// ready.
    pub since: Option<i64>,
    /// Tells the runs apart that share a database.
    pub run: u32,
    pub seed: u64,
    /// The groups of the run.
    pub groups: Vec<Group>,
    /// What was asked beside sending, so far.
    pub asked: Mutex<Vec<Asked>>,
    /// The uploads that chats of the run show, and when they were due.
    pub pictures: Mutex<HashMap<Key, (u128, Moment)>>,
    pub marks: Vec<Mark>,
    /// The first thing that no server may do, such as a refused token. It ends the run.
    pub broken: Mutex<Option<String>>,
}

/// How long a phone waits for what. The default is that of `docs/protocol.md`.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a connection, its handshake included, and every write may take.
    pub patience: Duration,
    /// How often a phone says `ping`, the first time drawn from half to the whole of it.
    pub ping_every: Duration,
    /// A server that answers neither a ping nor a send for so long is gone, as far as the phone can tell.
    pub silence: Duration,
    /// A wait between two attempts to connect is drawn from zero to the first of these, then to twice as
    /// much, up to the second.
    pub backoff: [Duration; 2],
    /// A connection that lasted so long makes the next wait short again.
    pub stable: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            ping_every: Duration::from_secs(20),
            silence: Duration::from_secs(10),
            backoff: [Duration::from_secs(1), Duration::from_secs(30)],
            stable: Duration::from_mins(1),
        }
    }
}

impl Timing {
    /// The longest wait before the next attempt, after so many that lasted less than `stable`.
    pub(crate) fn most(&self, attempts: u32) -> Duration {
        let [first, most] = self.backoff;
        most.min(first * 2_u32.pow(attempts.saturating_sub(1).min(8)))
    }
}

impl World {
    /// A chat as the books take it, and when it was due.
    pub(crate) fn seen(&self, chat: &ChatFrame<'_>) -> (Seen, Moment) {
        let key: Option<Key> = chat.key.parse().ok();
        let due = key.and_then(|key| match &chat.content {
            Content::Text(text) => self.contents.read(key, text),
            Content::Picture(picture) => {
                let pictures = self.pictures.lock();
                let (media, due) = *pictures.get(&key)?;
                (media == picture.media).then_some(due)
            }
            Content::Unsaid | Content::Recalled => None,
        });
        let words = match (&chat.content, due) {
            (Content::Recalled, _) => Words::Recalled,
            (_, Some(_)) => Words::Intact,
            (_, None) => Words::Changed,
        };
        let key = key.unwrap_or(Key::UNREADABLE);
        let seen = Seen { key, id: chat.id, sender: chat.sender, target: chat.target, words };
        (seen, due.unwrap_or_default())
    }

    /// An event as the books take it, and when it was due if it is a chat.
    pub(crate) fn event(&self, event: &Event<'_>) -> (Seen, Moment) {
        let seen = match event {
            Event::Chat(chat) => return self.seen(chat),
            Event::Line(line) => Seen::event(Key::LINE, line.id),
            Event::Recalled(chat) => Seen::event(Key::RECALL, *chat),
            Event::Deleted(chat) => Seen::event(Key::DELETION, *chat),
            Event::Other => Seen::NO_CHAT,
        };
        (seen, Moment::default())
    }

    /// What was done beside sending.
    pub fn changes(&self) -> Changes {
        Changes { groups: self.groups.clone(), asked: self.asked.lock().clone() }
    }

    /// Notes something that no server may do. It ends the run.
    pub fn break_off(&self, what: impl FnOnce() -> String) {
        let mut broken = self.broken.lock();
        if broken.is_none() {
            *broken = Some(what());
        }
    }

    /// Whether all have a socket.
    pub fn all_are_ready(&self) -> bool {
        self.marks.iter().all(|mark| mark.is_ready.load(Relaxed))
    }

    /// Whether none has anything to do any more; see [`Mark::is_settled`].
    pub fn all_are_settled(&self) -> bool {
        self.marks.iter().all(Mark::is_settled)
    }

    /// Whether all have been shown what they have in the end, and have read all pictures: the timelines of all
    /// people.
    pub fn has_been_shown(&self, timelines: &[Timeline]) -> bool {
        let of: HashMap<_, _> =
            timelines.iter().map(|timeline| (timeline.user, timeline)).collect();
        self.marks.iter().zip(&self.people).all(|(mark, person)| {
            let Some(timeline) = of.get(&person.id) else { return false };
            let end = match timeline.events.last() {
                Some((Some(seq), _)) => *seq,
                // Of another run's, nothing was shown in this one.
                Some((None, _)) => {
                    let own = timeline.events.iter().filter(|(_, seen)| seen.key.run == self.run);
                    i64::try_from(own.count()).unwrap_or(i64::MAX)
                }
                None => 0,
            };
            mark.cursor.load(Relaxed) >= end && mark.unread.load(Relaxed) == 0
        })
    }
}

/// How far a phone is, for those who wait for all of them.
#[derive(Debug, Default)]
pub struct Mark {
    pub is_ready: AtomicBool,
    /// Where it is ready, or was last: a place in [`World::targets`].
    pub target: AtomicUsize,
    /// The last number that it applied; where there are no numbers, how many chats it was shown and was
    /// acknowledged.
    pub cursor: AtomicI64,
    /// Its cursor when it was ready for the first time.
    pub first_cursor: AtomicI64,
    /// The chat of its own that it was acknowledged last, and somebody else's that it was shown last: ids, 0
    /// before the first.
    pub own_chat: AtomicI64,
    pub shown_chat: AtomicI64,
    /// Pictures that it was shown and has not read.
    pub unread: AtomicU32,
    /// How often it was told to load anew.
    pub resets: AtomicU32,
    /// Chats in its outbox.
    pub unsent: AtomicU32,
    /// Whether it knows that no more is written: all that it was told to write is in its outbox or beyond.
    pub has_written: AtomicBool,
}

impl Mark {
    /// Whether it has nothing to do any more: connected, all written, all acknowledged.
    pub fn is_settled(&self) -> bool {
        // First, so that the count is not older.
        self.has_written.load(Acquire)
            && self.unsent.load(Relaxed) == 0
            && self.is_ready.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Release;

    use super::*;

    #[test]
    fn a_phone_with_nothing_unsent_may_still_be_told_to_write() {
        let mark = Mark { is_ready: true.into(), ..Mark::default() };
        assert!(!mark.is_settled());
        mark.has_written.store(true, Release);
        assert!(mark.is_settled());
        mark.unsent.store(1, Relaxed);
        assert!(!mark.is_settled());
    }

    #[test]
    fn waits_grow_from_the_first_to_the_longest() {
        let most = |attempts| Timing::default().most(attempts).as_secs();
        // None before: the last connection was stable.
        assert_eq!([0, 1, 2, 3, 5, 6, 7, u32::MAX].map(most), [1, 1, 2, 4, 16, 30, 30, 30]);
    }
}
