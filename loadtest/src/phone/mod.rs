//! A phone: one person, one socket, a cursor, an outbox that is sent again until it is acknowledged, and
//! another server when its own is gone.

mod outbox;
mod socket;

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicI64, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{sync::Notify, time::sleep};

use crate::{
    clock::{Clock, Moment},
    content::Contents,
    ledger::{Book, Key, Seen},
    measure::{Meter, Timed},
    target::Target,
    wire::{ChatFrame, Cursor, Person, Wire},
};

use outbox::Outbox;

/// The backoff of docs/protocol.md: full jitter between these, short again after a stable connection.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A connection that lasted so long makes the next wait short again.
const STABLE: Duration = Duration::from_mins(1);

/// What all phones of a run have in common.
pub struct World {
    pub wire: Arc<dyn Wire>,
    pub http: reqwest::Client,
    pub targets: Vec<Target>,
    pub people: Vec<Person>,
    pub contents: Contents,
    pub clock: Clock,
    /// How many chats of one phone may be unacknowledged.
    pub window: usize,
    /// Tells the runs apart that share a database.
    pub run: u32,
    pub seed: u64,
    pub load: LoadWindow,
    pub marks: Vec<Mark>,
    /// The first thing that no server may do, such as a refused token. It ends the run.
    pub broken: parking_lot::Mutex<Option<String>>,
}

/// From when until when what is due counts.
#[derive(Debug, Default)]
pub struct LoadWindow {
    from: AtomicU64,
    until: AtomicU64,
}

impl LoadWindow {
    /// Sets it. Before, nothing counts.
    pub fn set(&self, from: Moment, until: Moment) {
        self.from.store(from.0, Relaxed);
        self.until.store(until.0, Relaxed);
    }

    /// Whether a chat that was due then counts.
    pub fn has(&self, due: Moment) -> bool {
        (self.from.load(Relaxed)..self.until.load(Relaxed)).contains(&due.0)
    }
}

/// How far a phone is, for those who wait for all of them.
#[derive(Debug, Default)]
pub struct Mark {
    pub is_ready: AtomicBool,
    /// The last number that it applied; where there are no numbers, how many chats it was shown and was
    /// acknowledged.
    pub cursor: AtomicI64,
    /// Its cursor when it was ready for the first time; -1 before.
    pub first_cursor: AtomicI64,
    /// Chats in its outbox.
    pub unsent: AtomicU32,
    /// Whether it knows that no more is written: all that it was told to write is in its outbox or beyond.
    pub has_written: AtomicBool,
}

impl Mark {
    /// Whether it has nothing to do any more: connected, all written, all acknowledged.
    pub fn is_settled(&self) -> bool {
        // First, so that the count is not older.
        self.has_written.load(Acquire)
            && self.unsent.load(Relaxed) == 0
            && self.is_ready.load(Relaxed)
    }
}

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
    waiting: RefCell<VecDeque<Order>>,
    news: Notify,
}

impl Orders {
    pub fn give(&self, order: Order) {
        self.waiting.borrow_mut().push_back(order);
        self.news.notify_one();
    }
}

/// A phone. [`Phone::run`] is its life.
pub struct Phone {
    number: u32,
    world: Arc<World>,
    meter: Arc<Meter>,
    orders: Rc<Orders>,
    random: SmallRng,
    /// Its server now: a place in [`World::targets`].
    at: usize,
    cursor: Cursor,
    book: Book,
    outbox: Outbox,
    is_wanted: bool,
    /// Whether it was told to end.
    is_over: bool,
    /// What was due before this moment was missed by its own will, and its way here is not timed.
    back_since: Moment,
    /// When it lost its last socket.
    lost_at: Option<Moment>,
    sockets: u32,
}

/// Why a socket has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It is gone; the backoff says when to come again.
    Lost,
    /// The phone wants it so, or was told when to come.
    After(Duration),
}

impl Phone {
    /// It comes with [`Order::Come`].
    pub fn new(number: u32, world: Arc<World>, meter: Arc<Meter>, orders: Rc<Orders>) -> Self {
        let user = world.people[number as usize].id;
        Self {
            number,
            at: number as usize % world.targets.len(),
            book: Book::new(user, world.run, number, 0),
            random: SmallRng::seed_from_u64(world.seed ^ (u64::from(number) << 20)),
            world,
            meter,
            orders,
            cursor: Cursor::default(),
            outbox: Outbox::default(),
            is_wanted: false,
            is_over: false,
            back_since: Moment::default(),
            lost_at: None,
            sockets: 0,
        }
    }

    /// Lives until it is told to end, and gives its book.
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
                    self.meter.count(true, |totals| totals.failed_connects += 1);
                    ended
                }
            };
            let lasted = self.world.clock.now().since(begun);
            attempts = if lasted > STABLE { 0 } else { attempts.saturating_add(1) };
            let wait = match ended {
                Ended::After(wait) => wait,
                Ended::Lost => {
                    // Not the same again, if there is another one.
                    let others = self.world.targets.len().max(2) - 1;
                    self.at += self.random.random_range(1..=others);
                    self.at %= self.world.targets.len();
                    let most = BACKOFF[1].min(BACKOFF[0] * 2_u32.pow(attempts.min(8) - 1));
                    most.mul_f64(self.random.random())
                }
            };
            self.pause(wait).await;
        }
    }

    /// Waits, hearing what it is told. The end of the run ends the wait.
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
    fn take_orders(&mut self) -> bool {
        let mut is_dropped = false;
        while let Some(order) = { self.orders.waiting.borrow_mut().pop_front() } {
            match order {
                Order::Write { target, due } => self.write(target, due),
                Order::Come => self.come(),
                Order::Settle => {
                    self.come();
                    let mark = &self.world.marks[self.number as usize];
                    mark.has_written.store(true, Release);
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
        let World { contents, people, load, clock, .. } = &*self.world;
        let key = self.book.write(people[target as usize].id);
        self.outbox.push(key, target, contents.of(key, due), due);
        let now = clock.now();
        let is_load = load.has(due);
        self.meter.count(is_load, |totals| totals.due += 1);
        if is_load {
            self.meter.time(Timed::Lag, due, now);
        }
        self.note_unsent();
    }

    /// A chat that a frame shows, as the books take it, and when it was due.
    fn seen(&self, chat: &ChatFrame<'_>) -> (Seen, Moment) {
        let World { contents, people, .. } = &*self.world;
        let key: Option<Key> = chat.key.parse().ok();
        let (mut sender, mut target) = (chat.sender, chat.target);
        let due = key.and_then(|key| match &chat.content {
            Some(content) => contents.read(key, content),
            // An answer that names the key alone.
            None => self.outbox.find(key).map(|letter| {
                sender = people[self.number as usize].id;
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
    fn acknowledged(&mut self, seq: Option<i64>, seen: &Seen, at: Moment) {
        self.book.acknowledge(seq, seen);
        if let Some((due, was_sent)) = self.outbox.settle(seen.key) {
            let is_load = self.world.load.has(due);
            self.meter.acknowledged(is_load, due >= self.back_since, due, at);
            if was_sent {
                self.meter.with(|counts| counts.in_flight -= 1);
            }
            self.note_unsent();
        }
    }

    /// An event came.
    fn shown(&mut self, seq: Option<i64>, seen: &Seen, due: Moment, at: Moment) {
        self.book.show(seq, seen);
        if seq.is_some_and(|seq| seq <= self.cursor.seq.unwrap_or(0)) {
            return;
        }
        self.moved(seq);
        let is_others = seen.sender != self.world.people[self.number as usize].id;
        if is_others && seen.key.run == self.world.run {
            let is_load = self.world.load.has(due);
            self.meter.delivered(is_load, due >= self.back_since, due, at);
        }
    }

    /// The cursor moved; without numbers, it counts.
    fn moved(&mut self, seq: Option<i64>) {
        let mark = &self.world.marks[self.number as usize].cursor;
        match seq {
            Some(seq) => {
                self.cursor.seq = Some(seq);
                mark.store(seq, Relaxed);
            }
            None => {
                mark.fetch_add(1, Relaxed);
            }
        }
    }

    /// The socket is gone. What was under way on it is sent again on the next one.
    fn lose(&mut self) {
        let under_way = self.outbox.rewind();
        let mark = &self.world.marks[self.number as usize];
        let was_ready = mark.is_ready.swap(false, Relaxed);
        self.meter.with(|counts| {
            counts.in_flight -= under_way;
            counts.connected -= u64::from(was_ready);
        });
        self.lost_at = (was_ready && !self.is_over).then(|| self.world.clock.now());
    }

    fn note_unsent(&self) {
        let unsent = u32::try_from(self.outbox.len()).unwrap_or(u32::MAX);
        self.world.marks[self.number as usize].unsent.store(unsent, Relaxed);
    }

    /// Something that no server may do. It ends the run.
    fn broken(&self, what: impl FnOnce() -> String) {
        let mut broken = self.world.broken.lock();
        if broken.is_none() {
            *broken = Some(format!("phone {}: {}", self.number, what()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_with_nothing_unsent_may_still_be_told_to_write() {
        let mark = Mark { is_ready: true.into(), ..Mark::default() };
        assert!(!mark.is_settled());
        mark.has_written.store(true, Release);
        assert!(mark.is_settled());
        mark.unsent.store(1, Relaxed);
        assert!(!mark.is_settled());
    }
}
