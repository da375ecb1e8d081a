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
    ledger::{Book, Key, Seen, Words},
    observer::{Observer, Passage},
    outbox::Outbox,
    reading,
    wire::{ChatFrame, Content, Cursor, Person, Picture},
    world::{Mark, World},
};

/// What a phone is told to do.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Write to this target, as [`address`](crate::address) has it; an upload, if there is one.
    Write {
        target: i64,
        picture: Option<Upload>,
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

/// An upload that a chat shows.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// Its id.
    pub media: u128,
    /// When it was begun.
    pub begun: Moment,
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
                Order::Write { target, picture, due } => self.write(target, picture, due),
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

    fn write(&mut self, target: i64, picture: Option<Upload>, due: Moment) {
        let key = self.book.write(target);
        let content = match picture {
            Some(upload) => {
                self.world.pictures.lock().insert(key, (upload.media, due));
                String::new()
            }
            None => self.world.contents.of(key, due),
        };
        self.outbox.push(key, target, content, picture.map(|upload| upload.media), due);
        let at = picture.map_or_else(|| self.world.clock.now(), |upload| upload.begun);
        let written = self.passage(key, due, at, true);
        self.observer.written(&written, self.person().id, target);
        self.note_unsent();
    }

    /// A chat that a frame shows, as the books take it, and when it was due.
    pub(crate) fn seen(&self, chat: &ChatFrame<'_>) -> (Seen, Moment) {
        let (mut seen, mut due) = self.world.seen(chat);
        if matches!(chat.content, Content::Unsaid)
            && let Some(letter) = self.outbox.find(seen.key)
        {
            (seen.sender, seen.target) = (self.person().id, letter.target);
            (seen.words, due) = (Words::Intact, letter.due);
        }
        (seen, due)
    }

    /// One's own chat is committed.
    pub(crate) fn acknowledged(&mut self, seq: Option<i64>, seen: &Seen, at: Moment) {
        self.book.acknowledge(seq, seen);
        self.mark().own_chat.store(seen.id, Relaxed);
        if let Some((due, was_under_way)) = self.outbox.settle(seen.key) {
            let settled = self.passage(seen.key, due, at, true);
            self.observer.acknowledged(&settled, was_under_way);
            self.note_unsent();
        }
    }

    /// A chat to a group is refused for good: one is no member any more.
    pub(crate) fn not_taken(&mut self, key: Key) {
        self.book.refuse(key);
        if let Some((_, was_under_way)) = self.outbox.settle(key) {
            self.observer.rewound(u64::from(was_under_way));
            self.note_unsent();
        }
    }

    /// An event came. Whether it moves the phone on.
    pub(crate) fn shown(&mut self, seq: Option<i64>, seen: &Seen, due: Moment, at: Moment) -> bool {
        self.book.show(seq, seen);
        if seq.is_some_and(|seq| seq <= self.cursor.seq.unwrap_or(0)) {
            return false;
        }
        self.moved(seq);
        if seen.key.run == self.world.run {
            let is_own = seen.sender == self.person().id;
            self.observer.shown(&self.passage(seen.key, due, at, is_own));
            if !is_own {
                self.mark().shown_chat.store(seen.id, Relaxed);
            }
        }
        true
    }

    /// Reads the picture of a chat that was shown.
    pub(crate) fn look_at(&self, picture: &Picture<'_>, key: Key, due: Moment) {
        let (world, observer) = (Arc::clone(&self.world), Arc::clone(&self.observer));
        let (at, url, size) = (self.at, picture.url.clone().into_owned(), picture.size);
        let passage = self.passage(key, due, due, false);
        self.mark().unread.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            match reading::picture(&world, at, &url, size).await {
                Ok(()) => observer.looked(&Passage { at: world.clock.now(), ..passage }),
                Err(error) => world.break_off(|| format!("the picture of {key}: {error:#}")),
            }
            world.marks[passage.phone as usize].unread.fetch_sub(1, Relaxed);
        });
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
        self.world.break_off(|| format!("phone {}: {}", self.number, what()));
    }
}
