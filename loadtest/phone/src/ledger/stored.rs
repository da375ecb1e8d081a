//! What was read back: whether it is sound in itself, and where what is.

use std::collections::HashMap;

use super::{
    book::{Mark, Seen},
    load::{Belonging, Load, Timeline},
    order::Order,
    verdict::{Class, Verdict},
};

/// Where the timelines have what.
pub(super) struct Stored<'a> {
    timelines: HashMap<i64, &'a Timeline>,
    /// By book and number: the place in the sender's timeline and in the target's, from 1. 0 is
    /// nowhere.
    places: Vec<Vec<[u32; 2]>>,
}

const SENDER: usize = 0;
const TARGET: usize = 1;

impl<'a> Stored<'a> {
    pub(super) fn has(&self, user: i64) -> bool {
        self.timelines.contains_key(&user)
    }

    /// What a user has.
    pub(super) fn events(&self, user: i64) -> &'a [(Option<i64>, Seen)] {
        self.timelines.get(&user).map_or(&[], |timeline| &timeline.events)
    }

    /// The number and the id of a chat in the sender's timeline.
    pub(super) fn at_sender(
        &self,
        load: &Load<'_>,
        (book, number): (usize, usize),
    ) -> Option<(Option<i64>, i64)> {
        self.at(load.books[book].user, self.places[book][number][SENDER])
    }

    /// The number and the id of a chat in the target's timeline.
    pub(super) fn at_target(
        &self,
        load: &Load<'_>,
        (book, number): (usize, usize),
    ) -> Option<(Option<i64>, i64)> {
        self.at(load.books[book].sent[number].target, self.places[book][number][TARGET])
    }

    fn at(&self, user: i64, place: u32) -> Option<(Option<i64>, i64)> {
        let place = usize::try_from(place).ok()?.checked_sub(1)?;
        self.events(user).get(place).map(|(seq, seen)| (*seq, seen.id))
    }
}

/// Checks each timeline as such, and notes where it has what.
pub(super) fn read<'a>(
    load: &Load<'_>,
    timelines: &'a [Timeline],
    verdict: &mut Verdict,
) -> Stored<'a> {
    let mut cursors = HashMap::new();
    for book in load.books {
        let cursor = cursors.entry(book.user).or_insert(i64::MAX);
        *cursor = book.floor().min(*cursor);
    }
    let mut stored = Stored {
        timelines: timelines.iter().map(|timeline| (timeline.user, timeline)).collect(),
        places: load.books.iter().map(|book| vec![[0; 2]; book.sent.len()]).collect(),
    };
    for timeline in timelines {
        read_one(load, timeline, cursors.get(&timeline.user).copied(), &mut stored, verdict);
    }
    stored
}

/// `cursor`: where the first book of the user began; unknown for users without any.
fn read_one(
    load: &Load<'_>,
    timeline: &Timeline,
    cursor: Option<i64>,
    stored: &mut Stored<'_>,
    verdict: &mut Verdict,
) {
    let user = timeline.user;
    let (mut last, mut order) = (i64::MIN, Order::default());
    for (place, (seq, seen)) in (1..).zip(&timeline.events) {
        let is_risen = seq.is_none_or(|seq| seq > last);
        if let Some(seq) = *seq {
            let before = cursor.map_or(last, |cursor| last.max(cursor));
            if before != i64::MIN && seq > before.saturating_add(1) {
                verdict.add(Class::Gap, || format!("{user}'s timeline has {seq} after {before}"));
            }
            last = last.max(seq);
        }
        let text = || match seq {
            Some(seq) => format!("{user}'s timeline has {} as {seq}, id {}", seen.key, seen.id),
            None => format!("{user}'s timeline has {}, id {}", seen.key, seen.id),
        };
        let mark = Mark::new(seen.sender, seen.target, seen.is_intact);
        let origin = match load.belonging(user, load.short(seen.key), mark) {
            Belonging::Own(origin) => origin,
            Belonging::Other => {
                if !is_risen {
                    verdict.add(Class::Reordered, text);
                }
                continue;
            }
            Belonging::Foreign(problem) => {
                verdict.add(Class::Foreign, || format!("{}: {problem}", text()));
                continue;
            }
        };
        let (book, number) = origin.place;
        let places = &mut stored.places[book][number];
        let (sender, target) = (origin.book.user, origin.sent.target);
        let is_again = places[if user == target { TARGET } else { SENDER }] != 0;
        if is_again {
            verdict.add(Class::Doubled, || format!("{}, and before that", text()));
            continue;
        }
        if user == sender {
            places[SENDER] = place;
        }
        if user == target {
            places[TARGET] = place;
        }
        // It is looked at in any case, so that one fall is told once.
        let is_in_order = order.holds(origin.book.writer, sender, origin.sent, seen.id);
        if !(is_risen && is_in_order) {
            verdict.add(Class::Reordered, || format!("{}, which is too late", text()));
        }
    }
}
