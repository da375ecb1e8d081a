//! Who takes part in a load, and what people do in it.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use phone::{Order, Orders, World, ledger::Change};
use rand::seq::IndexedRandom;
use tokio::time::sleep;

/// The most chats in an outbox: people who see that nothing goes out stop writing.
const OUTBOX: u32 = 8;
/// How many people of a group come and go.
const ROVERS: usize = 2;
/// From one change in a group to the next, on average.
const CHANGE_EVERY: Duration = Duration::from_millis(60);

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many people write to each other.
    pub users: usize,
    /// How many of them have a second phone, at another replica.
    pub pairs: usize,
    /// How many people only listen, each to one who writes at another replica. The others' own chats
    /// show them what they miss; these have nothing but the bus and the comparison with the database.
    pub listeners: usize,
    /// Chats in a second, of all phones together.
    pub rate: u32,
    /// Groups, over which all these people are dealt out. In each, [`ROVERS`] who write come and go all the
    /// time, and chats are recalled and deleted.
    pub groups: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { users: 20, pairs: 4, listeners: 6, rate: 150, groups: 0 }
    }
}

/// Where a phone begins, and to whom it writes: places in the list of people.
pub(super) struct Part {
    pub(super) person: usize,
    pub(super) at: usize,
    pub(super) peers: Vec<usize>,
    pub(super) group: Option<usize>,
}

/// The people of a group: places in the list of people.
pub(super) struct Talk {
    /// The first one owns it.
    pub(super) stayers: Vec<usize>,
    pub(super) rovers: Vec<usize>,
    pub(super) listeners: Vec<usize>,
}

impl Size {
    /// The group of somebody who writes, or of somebody who listens.
    fn group_of(self, place: usize, all: usize) -> Option<usize> {
        (self.groups > 0).then(|| place * self.groups / all)
    }

    pub(super) fn talks(self) -> Vec<Talk> {
        let of = |group, all| (0..all).filter(move |at| self.group_of(*at, all) == Some(group));
        let talks = (0..self.groups).map(|group| {
            let mut stayers: Vec<_> = of(group, self.users).collect();
            let rovers = stayers.split_off(stayers.len() - ROVERS);
            let listeners = of(group, self.listeners).map(|at| self.users + at).collect();
            Talk { stayers, rovers, listeners }
        });
        talks.collect()
    }

    /// The phones: of the people who write, then of those who listen.
    pub(super) fn parts(self) -> Vec<Part> {
        let mut parts = Vec::new();
        for person in 0..self.users {
            // Neighbours write to each other; some write to themselves.
            let own = usize::from(!person.is_multiple_of(5));
            let mut peers =
                [1, self.users - 1, 7, own].map(|offset| (person + offset) % self.users).to_vec();
            let group = self.group_of(person, self.users);
            if person < self.pairs {
                parts.push(Part { person, at: person + 1, peers: peers.clone(), group });
            }
            if person < self.listeners {
                let listener = self.users + person;
                peers.push(listener);
                parts.push(Part { person: listener, at: person + 1, peers: vec![], group: None });
            }
            parts.push(Part { person, at: person, peers, group });
        }
        parts
    }
}

/// Has people of a group come and go, recall and delete, one after the other, until it is told to stop.
pub(super) async fn change(
    world: Arc<World>,
    group: usize,
    stayers: Vec<u32>,
    rovers: Vec<u32>,
    stop: Arc<AtomicBool>,
) {
    let group = world.groups[group].id;
    let mut away = HashSet::new();
    for turn in 0.. {
        sleep(CHANGE_EVERY.mul_f64(rand::random_range(0.5..1.5))).await;
        if stop.load(Relaxed) {
            return;
        }
        let (owner, member) = (stayers[0], *stayers.choose(&mut rand::rng()).unwrap());
        let rover = *rovers.choose(&mut rand::rng()).unwrap();
        let user = |phone: u32| world.people[phone as usize].id;
        let mark = |phone: u32| &world.marks[phone as usize];
        // The owner may recall what others wrote to the group, and nothing else.
        let (phone, change) = match turn % 5 {
            _ if mark(member).shown_chat.load(Relaxed) == 0 => continue,
            0 if away.contains(&rover) => (member, Change::Join { group, user: user(rover) }),
            0 if rand::random() => (owner, Change::Leave { group, user: user(rover) }),
            0 => (rover, Change::Leave { group, user: user(rover) }),
            1 => (member, Change::Recall { chat: mark(member).own_chat.load(Relaxed) }),
            2 => (owner, Change::Recall { chat: mark(owner).shown_chat.load(Relaxed) }),
            3 => {
                let chat = mark(member).shown_chat.load(Relaxed);
                (member, Change::Delete { user: user(member), chat })
            }
            _ => {
                let chat = mark(rover).shown_chat.load(Relaxed);
                (rover, Change::Delete { user: user(rover), chat })
            }
        };
        let is_done = world.ask(phone, change).await;
        match change {
            Change::Join { .. } | Change::Leave { .. } if !is_done => {
                panic!("it is not known whether {change:?} was done")
            }
            Change::Join { .. } => _ = away.remove(&rover),
            Change::Leave { .. } => _ = away.insert(rover),
            Change::Recall { .. } | Change::Delete { .. } => {}
        }
    }
}

/// Has a phone write to one of these, again and again, while it has a socket.
pub(super) async fn write(
    world: Arc<World>,
    phone: u32,
    orders: Arc<Orders>,
    targets: Vec<i64>,
    pause: Duration,
) {
    let mark = &world.marks[phone as usize];
    loop {
        sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        if mark.is_ready.load(Relaxed) && mark.unsent.load(Relaxed) < OUTBOX {
            let target = *targets.choose(&mut rand::rng()).unwrap();
            orders.give(Order::Write { target, picture: None, due: world.clock.now() });
        }
    }
}
