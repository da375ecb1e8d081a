//! What a phone has written and not been acknowledged, by person, each in the order of writing.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::{clock::Moment, ledger::Key};

/// See the module. Its length is bounded by what is written in a run: an open loop has no mercy.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By target, as [`address`](crate::address) has it.
    queues: BTreeMap<i64, Queue>,
    unsettled: usize,
}

/// What one person or group is sent. Without order between them, people do not wait for each other.
#[derive(Debug, Default)]
struct Queue {
    letters: VecDeque<Unsettled>,
    /// How many of the first ones are under way on this socket, or were settled out of order since.
    under_way: usize,
    /// Nothing is sent before; the server asked for it.
    quiet_until: Option<Instant>,
}

/// A chat that is not acknowledged.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) key: Key,
    pub(crate) target: i64,
    pub(crate) content: String,
    /// The upload that it shows, instead of a content.
    pub(crate) picture: Option<u128>,
    pub(crate) due: Moment,
    /// On this socket or on an earlier one.
    pub(crate) is_repeat: bool,
    is_settled: bool,
}

impl Outbox {
    pub(crate) fn push(
        &mut self,
        key: Key,
        target: i64,
        content: String,
        picture: Option<u128>,
        due: Moment,
    ) {
        self.unsettled += 1;
        self.queues.entry(target).or_default().letters.push_back(Unsettled {
            key,
            target,
            content,
            picture,
            due,
            is_repeat: false,
            is_settled: false,
        });
    }

    /// How many are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.unsettled
    }

    /// The next one to send, to somebody to whom fewer than `window` are under way.
    pub(crate) fn next(&mut self, window: usize, now: Instant) -> Option<&Unsettled> {
        self.queues.values_mut().find_map(|queue| queue.next(window, now))
    }

    /// When the earliest quiet of any ends.
    pub(crate) fn quiet_until(&self) -> Option<Instant> {
        self.queues.values().filter_map(|queue| queue.quiet_until).min()
    }

    /// A chat that is here.
    pub(crate) fn find(&self, key: Key) -> Option<&Unsettled> {
        let mut letters = self.queues.values().flat_map(|queue| &queue.letters);
        letters.find(|letter| letter.key == key)
    }

    /// A chat is acknowledged. When it was due, and whether it was under way on this socket; `None` if it
    /// is acknowledged again.
    pub(crate) fn settle(&mut self, key: Key) -> Option<(Moment, bool)> {
        let settled = self.queues.values_mut().find_map(|queue| queue.settle(key))?;
        self.unsettled -= 1;
        Some(settled)
    }

    /// A chat was refused for now. It and what follows it to the same person wait, so that their order
    /// stays. Returns how many of these were under way.
    pub(crate) fn refuse(&mut self, key: Key, until: Instant) -> u64 {
        let mut queues = self.queues.values_mut();
        let Some(queue) = queues.find(|queue| queue.place(key).is_some()) else { return 0 };
        let under_way = queue.rewind();
        queue.quiet_until = Some(until);
        under_way
    }

    /// The socket is gone, and with it what was under way. Returns how many that were.
    pub(crate) fn rewind(&mut self) -> u64 {
        self.queues.values_mut().map(Queue::rewind).sum()
    }
}

impl Queue {
    fn next(&mut self, window: usize, now: Instant) -> Option<&Unsettled> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = None;
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

    fn place(&self, key: Key) -> Option<usize> {
        self.letters.iter().position(|letter| letter.key == key && !letter.is_settled)
    }

    fn settle(&mut self, key: Key) -> Option<(Moment, bool)> {
        let place = self.place(key)?;
        let due = self.letters[place].due;
        let was_under_way = place < self.under_way;
        self.letters[place].is_settled = true;
        while self.letters.front().is_some_and(|letter| letter.is_settled) {
            self.letters.pop_front();
            self.under_way = self.under_way.saturating_sub(1);
        }
        Some((due, was_under_way))
    }

    /// Nothing is under way any more. How many were.
    fn rewind(&mut self) -> u64 {
        let mut count = 0;
        for letter in self.letters.iter_mut().take(self.under_way) {
            letter.is_repeat = true;
            count += u64::from(!letter.is_settled);
        }
        self.letters.retain(|letter| !letter.is_settled);
        (self.under_way, self.quiet_until) = (0, None);
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: u32) -> Key {
        Key { run: 0, writer: 0, number }
    }

    /// Of as many chats, to these people in turn.
    fn outbox(letters: u32, people: u32) -> Outbox {
        let mut outbox = Outbox::default();
        for number in 0..letters {
            let due = Moment(u64::from(number));
            let target = i64::from(number % people);
            outbox.push(key(number), target, String::new(), None, due);
        }
        outbox
    }

    fn sent(outbox: &mut Outbox, window: usize) -> Vec<u32> {
        sent_at(outbox, window, Instant::now())
    }

    fn sent_at(outbox: &mut Outbox, window: usize, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| outbox.next(window, now).map(|letter| letter.key.number)).collect()
    }

    #[test]
    fn a_window_moves_with_what_is_settled() {
        let mut outbox = outbox(5, 1);
        assert_eq!(sent(&mut outbox, 2), [0, 1]);
        assert_eq!(outbox.settle(key(0)), Some((Moment(0), true)));
        assert_eq!(outbox.settle(key(0)), None);
        assert_eq!(sent(&mut outbox, 2), [2]);
        assert_eq!(outbox.len(), 4);
    }

    #[test]
    fn what_was_under_way_goes_first_on_the_next_socket() {
        let mut outbox = outbox(4, 1);
        assert_eq!(sent(&mut outbox, 3), [0, 1, 2]);
        outbox.settle(key(1));
        assert_eq!(outbox.rewind(), 2);
        assert_eq!(outbox.settle(key(3)), Some((Moment(3), false)));
        assert_eq!(sent(&mut outbox, 3), [0, 2]);
    }

    #[test]
    fn a_refused_chat_holds_up_what_follows_to_the_same_person_alone() {
        let mut outbox = outbox(6, 2);
        assert_eq!(sent(&mut outbox, 2), [0, 2, 1, 3]);
        let until = Instant::now() + Duration::from_secs(9);
        assert_eq!(outbox.refuse(key(0), until), 2);
        assert_eq!(outbox.refuse(key(9), until), 0);
        assert_eq!(outbox.quiet_until(), Some(until));
        outbox.settle(key(1));
        assert_eq!(sent(&mut outbox, 2), [5]);
        assert_eq!(sent_at(&mut outbox, 2, until), [0, 2]);
        assert_eq!(outbox.quiet_until(), None);
    }
}
