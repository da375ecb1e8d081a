//! All books of a load: who wrote which chat, and to whom it belongs.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    book::{Book, Key, Mark, OTHERS, Sent, Shown, Words, short},
    changes::{Change, Changes},
    members::Members,
    timeline::Timeline,
    verdict::Verdict,
};
use crate::address;

/// All books, and who wrote which.
pub(super) struct Load<'a> {
    pub(super) books: &'a [Book],
    run: u32,
    /// By writer: the place among the books.
    writers: HashMap<u32, usize>,
    pub(super) users: HashSet<i64>,
    pub(super) members: Members<'a>,
    /// The chats that somebody asked to recall, and whether that is done.
    pub(super) recalls: BTreeMap<i64, bool>,
    /// The users who asked to delete a chat, and the chats, and whether that is done.
    pub(super) deletions: BTreeMap<(i64, i64), bool>,
    /// Where the chats are that were asked about.
    changed: HashMap<i64, (usize, usize)>,
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
    pub(super) fn new(
        books: &'a [Book],
        timelines: &'a [Timeline],
        changes: &Changes,
        verdict: &mut Verdict,
    ) -> Self {
        let mut load = Self {
            books,
            run: books.first().map_or(0, |book| book.run),
            writers: books.iter().enumerate().map(|(at, book)| (book.writer, at)).collect(),
            users: books.iter().map(|book| book.user).collect(),
            members: Members::read(changes, timelines, verdict),
            recalls: BTreeMap::new(),
            deletions: BTreeMap::new(),
            changed: HashMap::new(),
        };
        let mut ids = HashSet::new();
        for asked in &changes.asked {
            let (is_done, chat) = match asked.change {
                Change::Recall { chat } => (load.recalls.entry(chat).or_default(), chat),
                Change::Delete { user, chat } => {
                    (load.deletions.entry((user, chat)).or_default(), chat)
                }
                Change::Join { .. } | Change::Leave { .. } => continue,
            };
            *is_done |= asked.is_done;
            ids.insert(chat);
        }
        for (at, book) in books.iter().enumerate() {
            let answers = book.sent.iter().enumerate();
            let answers = answers.filter_map(|(place, sent)| Some((place, book.answer(sent)?.1)));
            load.changed.extend(
                answers.filter(|(_, id)| ids.contains(id)).map(|(place, id)| (id, (at, place))),
            );
        }
        load
    }

    /// The chat with this id, if it is one that somebody asked to recall or to delete.
    pub(super) fn changed(&self, id: i64) -> Option<Origin<'a>> {
        let place @ (at, number) = *self.changed.get(&id)?;
        let book = &self.books[at];
        Some(Origin { place, book, sent: &book.sent[number] })
    }

    pub(super) fn origin(&self, writer: u32, number: u32) -> Option<Origin<'a>> {
        let at = *self.writers.get(&writer)?;
        let (book, number) = (&self.books[at], usize::try_from(number).ok()?);
        Some(Origin { place: (at, number), book, sent: book.sent.get(number)? })
    }

    /// What a chat with this id is to this user.
    pub(super) fn belonging(
        &self,
        user: i64,
        (writer, number): (u32, u32),
        mark: Mark,
        id: i64,
    ) -> Belonging<'a> {
        let Some(origin) = self.origin(writer, number) else {
            return match (writer, number) {
                (OTHERS, u32::MAX) | (0..OTHERS, _) => Belonging::Foreign("nobody sent it"),
                (OTHERS, _) => Belonging::Other,
            };
        };
        let (sender, target) = (origin.book.user, origin.sent.target);
        let concerns = match address::group_of(target) {
            Some(group) => self.members.has(group, user, id),
            None => user == sender || user == target,
        };
        let words = mark.words(sender, target);
        if origin.sent.first == 0 {
            Belonging::Foreign("it was not sent yet")
        } else if origin.sent.is_refused() && origin.sent.only_connection().is_some() {
            Belonging::Foreign("it was refused")
        } else if words.is_none_or(|words| words == Words::Changed) {
            Belonging::Foreign("it was sent otherwise")
        } else if !concerns {
            Belonging::Foreign("it does not concern this user")
        } else if words == Some(Words::Recalled) && !self.recalls.contains_key(&id) {
            Belonging::Foreign("nobody asked to recall it")
        } else {
            Belonging::Own(origin)
        }
    }

    pub(super) fn belonging_shown(&self, user: i64, shown: &Shown) -> Belonging<'a> {
        self.belonging(user, (shown.writer, shown.number), shown.mark, shown.id)
    }

    pub(super) fn is(&self, shown: &Shown, key: Key) -> bool {
        (shown.writer, shown.number) == self.short(key)
    }

    pub(super) fn short(&self, key: Key) -> (u32, u32) {
        short(key, self.run)
    }
}
