//! All books of a load and what was read back: who wrote which chat, and to whom it belongs.

use std::collections::{HashMap, HashSet};

use super::book::{Book, Key, Mark, OTHERS, Seen, Sent, Shown, short};

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
    pub(super) fn new(books: &'a [Book]) -> Self {
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
