//! Compares what was delivered with the database, so that a lost hint costs at most one interval.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use super::{Delivery, Timeline, carry_out, restart};
use crate::{
    domain::{Epoch, Seq, UserId},
    hub::Local,
    protocol::event::EventFrame,
    store::{StoreError, TimelineState},
};

/// Users in one query.
const SLICE: usize = 500;

/// How long a hint may be under way before it counts as lost.
const SETTLE: Duration = Duration::from_millis(500);

/// Polls in one interval.
const LOOKS: u32 = 10;

/// Compares each local user with the database once in each `interval`, for ever. A lost hint is repaired within
/// that time.
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

/// Compares all local users at once, after signals may have been lost.
pub(super) async fn compare_all(delivery: &Arc<Delivery>) {
    delivery.watch_epoch().await;
    for slice in delivery.slices() {
        compare(delivery, &slice).await;
    }
}

/// From three quarters of a duration to all of it, so that replicas do not read in step.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.75..=1.0))
}

/// When each user is compared next: at most `period` after the last time, or after the first socket opened.
struct Schedule {
    period: Duration,
    due: HashMap<UserId, Instant>,
    looked_at: Instant,
}

impl Schedule {
    fn new(period: Duration) -> Self {
        Self { period, due: HashMap::new(), looked_at: Instant::now() }
    }

    /// The users who cannot wait for the next poll, `look` from now at most. They come in slices, filled up
    /// with the users who are next: one query reads a slice as fast as one user.
    fn due(&mut self, users: Vec<UserId>, look: Duration) -> Vec<Vec<UserId>> {
        let now = Instant::now();
        // A user who was not here at the last poll has opened a socket since.
        let at_latest = self.looked_at + self.period;
        let turn = |user| (self.due.get(&user).copied().unwrap_or(at_latest), user);
        let mut turns: Vec<_> = users.into_iter().map(turn).collect();
        turns.sort_unstable();
        // Each poll takes its share of a crowd, so that not all are due at the same time.
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

/// Reads where these users' timelines end. Pulls a moment later the sockets that still lack something.
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
    /// Notes the epoch. If it has changed, every client here loads anew.
    fn note_epoch(&self, epoch: Epoch) {
        let before = std::mem::replace(&mut *self.epoch.lock(), epoch);
        if before != epoch {
            tracing::warn!(%before, %epoch, "the database's history has changed, clients load anew");
            self.hub.for_each(|_, local| restart(local));
        }
    }

    /// Where a user's timeline stands. Also notes the epoch that was read with it.
    pub async fn timeline_state(&self, user: UserId) -> Result<TimelineState, StoreError> {
        let state = self.store.timeline_state(user).await?;
        self.note_epoch(state.epoch);
        Ok(state)
    }

    async fn watch_epoch(&self) {
        match self.store.epoch().await {
            Ok(epoch) => self.note_epoch(epoch),
            Err(error) => tracing::warn!(%error, "epoch not read"),
        }
    }

    /// The users who have sockets here, in slices for one query each.
    pub(super) fn slices(&self) -> Vec<Vec<UserId>> {
        self.users().chunks(SLICE).map(<[UserId]>::to_vec).collect()
    }

    fn users(&self) -> Vec<UserId> {
        let mut users = Vec::new();
        self.hub.for_each(|user, _| users.push(user));
        users
    }

    /// Where the timelines end of those users of whom a socket here lags, or has read the database before
    /// and is not live yet.
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
