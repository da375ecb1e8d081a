//! What was read back: whether it is sound in itself, and where what is.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    book::{Key, Mark, Seen, Words},
    load::{Belonging, Load, Origin},
    order::Order,
    timeline::Timeline,
    verdict::{Class, Verdict},
};
use crate::address;

/// Where the timelines have what.
pub(super) struct Stored<'a> {
    timelines: HashMap<i64, &'a Timeline>,
    /// By book and number: the place in the sender's timeline and in the target's, from 1. 0 is
    /// nowhere.
    places: Vec<Vec<[u32; 2]>>,
    /// By group and user: the ids of the chats and lines that the user has.
    pub(super) of_groups: HashMap<(i64, i64), HashSet<i64>>,
    /// By chat: who was told that it is recalled, and after which id of its group.
    pub(super) recalls: BTreeMap<i64, Vec<(i64, i64)>>,
    /// By user and chat: how many events say that it is gone.
    pub(super) deletions: HashMap<(i64, i64), u32>,
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
        of_groups: HashMap::new(),
        recalls: BTreeMap::new(),
        deletions: HashMap::new(),
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
        if let Some(group) = load.members.group_of_line(seen.id).filter(|_| seen.key == Key::LINE) {
            stored.of_groups.entry((group, user)).or_default().insert(seen.id);
            let is_in_order = order.line_holds(group, seen.id);
            if !load.members.has(group, user, seen.id) {
                verdict.add(Class::Foreign, || format!("{}: no member then", text()));
            } else if !(is_risen && is_in_order) {
                verdict.add(Class::Reordered, || format!("{}, which is too late", text()));
            }
            continue;
        }
        let origin = match stored.origin(load, user, seen, &order, verdict) {
            Belonging::Own(origin) => {
                let is_early = usize::try_from(place).is_ok_and(|place| place <= timeline.early);
                let has_words = seen.key != Key::DELETION && seen.words == Words::Intact;
                if has_words && !is_early && load.recalls.get(&seen.id) == Some(&true) {
                    verdict.add(Class::Foreign, || {
                        format!(
                            "{user}'s timeline has the words of {}, which is recalled",
                            seen.key
                        )
                    });
                }
                origin
            }
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
        let (sender, target) = (origin.book.user, origin.sent.target);
        let group = address::group_of(target);
        let places = &mut stored.places[book][number];
        let is_again = match group {
            Some(group) => !stored.of_groups.entry((group, user)).or_default().insert(seen.id),
            None => places[if user == target { TARGET } else { SENDER }] != 0,
        };
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

impl Stored<'_> {
    /// Which chat an event of a user is. Events about changes of chats are noted and are none.
    fn origin<'a>(
        &mut self,
        load: &Load<'a>,
        user: i64,
        seen: &Seen,
        order: &Order,
        verdict: &mut Verdict,
    ) -> Belonging<'a> {
        let id = seen.id;
        match seen.key {
            Key::RECALL => {
                let target = load.changed(id).map(|origin| origin.sent.target);
                let after =
                    target.and_then(address::group_of).map_or(0, |group| order.last_of(group));
                self.recalls.entry(id).or_default().push((user, after));
                Belonging::Other
            }
            Key::DELETION if !load.deletions.contains_key(&(user, id)) => {
                Belonging::Foreign("its user did not delete it")
            }
            Key::DELETION => {
                let count = self.deletions.entry((user, id)).or_default();
                *count += 1;
                // The first one is where the chat was.
                let first = load.changed(id).filter(|_| *count == 1);
                first
                    .filter(|origin| !self.has_chat(user, *origin, id))
                    .map_or(Belonging::Other, Belonging::Own)
            }
            key => {
                let mark = Mark::new(seen.sender, seen.target, seen.words);
                let belonging = load.belonging(user, load.short(key), mark, id);
                if matches!(belonging, Belonging::Own(_))
                    && load.deletions.get(&(user, id)) == Some(&true)
                {
                    verdict.add(Class::Foreign, || format!("{user} has {key}, and deleted it"));
                }
                belonging
            }
        }
    }

    fn has_chat(&self, user: i64, origin: Origin<'_>, id: i64) -> bool {
        let (book, number) = origin.place;
        if let Some(group) = address::group_of(origin.sent.target) {
            self.of_groups.get(&(group, user)).is_some_and(|has| has.contains(&id))
        } else {
            let side = if user == origin.sent.target { TARGET } else { SENDER };
            self.places[book][number][side] != 0
        }
    }
}
