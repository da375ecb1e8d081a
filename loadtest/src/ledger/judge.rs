//! Compares all books with each other and with what the service has in the end.

use std::collections::{HashMap, HashSet};

use super::{
    Book, Class, Key, Seen, Verdict,
    book::{Mark, OTHERS, Sent, Shown, short},
    shown,
    stored::{self, Stored},
};

/// What a user has in the end, read back in the order of the timeline, with the numbers where there are
/// such. One a user.
///
/// It has everything after the cursor at which the first book of the user began: chats of other runs
/// too, and with [`Key::UNREADABLE`] what has no key, since a number that is left out is a gap. What
/// stands before that cursor may be there or not. Chats of other runs are not judged, but phones that
/// were up have been shown them.
#[derive(Debug)]
pub struct Timeline {
    pub user: i64,
    pub events: Vec<(Option<i64>, Seen)>,
}

/// What is wrong. Phones of one user may have several books. Every phone with a book is taken to be up
/// at the end, so that it was shown all that is stored after its cursor.
///
/// A server without numbers (nothing was acknowledged, shown or read back with any) resumes nothing:
/// with it, each phone of the target must have been shown what was acknowledged. The sender's other
/// phones need not be, nor need a sender who writes to himself.
pub fn judge(books: &[Book], timelines: &[Timeline]) -> Verdict {
    let load = Load::new(books);
    let mut verdict = Verdict::default();
    for book in books {
        verdict.chats += book.sent.len() as u64;
        let loaded = book.beginnings.iter().map(|beginning| beginning.loaded).sum::<usize>();
        verdict.shown += (book.shown.len() - loaded) as u64;
        verdict.absorb(&book.at_once);
    }
    let stored = stored::read(&load, timelines, &mut verdict);
    compare_answers(&load, &stored, &mut verdict);
    if has_numbers(books, timelines) {
        for book in books {
            shown::compare_numbered(&load, book, &stored, &mut verdict);
        }
    } else {
        shown::compare_unnumbered(&load, &stored, &mut verdict);
    }
    verdict
}

fn has_numbers(books: &[Book], timelines: &[Timeline]) -> bool {
    let answers = |book: &Book| {
        let mut answers = book.sent.iter().filter_map(|sent| book.answer(sent));
        answers.any(|(seq, _)| seq.is_some())
    };
    timelines.iter().any(|timeline| timeline.events.iter().any(|(seq, _)| seq.is_some()))
        || books
            .iter()
            .any(|book| book.shown.iter().any(|shown| book.seq(shown).is_some()) || answers(book))
}

/// All books, and who wrote which.
pub(super) struct Load<'a> {
    pub(super) books: &'a [Book],
    run: u32,
    /// By writer: the place among the books.
    writers: HashMap<u32, usize>,
    pub(super) users: HashSet<i64>,
}

/// A chat that somebody sent.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The place of the writer's book among all books, and that of the chat in it.
    pub(super) place: (usize, usize),
    pub(super) book: &'a Book,
    pub(super) sent: &'a Sent,
}

/// What a chat is to a user to whom it belongs or was shown.
pub(super) enum Belonging<'a> {
    /// It is of this load, and belongs there.
    Own(Origin<'a>),
    /// It is of another run.
    Other,
    Foreign(&'static str),
}

impl<'a> Load<'a> {
    fn new(books: &'a [Book]) -> Self {
        Self {
            books,
            run: books.first().map_or(0, |book| book.run),
            writers: books.iter().enumerate().map(|(at, book)| (book.writer, at)).collect(),
            users: books.iter().map(|book| book.user).collect(),
        }
    }

    pub(super) fn origin(&self, writer: u32, number: u32) -> Option<Origin<'a>> {
        let at = *self.writers.get(&writer)?;
        let (book, number) = (&self.books[at], usize::try_from(number).ok()?);
        Some(Origin { place: (at, number), book, sent: book.sent.get(number)? })
    }

    /// What a chat is to this user.
    pub(super) fn belonging(&self, user: i64, shown: (u32, u32), mark: Mark) -> Belonging<'a> {
        let (writer, number) = shown;
        let Some(origin) = self.origin(writer, number) else {
            return match (writer, number) {
                (OTHERS, u32::MAX) | (0..OTHERS, _) => Belonging::Foreign("nobody sent it"),
                (OTHERS, _) => Belonging::Other,
            };
        };
        let (sender, target) = (origin.book.user, origin.sent.target);
        if origin.sent.first == 0 {
            Belonging::Foreign("it was not sent yet")
        } else if mark != Mark::new(sender, target, true) {
            Belonging::Foreign("it was sent otherwise")
        } else if user != sender && user != target {
            Belonging::Foreign("it does not concern this user")
        } else {
            Belonging::Own(origin)
        }
    }

    pub(super) fn belonging_shown(&self, user: i64, shown: &Shown) -> Belonging<'a> {
        self.belonging(user, (shown.writer, shown.number), shown.mark)
    }

    pub(super) fn short(&self, key: Key) -> (u32, u32) {
        short(key, self.run)
    }
}

/// What is acknowledged is in both timelines, with the number and the id of the acknowledgement.
fn compare_answers(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    for (at, book) in load.books.iter().enumerate() {
        for (number, sent) in book.sent.iter().enumerate() {
            let key = || format!("{:x}-{}-{number}", book.run, book.writer);
            let Some((seq, id)) = book.answer(sent) else {
                let what = if sent.first == 0 { "sent" } else { "acknowledged" };
                verdict.add(Class::Lost, || format!("{} was never {what}", key()));
                continue;
            };
            let at_sender = stored.at_sender(load, (at, number));
            let at_target = stored.at_target(load, (at, number));
            // A target without a phone in this load is not read back.
            let is_read = load.users.contains(&sent.target) || stored.has(sent.target);
            if at_sender != Some((seq, id)) || is_read && at_target.map(|(_, id)| id) != Some(id) {
                verdict.add(Class::Unstored, || {
                    format!(
                        "{} is acknowledged as {:?}, stored as {at_sender:?} for the sender and {at_target:?} for the target",
                        key(),
                        (seq, id)
                    )
                });
            }
        }
    }
}
