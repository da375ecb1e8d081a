//! What phones were shown, compared with what is stored.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{
    book::{Beginning, Book, Key, Shown, Words},
    load::{Belonging, Load},
    order::Order,
    stored::Stored,
    verdict::{Class, Verdict},
};

/// A phone was shown what the timeline has, each number once and one after the other, and nothing else.
pub(super) fn compare_numbered(
    load: &Load<'_>,
    book: &Book,
    stored: &Stored<'_>,
    verdict: &mut Verdict,
) {
    let ends = book.beginnings.iter().skip(1).map(|next| next.first).chain([book.shown.len()]);
    let mut seen = HashMap::new();
    let mut gone = Gone::default();
    for (beginning, end) in book.beginnings.iter().zip(ends) {
        seen = walk(load, book, beginning, &book.shown[beginning.first..end], &mut gone, verdict);
    }
    let user = book.user;
    let keys: HashSet<_> = seen.values().map(|shown| (shown.writer, shown.number)).collect();
    let mut stored_as = HashMap::new();
    let mut numbers = HashMap::new();
    for (seq, event) in stored.events(user) {
        let Some(seq) = *seq else {
            verdict.add(Class::Unstored, || format!("{} has no number for {user}", event.key));
            continue;
        };
        let key = load.short(event.key);
        stored_as.insert(seq, (key, event));
        numbers.insert(key, seq);
        if seq <= book.floor() {
            continue;
        }
        match seen.get(&seq) {
            // Shown as it was, or as what became of it, and then deleted.
            Some(shown) if event.key == Key::DELETION && shown.id == event.id => {}
            Some(shown) if (shown.writer, shown.number) == key && shown.id != event.id => {
                verdict.add(Class::Unstored, || {
                    let (key, id) = (event.key, event.id);
                    format!("{user} was shown {key} with id {}, stored with {id}", shown.id)
                });
            }
            Some(_) if keys.contains(&key) => {}
            _ => verdict.add(Class::Lost, || format!("{user} was not shown {seq}, {}", event.key)),
        }
    }
    for (seq, shown) in &seen {
        // What is foreign has been told.
        if matches!(load.belonging_shown(user, shown), Belonging::Foreign(_)) {
            continue;
        }
        let key = (shown.writer, shown.number);
        match stored_as.get(seq) {
            None => verdict.add(Class::Unstored, || {
                format!("{user} was shown {} as {seq}, which is not there", book.key(shown))
            }),
            Some((_, event)) if event.key == Key::DELETION && shown.id == event.id => {}
            Some((stored, event)) if *stored != key => {
                let own = numbers.get(&key).and_then(|own| seen.get(own));
                let is_again = own.is_some_and(|own| (own.writer, own.number) == key);
                let class = if is_again { Class::Doubled } else { Class::Reordered };
                verdict.add(class, || {
                    let (shown, stored) = (book.key(shown), event.key);
                    format!("{user} was shown {shown} as {seq}, which is {stored}")
                });
            }
            Some(_) => {}
        }
    }
}

/// The chats of which a phone has heard that they are gone.
#[derive(Default)]
struct Gone {
    recalled: HashSet<i64>,
    deleted: HashSet<i64>,
}

impl Gone {
    /// Goes on to what is shown next. What is wrong with it, if it is a chat that is gone.
    fn problem(&mut self, load: &Load<'_>, shown: &Shown) -> Option<&'static str> {
        if load.is(shown, Key::RECALL) {
            self.recalled.insert(shown.id);
        } else if load.is(shown, Key::DELETION) {
            self.deleted.insert(shown.id);
        } else if self.deleted.contains(&shown.id) {
            return Some("it was deleted");
        } else if self.recalled.contains(&shown.id)
            && let Some(origin) = load.origin(shown.writer, shown.number)
            && shown.mark.words(origin.book.user, origin.sent.target) == Some(Words::Intact)
        {
            return Some("its words were recalled");
        }
        None
    }
}

/// One stretch of showings; what each number was.
fn walk<'a>(
    load: &Load<'_>,
    book: &Book,
    beginning: &Beginning,
    showings: &'a [Shown],
    gone: &mut Gone,
    verdict: &mut Verdict,
) -> HashMap<i64, &'a Shown> {
    let (user, mut cursor) = (book.user, beginning.cursor);
    let mut seen = HashMap::with_capacity(showings.len());
    for (at, shown) in showings.iter().enumerate() {
        let key = || book.key(shown);
        let is_loaded = at < beginning.loaded;
        let problem = match load.belonging_shown(user, shown) {
            Belonging::Foreign(problem) => Some(problem),
            Belonging::Own(_) | Belonging::Other => gone.problem(load, shown),
        };
        if let Some(problem) = problem {
            verdict.add(Class::Foreign, || {
                format!("{user} was shown {}, id {}: {problem}", key(), shown.id)
            });
        }
        let Some(seq) = book.seq(shown) else {
            verdict.add(Class::Unstored, || format!("{user} was shown {} without number", key()));
            continue;
        };
        if seq > cursor + 1 {
            verdict.add(Class::Gap, || format!("{user} was shown {seq} after {cursor}"));
        }
        let before = cursor;
        cursor = cursor.max(seq);
        match seen.entry(seq) {
            Entry::Occupied(_) => {
                verdict.add(Class::Doubled, || format!("{user} was shown {seq} again, {}", key()));
            }
            Entry::Vacant(entry) => {
                entry.insert(shown);
                if seq > before || is_loaded {
                    continue;
                }
                // Of what is older than the beginning, the phone had told that it has it.
                let class = if seq <= beginning.cursor { Class::Doubled } else { Class::Reordered };
                verdict.add(class, || format!("{user} was shown {seq} after {before}, {}", key()));
            }
        }
    }
    // What was shown from before the beginning has been told, and is not what the book is to have.
    seen.retain(|seq, _| *seq > book.floor());
    seen
}

/// Without numbers: a phone was shown each chat to its user once, and in order.
pub(super) fn compare_unnumbered(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    let mut of_user: HashMap<i64, Vec<usize>> = HashMap::new();
    for (at, book) in load.books.iter().enumerate() {
        of_user.entry(book.user).or_default().push(at);
    }
    let mut seen = HashSet::new();
    for (at, book) in load.books.iter().enumerate() {
        walk_unnumbered(load, at, book, stored, &mut seen, verdict);
    }
    for (writer, book) in load.books.iter().enumerate() {
        for (number, sent) in book.sent.iter().enumerate() {
            let is_stored = stored.at_target(load, (writer, number)).is_some();
            if sent.target == book.user || sent.acknowledged == 0 && !is_stored {
                continue;
            }
            for at in of_user.get(&sent.target).into_iter().flatten() {
                if !seen.contains(&(*at, writer, number)) {
                    verdict.add(Class::Lost, || {
                        let key = format!("{:x}-{}-{number}", book.run, book.writer);
                        format!("{} was not shown {key}", sent.target)
                    });
                }
            }
        }
    }
}

/// What one phone was shown; adds to what was seen: by its place, the writer's and the number.
fn walk_unnumbered(
    load: &Load<'_>,
    at: usize,
    book: &Book,
    stored: &Stored<'_>,
    seen: &mut HashSet<(usize, usize, usize)>,
    verdict: &mut Verdict,
) {
    let (user, mut order) = (book.user, Order::default());
    for shown in &book.shown {
        let key = || book.key(shown);
        let origin = match load.belonging_shown(user, shown) {
            Belonging::Own(origin) => origin,
            Belonging::Other => continue,
            Belonging::Foreign(problem) => {
                verdict.add(Class::Foreign, || {
                    format!("{user} was shown {}, id {}: {problem}", key(), shown.id)
                });
                continue;
            }
        };
        let (writer, number) = origin.place;
        if !seen.insert((at, writer, number)) {
            verdict.add(Class::Doubled, || format!("{user} was shown {} again", key()));
            continue;
        }
        let (sender, target) = (origin.book.user, origin.sent.target);
        let place = if user == target {
            stored.at_target(load, origin.place)
        } else {
            stored.at_sender(load, origin.place)
        };
        if place.map(|(_, id)| id) != Some(shown.id) {
            verdict.add(Class::Unstored, || {
                format!("{user} was shown {} with id {}, stored as {place:?}", key(), shown.id)
            });
        }
        // An acknowledgement is no part of what comes in, and may overtake it.
        if sender != user && !order.holds(origin.book.writer, sender, origin.sent, shown.id) {
            verdict.add(Class::Reordered, || format!("{user} was shown {} too late", key()));
        }
    }
}
