//! A group at a server without faults.

use super::*;
use crate::{address, wire::Line};

pub(super) const GROUP: i64 = 77;
pub(super) const ZHAO: i64 = 1004;
const USERS: [i64; 4] = [ZHANG, LI, WANG, ZHAO];

/// A group at a server without faults, until one is planted.
pub(super) struct Talk {
    pub(super) books: Vec<Book>,
    pub(super) timelines: Vec<Timeline>,
    pub(super) members: Vec<usize>,
    pub(super) changes: Changes,
    last_id: i64,
}

pub(super) fn at(user: i64) -> usize {
    USERS.iter().position(|other| *other == user).unwrap()
}

impl Talk {
    /// 张三, 李四 and 王五 are members.
    pub(super) fn new() -> Self {
        let books = (0..).zip(USERS).map(|(writer, user)| Book::new(user, RUN, writer, 0));
        let timelines = USERS.map(|user| Timeline { user, ..Timeline::default() });
        let group = Group { id: GROUP, members: vec![ZHANG, LI, WANG] };
        Self {
            books: books.collect(),
            timelines: timelines.into(),
            members: vec![0, 1, 2],
            changes: Changes { groups: vec![group], asked: vec![] },
            last_id: 0,
        }
    }

    /// All that can happen: 王五 leaves and comes back, 赵六 joins, 张三's second chat is recalled, 李四 deletes
    /// the third. The ids of the chats.
    pub(super) fn whole() -> (Self, Vec<i64>) {
        let mut talk = Self::new();
        let mut ids = vec![talk.send(ZHANG), talk.send(ZHANG), talk.send(WANG)];
        talk.leave(WANG);
        ids.push(talk.send(LI));
        talk.recall(ids[1]);
        talk.join(ZHAO);
        talk.delete(LI, ids[2]);
        ids.push(talk.send(ZHAO));
        talk.join(WANG);
        ids.push(talk.send(WANG));
        (talk, ids)
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 10;
        self.last_id
    }

    /// A user has an event, and the phone is shown it.
    pub(super) fn give(&mut self, user: usize, seen: Seen) {
        let seq = self.store(user, seen);
        self.books[user].show(seq, &seen);
    }

    /// A user has an event.
    pub(super) fn store(&mut self, user: usize, seen: Seen) -> Option<i64> {
        let events = &mut self.timelines[user].events;
        let seq = i64::try_from(events.len()).ok().map(|count| count + 1);
        events.push((seq, seen));
        seq
    }

    pub(super) fn asked(&mut self, change: Change) {
        self.changes.asked.push(Asked { change, is_done: true });
    }

    /// A chat to the group, before it is committed.
    pub(super) fn write(&mut self, user: i64) -> Seen {
        let book = &mut self.books[at(user)];
        let target = address::of_group(GROUP);
        let key = book.write(target);
        book.send(key, 1);
        Seen { key, id: self.next_id(), sender: user, target, words: Words::Intact }
    }

    pub(super) fn send(&mut self, user: i64) -> i64 {
        let seen = self.write(user);
        for member in self.members.clone() {
            self.give(member, seen);
        }
        let seq = self.timelines[at(user)].events.last().unwrap().0;
        self.books[at(user)].acknowledge(seq, &seen);
        seen.id
    }

    pub(super) fn line(&mut self, joined: &[i64], left: &[i64]) {
        let id = self.next_id();
        let line = Line { id, group: GROUP, joined: joined.into(), left: left.into() };
        for member in self.members.clone() {
            self.give(member, Seen::event(Key::LINE, id));
            self.timelines[member].lines.push(line.clone());
        }
    }

    pub(super) fn join(&mut self, user: i64) {
        self.asked(Change::Join { group: GROUP, user });
        self.members.push(at(user));
        self.line(&[user], &[]);
    }

    pub(super) fn leave(&mut self, user: i64) {
        self.asked(Change::Leave { group: GROUP, user });
        self.line(&[], &[user]);
        self.members.retain(|member| *member != at(user));
    }

    pub(super) fn recall(&mut self, chat: i64) {
        self.asked(Change::Recall { chat });
        for timeline in &mut self.timelines {
            for (_, seen) in timeline.events.iter_mut().filter(|(_, seen)| seen.id == chat) {
                seen.words = Words::Recalled;
            }
        }
        for member in self.who_have(chat) {
            self.give(member, Seen::event(Key::RECALL, chat));
        }
    }

    /// The members whose timelines have a chat.
    pub(super) fn who_have(&self, chat: i64) -> Vec<usize> {
        let has =
            |member: &usize| self.timelines[*member].events.iter().any(|(_, seen)| seen.id == chat);
        self.members.iter().copied().filter(has).collect()
    }

    pub(super) fn delete(&mut self, user: i64, chat: i64) {
        self.asked(Change::Delete { user, chat });
        *self.stored(user, chat) = Seen::event(Key::DELETION, chat);
        self.give(at(user), Seen::event(Key::DELETION, chat));
    }

    /// The chat as a user has it.
    pub(super) fn stored(&mut self, user: i64, chat: i64) -> &mut Seen {
        let mut events = self.timelines[at(user)].events.iter_mut();
        &mut events.find(|(_, seen)| seen.id == chat).unwrap().1
    }

    pub(super) fn verdict(&self) -> Verdict {
        judge_changes(&self.books, &self.timelines, &self.changes)
    }

    /// Just these are wrong, so often, and the words are told.
    #[track_caller]
    pub(super) fn assert_only(&self, expected: &[(Class, u64)], told: &str) {
        let verdict = self.verdict();
        let text = verdict.to_string();
        for class in Class::ALL {
            let count = expected.iter().find(|(other, _)| *other == class).map_or(0, |(_, n)| *n);
            assert_eq!(verdict.count(class), count, "{class:?}: {text}");
        }
        assert!(text.contains(told), "{text}");
    }
}
