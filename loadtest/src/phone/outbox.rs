//! What a phone has written and not been acknowledged, in the order of writing.

use std::collections::VecDeque;

use crate::{clock::Moment, ledger::Key};

/// See the module. Its length is bounded by what is written in a run: an open loop has no mercy.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    letters: VecDeque<Unsettled>,
    /// How many of the first ones are under way on this socket, or were settled out of order since.
    under_way: usize,
    unsettled: usize,
}

/// A chat that is not acknowledged.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) key: Key,
    /// A place in the list of people.
    pub(super) target: u32,
    pub(super) content: String,
    pub(super) due: Moment,
    /// On this socket or on an earlier one.
    pub(super) is_repeat: bool,
    is_settled: bool,
}

impl Outbox {
    pub(super) fn push(&mut self, key: Key, target: u32, content: String, due: Moment) {
        self.unsettled += 1;
        self.letters.push_back(Unsettled {
            key,
            target,
            content,
            due,
            is_repeat: false,
            is_settled: false,
        });
    }

    /// How many are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.unsettled
    }

    /// The next one to send, while fewer than `window` are under way.
    pub(super) fn next(&mut self, window: usize) -> Option<&Unsettled> {
        // What an answer to an earlier socket's send has settled is not sent again.
        while self.letters.get(self.under_way)?.is_settled {
            self.under_way += 1;
        }
        if self.under_way >= window {
            return None;
        }
        let next = &self.letters[self.under_way];
        self.under_way += 1;
        Some(next)
    }

    /// A chat that is here.
    pub(super) fn find(&self, key: Key) -> Option<&Unsettled> {
        self.letters.iter().find(|letter| letter.key == key)
    }

    /// A chat is acknowledged. When it was due, and whether it was under way on this socket; `None` if it
    /// is acknowledged again.
    pub(super) fn settle(&mut self, key: Key) -> Option<(Moment, bool)> {
        let found = |letter: &Unsettled| letter.key == key && !letter.is_settled;
        let place = self.letters.iter().position(found)?;
        let due = self.letters[place].due;
        let was_under_way = place < self.under_way;
        self.letters[place].is_settled = true;
        self.unsettled -= 1;
        while self.letters.front().is_some_and(|letter| letter.is_settled) {
            self.letters.pop_front();
            self.under_way = self.under_way.saturating_sub(1);
        }
        Some((due, was_under_way))
    }

    /// Nothing is under way any more. How many were.
    pub(super) fn rewind(&mut self) -> u64 {
        let mut count = 0;
        for letter in self.letters.iter_mut().take(self.under_way) {
            letter.is_repeat = true;
            count += u64::from(!letter.is_settled);
        }
        self.letters.retain(|letter| !letter.is_settled);
        self.under_way = 0;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key { run: 0, writer: 0, number }
    }

    fn outbox(letters: u32) -> Outbox {
        let mut outbox = Outbox::default();
        for number in 0..letters {
            outbox.push(key(number), 0, String::new(), Moment(u64::from(number)));
        }
        outbox
    }

    fn sent(outbox: &mut Outbox, window: usize) -> Vec<u32> {
        std::iter::from_fn(|| outbox.next(window).map(|letter| letter.key.number)).collect()
    }

    #[test]
    fn a_window_moves_with_what_is_settled() {
        let mut outbox = outbox(5);
        assert_eq!(sent(&mut outbox, 2), [0, 1]);
        assert_eq!(outbox.settle(key(0)), Some((Moment(0), true)));
        assert_eq!(outbox.settle(key(0)), None);
        assert_eq!(sent(&mut outbox, 2), [2]);
        assert_eq!(outbox.len(), 4);
    }

    #[test]
    fn what_was_under_way_goes_first_on_the_next_socket() {
        let mut outbox = outbox(4);
        assert_eq!(sent(&mut outbox, 3), [0, 1, 2]);
        outbox.settle(key(1));
        assert_eq!(outbox.rewind(), 2);
        assert_eq!(outbox.settle(key(3)), Some((Moment(3), false)));
        assert_eq!(sent(&mut outbox, 3), [0, 2]);
    }
}
