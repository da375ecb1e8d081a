//! Compares what was delivered with the database, so that a lost hint costs at most one interval.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use super::{Delivery, Timeline, carry_out, restart};
use crate::{
    domain::{Epoch, Seq, UserId},
    hub::Local,
    protocol::event::EventFrame,
    store::{Standing, StoreError},
};

/// How many users are compared with one query.
const SLICE: usize = 500;

/// How long news that the database has may still be under way before it counts as lost.
const SETTLE: Duration = Duration::from_millis(500);

/// How many times within an interval the users who are due are collected.
const LOOKS: u32 = 10;

/// Compares each local user once in each `interval`, for ever: the first time within one of opening a
/// socket. What was lost is repaired within that time too.
pub async fn reconcile(delivery: Arc<Delivery>, interval: Duration) {
    let period = interval.saturating_sub(SETTLE).max(interval / 2);
    let look = period / LOOKS;
    let mut schedule = Schedule::new(period);
    loop {
        tokio::time::sleep(jittered(look)).await;
        let slices = schedule.due(delivery.users(), look);
        if !slices.is_empty() {
            delivery.watch_epoch().await;
        }
        for slice in slices {
            compare(&delivery, &slice).await;
        }
    }
}

/// Compares all local users at once: signals may have been lost.
pub(super) async fn compare_all(delivery: &Arc<Delivery>) {
    delivery.watch_epoch().await;
    for slice in delivery.slices() {
        compare(delivery, &slice).await;
    }
}

/// Three quarters of a duration to all of it, so that replicas do not read in step.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.75..=1.0))
}

/// When each user is to be compared: not later than `period` after the last time, or after the first
/// socket opened.
struct Schedule {
    period: Duration,
    due: HashMap<UserId, Instant>,
    looked_at: Instant,
}

impl Schedule {
    fn new(period: Duration) -> Self {
        Self { period, due: HashMap::new(), looked_at: Instant::now() }
    }

    /// Those of these users who cannot wait for the next look, in `look` at most, in slices that are
    /// filled with those whose turn is next: one query reads a slice as fast as it reads one user.
    fn due(&mut self, users: Vec<UserId>, look: Duration) -> Vec<Vec<UserId>> {
        let now = Instant::now();
        // Who was not here at the last look has opened a socket since.
        let at_latest = self.looked_at + self.period;
        let turn = |user| (self.due.get(&user).copied().unwrap_or(at_latest), user);
        let mut turns: Vec<_> = users.into_iter().map(turn).collect();
        turns.sort_unstable();
        // Each look has its share of a crowd, so that not all of it is due at the same time.
        let share = turns.len().div_ceil(SLICE) / LOOKS as usize;
        let slices: Vec<Vec<_>> = turns
            .chunks(SLICE)
            .enumerate()
            .take_while(|(place, slice)| *place < share || slice[0].0 <= now + look)
            .map(|(_, slice)| slice.iter().map(|(_, user)| *user).collect())
            .collect();
        self.due = turns.into_iter().map(|(due, user)| (user, due)).collect();
        let compared = slices.iter().flatten().map(|user| (*user, now + self.period));
        self.due.extend(compared);
        self.looked_at = now;
        slices
    }
}

/// Reads where these users' timelines end, and repairs a moment later who does not know of it by then.
async fn compare(delivery: &Arc<Delivery>, users: &[UserId]) {
    let begun = Instant::now();
    let unknown = match delivery.unknown(users).await {
        Ok(unknown) => unknown,
        Err(error) => {
            tracing::warn!(%error, users = users.len(), "not reconciled");
            return;
        }
    };
    metrics::histogram!("imserver_reconcile_seconds").record(begun.elapsed());
    if unknown.is_empty() {
        return;
    }
    let repairing = Arc::clone(delivery);
    delivery.tasks.spawn(async move {
        tokio::time::sleep(SETTLE).await;
        for (user, last) in unknown {
            repairing.hub.with(user, |Local { sockets, state }| {
                if state.lags(last) {
                    tracing::info!(%user, %last, "a hint was lost, repaired from the database");
                    metrics::counter!("imserver_reconcile_repairs_total").increment(1);
                }
                state.raise(last, |id, effect| carry_out(sockets, id, effect));
            });
        }
    });
}

impl Delivery {
    /// Learns of the database's history. Where it has changed, every client here loads anew.
    fn note_epoch(&self, epoch: Epoch) {
        let before = std::mem::replace(&mut *self.epoch.lock(), epoch);
        if before != epoch {
            tracing::warn!(%before, %epoch, "the database's history has changed, clients load anew");
            self.hub.for_each(|_, local| restart(local));
        }
    }

    /// Where a user's timeline stands. Whoever comes to a new history first is the one to notice it.
    pub async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        let standing = self.store.standing(user).await?;
        self.note_epoch(standing.epoch);
        Ok(standing)
    }

    async fn watch_epoch(&self) {
        match self.store.epoch().await {
            Ok(epoch) => self.note_epoch(epoch),
            Err(error) => tracing::warn!(%error, "epoch not read"),
        }
    }

    /// The users who have sockets here, as many together as one query reads.
    pub(super) fn slices(&self) -> Vec<Vec<UserId>> {
        self.users().chunks(SLICE).map(<[UserId]>::to_vec).collect()
    }

    fn users(&self) -> Vec<UserId> {
        let mut users = Vec::new();
        self.hub.for_each(|user, _| users.push(user));
        users
    }

    /// Where the timelines of those of these users end whose sockets here do not all know of it: they lag
    /// behind, or have read the database before and are not live yet.
    async fn unknown(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError> {
        let mut last_seqs = self.store.last_seqs(users).await?;
        last_seqs.retain(|user, last| {
            let is_unknown = |local: &mut Local<Timeline<EventFrame>>| {
                local.state.head() < *last || local.state.lags(*last)
            };
            self.hub.with(*user, is_unknown).unwrap_or(false)
        });
        Ok(last_seqs)
    }
}
