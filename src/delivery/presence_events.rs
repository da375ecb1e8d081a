//! Tells those who watch a user, and the outbox, that the user came or went, and notes when.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rand::Rng;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::Delivery;
use crate::{domain::UserId, presence::Transition, protocol::server::ServerFrame};

/// The most transitions that are noted with one write.
const BATCH: usize = 500;

/// How long the other replicas wait for the one that announced a transition to note it, at least and at
/// most.
const NOTE_WAIT: std::ops::RangeInclusive<u64> = 6_000..=10_000;

/// How long arrivals wait for others, to be told of by one write. Less than the time for which a user is still
/// online without sockets, so that a departure is told of later.
const ARRIVAL_WAIT: Duration = Duration::from_secs(1);

/// How many users wait to be noted. `lastSeenAt` of those beyond does not change, and nothing tells of them.
const MAX_WAITING: usize = 65_536;

/// Notes and announces transitions until the register of presence ends. A transition that comes twice is
/// noted and announced twice, which changes nothing.
pub async fn announce(delivery: Arc<Delivery>, mut transitions: mpsc::Receiver<Transition>) {
    let mut notes = Notes::new(Arc::clone(&delivery));
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = transitions.recv_many(&mut batch, BATCH) => if taken == 0 {
                return notes.write_arrivals().await;
            },
            () = notes.due() => {
                notes.write_due().await;
                continue;
            }
        }
        let mut newest: HashMap<UserId, Transition> = HashMap::new();
        for transition in batch.drain(..) {
            let kept = newest.entry(transition.user).or_insert(transition);
            if kept.version < transition.version {
                *kept = transition;
            }
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            newest.values().copied().partition(|change| change.is_ours);
        let (came, gone): (Vec<_>, Vec<_>) = ours.into_iter().partition(|change| change.online);
        // Only a departure: that somebody came is noted nowhere else, and would be told again.
        notes.postpone(others.into_iter().filter(|change| !change.online));
        // First, so that whoever asks after the announcement gets the same answer.
        notes.write(&gone).await;
        for change in newest.values().filter(|c| delivery.watchers.is_watched(c.user)) {
            let frame = ServerFrame::Presence {
                user_id: change.user,
                online: change.online,
                last_seen_at: (!change.online).then_some(change.at),
            };
            delivery.watchers.notify(change.user, &frame.encode());
        }
        notes.arrive(came).await;
    }
}

/// Transitions on their way to the database: when users were last seen, and entries of the outbox. The replica
/// that announced one writes at once, or soon if it is an arrival. Of a departure the others write later, in case that it died; usually
/// this changes nothing.
struct Notes {
    delivery: Arc<Delivery>,
    /// Random, so that one of several replicas writes first.
    wait: Duration,
    waiting: VecDeque<(Instant, Transition)>,
    arrivals: Vec<Transition>,
    arrivals_due: Option<Instant>,
}

impl Notes {
    fn new(delivery: Arc<Delivery>) -> Self {
        let wait = Duration::from_millis(rand::rng().random_range(NOTE_WAIT));
        let (waiting, arrivals) = (VecDeque::new(), Vec::new());
        Self { delivery, wait, waiting, arrivals, arrivals_due: None }
    }

    async fn write(&mut self, changes: &[Transition]) {
        for online in [false, true] {
            let changes: Vec<_> = changes.iter().filter(|change| change.online == online).collect();
            let noted: Vec<_> = changes.iter().map(|change| (change.user, change.at)).collect();
            if noted.is_empty() {
                continue;
            }
            let store = &self.delivery.store;
            let written = if online {
                store.tell_online(&noted).await
            } else {
                store.save_last_seen(&noted).await
            };
            if let Err(error) = written {
                tracing::warn!(%error, users = noted.len(), online, "not noted, later again");
                self.postpone(changes.into_iter().copied());
            }
        }
    }

    fn postpone(&mut self, changes: impl IntoIterator<Item = Transition>) {
        let due = Instant::now() + self.wait;
        for change in changes {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back((due, change));
            } else {
                metrics::counter!("imserver_last_seen_dropped_total").increment(1);
            }
        }
    }

    async fn arrive(&mut self, came: Vec<Transition>) {
        if came.is_empty() {
            return;
        }
        self.arrivals_due.get_or_insert_with(|| Instant::now() + ARRIVAL_WAIT);
        self.arrivals.extend(came);
        if self.arrivals.len() >= BATCH {
            self.write_arrivals().await;
        }
    }

    async fn write_arrivals(&mut self) {
        self.arrivals_due = None;
        for arrivals in std::mem::take(&mut self.arrivals).chunks(BATCH) {
            self.write(arrivals).await;
        }
    }

    /// Waits until something is due; for ever if nothing waits.
    async fn due(&self) {
        let first = self.waiting.front().map(|(due, _)| *due);
        match first.into_iter().chain(self.arrivals_due).min() {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    async fn write_due(&mut self) {
        let now = Instant::now();
        if self.arrivals_due.is_some_and(|due| due <= now) {
            self.write_arrivals().await;
        }
        let due = self.waiting.iter().take(BATCH).take_while(|(due, ..)| *due <= now).count();
        let changes: Vec<_> = self.waiting.drain(..due).map(|(_, change)| change).collect();
        self.write(&changes).await;
    }
}
