//! A phone: one person, one socket, a cursor, an outbox that is sent again until it is acknowledged, and
//! another server when its own is gone.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{sync::Notify, time::sleep};

use crate::{
    clock::Moment,
    ledger::{Book, Key, Seen},
    observer::{Observer, Passage},
    outbox::Outbox,
    wire::{ChatFrame, Cursor, Person},
    world::{Mark, World},
};

/// What a phone is told to do.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Write to this person.
    Write {
        target: u32,
        due: Moment,
    },
    /// Go away, without a word to the server, until [`Order::Come`].
    Leave,
    Come,
    /// Lose the socket, and open another at once.
    Reconnect,
    /// Come; nothing is to be written any more.
    Settle,
    /// Close the socket and end.
    End,
}

/// What waits for a phone to do.
#[derive(Debug, Default)]
pub struct Orders {
    waiting: Mutex<VecDeque<Order>>,
    pub(crate) news: Notify,
}

impl Orders {
    pub fn give(&self, order: Order) {
        self.waiting.lock().push_back(order);
        self.news.notify_one();
    }

    fn next(&self) -> Option<Order> {
        self.waiting.lock().pop_front()
    }
}

/// A phone. [`Phone::run`] is its life.
pub struct Phone {
    pub(crate) number: u32,
    pub(crate) world: Arc<World>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) random: SmallRng,
    /// Its server now: a place in [`World::targets`].
    pub(crate) at: usize,
    pub(crate) cursor: Cursor,
    pub(crate) book: Book,
    pub(crate) outbox: Outbox,
    is_wanted: bool,
    /// Whether it was told to end.
    pub(crate) is_over: bool,
    /// What was due before this moment was missed by its own will, and its way here is not timed.
    pub(crate) back_since: Moment,
    /// When it lost its last socket.
    pub(crate) lost_at: Option<Moment>,
    pub(crate) sockets: u32,
}

/// Why a socket has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is gone; the backoff says when to come again.
    Lost,
    /// The server said when to come again. It goes itself.
    Away(Duration),
    /// The phone wants it so.
    Dropped,
}

impl Phone {
    /// It comes with [`Order::Come`]. It tries this target first, a place in [`World::targets`].
    pub fn new(
        number: u32,
        at: usize,
        world: Arc<World>,
        observer: Arc<dyn Observer>,
        orders: Arc<Orders>,
    ) -> Self {
        let user = world.people[number as usize].id;
        Self {
            number,
            at,
            book: Book::new(user, world.run, number, world.since.unwrap_or(0)),
            random: SmallRng::seed_from_u64(world.seed ^ (u64::from(number) << 20)),
            cursor: Cursor { seq: world.since, epoch: None },
            world,
            observer,
            orders,
            outbox: Outbox::default(),
            is_wanted: false,
            is_over: false,
            back_since: Moment::default(),
            lost_at: None,
            sockets: 0,
        }
    }

    /// Runs the phone until the run ends. Returns what it has written down.
    pub async fn run(mut self) -> Book {
        let mut attempts = 0_u32;
        loop {
            while !self.is_wanted && !self.is_over {
                self.orders.news.notified().await;
                self.take_orders();
            }
            if self.is_over {
                return self.book;
            }
            let begun = self.world.clock.now();
            let ended = match self.connect().await {
                Ok(mut socket) => {
                    let ended = self.live(&mut socket, begun).await;
                    self.lose();
                    ended
                }
                Err(ended) => {
                    self.observer.failed_to_connect();
                    ended
                }
            };
            let lasted = self.world.clock.now().since(begun);
            let timing = self.world.timing;
            attempts = if lasted > timing.stable { 0 } else { attempts.saturating_add(1) };
            let wait = match ended {
                Ended::Dropped => continue,
                Ended::Away(wait) => wait,
                Ended::Lost => timing.most(attempts).mul_f64(self.random.random()),
            };
            // Not the same again, if there is another one.
            let others = self.world.targets.len().max(2) - 1;
            self.at += self.random.random_range(1..=others);
            self.at %= self.world.targets.len();
            self.pause(wait).await;
        }
    }

    /// Waits, and takes the orders that come meanwhile. The end of the run ends the wait.
    async fn pause(&mut self, wait: Duration) {
        let over = sleep(wait);
        tokio::pin!(over);
        while !self.is_over {
            tokio::select! {
                () = &mut over => return,
                () = self.orders.news.notified() => { self.take_orders(); }
            }
        }
    }

    /// Does what needs no socket. Whether the socket is to be dropped now.
    pub(crate) fn take_orders(&mut self) -> bool {
        let mut is_dropped = false;
        while let Some(order) = self.orders.next() {
            match order {
                Order::Write { target, due } => self.write(target, due),
                Order::Come => self.come(),
                Order::Settle => {
                    self.come();
                    self.mark().has_written.store(true, Release);
                }
                Order::Leave => {
                    self.is_wanted = false;
                    is_dropped = true;
                }
                Order::Reconnect => is_dropped = true,
                Order::End => {
                    self.is_over = true;
                    is_dropped = true;
                }
            }
        }
        is_dropped
    }

    fn come(&mut self) {
        if !self.is_wanted {
            self.is_wanted = true;
            self.back_since = self.world.clock.now();
        }
    }

    fn write(&mut self, target: u32, due: Moment) {
        let World { contents, people, .. } = &*self.world;
        let user = people[target as usize].id;
        let key = self.book.write(user);
        self.outbox.push(key, target, contents.of(key, due), due);
        let written = self.passage(key, due, self.world.clock.now(), true);
        self.observer.written(&written, self.person().id, user);
        self.note_unsent();
    }

    /// A chat that a frame shows, as the books take it, and when it was due.
    pub(crate) fn seen(&self, chat: &ChatFrame<'_>) -> (Seen, Moment) {
        let World { contents, people, .. } = &*self.world;
        let key: Option<Key> = chat.key.parse().ok();
        let (mut sender, mut target) = (chat.sender, chat.target);
        let due = key.and_then(|key| match &chat.content {
            Some(content) => contents.read(key, content),
            // An answer that names the key alone.
            None => self.outbox.find(key).map(|letter| {
                sender = self.person().id;
                target = people[letter.target as usize].id;
                letter.due
            }),
        });
        let seen = Seen {
            key: key.unwrap_or(Key::UNREADABLE),
            id: chat.id,
            sender,
            target,
            is_intact: due.is_some(),
        };
        (seen, due.unwrap_or_default())
    }

    /// One's own chat is committed.
    pub(crate) fn acknowledged(&mut self, seq: Option<i64>, seen: &Seen, at: Moment) {
        self.book.acknowledge(seq, seen);
        if let Some((due, was_under_way)) = self.outbox.settle(seen.key) {
            let settled = self.passage(seen.key, due, at, true);
            self.observer.acknowledged(&settled, was_under_way);
            self.note_unsent();
        }
    }

    /// An event came.
    pub(crate) fn shown(&mut self, seq: Option<i64>, seen: &Seen, due: Moment, at: Moment) {
        self.book.show(seq, seen);
        if seq.is_some_and(|seq| seq <= self.cursor.seq.unwrap_or(0)) {
            return;
        }
        self.moved(seq);
        if seen.key.run == self.world.run {
            let is_own = seen.sender == self.person().id;
            self.observer.shown(&self.passage(seen.key, due, at, is_own));
        }
    }

    /// The cursor moved; without numbers, it counts.
    pub(crate) fn moved(&mut self, seq: Option<i64>) {
        match seq {
            Some(last) => {
                self.cursor.seq = seq;
                self.mark().cursor.store(last, Relaxed);
            }
            None => {
                self.mark().cursor.fetch_add(1, Relaxed);
            }
        }
    }

    /// The socket is gone. What was under way on it is sent again on the next one.
    fn lose(&mut self) {
        self.observer.rewound(self.outbox.rewind());
        let was_ready = self.mark().is_ready.swap(false, Relaxed);
        if was_ready {
            self.observer.lost();
        }
        self.lost_at = (was_ready && !self.is_over).then(|| self.world.clock.now());
    }

    fn note_unsent(&self) {
        let unsent = u32::try_from(self.outbox.len()).unwrap_or(u32::MAX);
        self.mark().unsent.store(unsent, Relaxed);
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.world.marks[self.number as usize]
    }

    pub(crate) fn person(&self) -> &Person {
        &self.world.people[self.number as usize]
    }

    pub(crate) fn passage(&self, key: Key, due: Moment, at: Moment, is_own: bool) -> Passage {
        let is_timed = due >= self.back_since;
        Passage { phone: self.number, key, due, at, is_timed, is_own }
    }

    /// Something that no server may do. It ends the run.
    pub(crate) fn broken(&self, what: impl FnOnce() -> String) {
        let mut broken = self.world.broken.lock();
        if broken.is_none() {
            *broken = Some(format!("phone {}: {}", self.number, what()));
        }
    }
}
