//! Compares what was delivered with the database, so that a lost hint costs at most one interval.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng;

use super::{Delivery, carry_out, restart};
use crate::{
    domain::{Epoch, Seq, UserId},
    hub::Local,
    store::{Standing, StoreError},
};

/// How many users are compared with one query.
const SLICE: usize = 500;

/// How long news that the database has may still be under way before it counts as lost.
const SETTLE: Duration = Duration::from_millis(500);

/// Compares all local users once in each `interval`, in slices spread over it, for ever.
pub async fn reconcile(delivery: Arc<Delivery>, interval: Duration) {
    loop {
        let slices = delivery.slices();
        let pause = interval / u32::try_from(slices.len().max(1)).unwrap_or(u32::MAX);
        if slices.is_empty() {
            tokio::time::sleep(jittered(pause)).await;
        }
        delivery.watch_epoch().await;
        for slice in slices {
            tokio::time::sleep(jittered(pause).saturating_sub(SETTLE)).await;
            compare(&delivery, &slice).await;
        }
    }
}

/// Compares all local users at once: signals may have been lost.
pub(super) async fn compare_all(delivery: &Delivery) {
    delivery.watch_epoch().await;
    for slice in delivery.slices() {
        compare(delivery, &slice).await;
    }
}

/// Three quarters of a duration to all of it, so that replicas do not read in step.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.75..=1.0))
}

async fn compare(delivery: &Delivery, users: &[UserId]) {
    let begun = Instant::now();
    let lagging = match delivery.lagging(users).await {
        Ok(lagging) => lagging,
        Err(error) => {
            tracing::warn!(%error, users = users.len(), "not reconciled");
            return;
        }
    };
    metrics::histogram!("imserver_reconcile_seconds").record(begun.elapsed());
    tokio::time::sleep(SETTLE).await;
    for (user, last) in lagging {
        delivery.hub.with(user, |Local { sockets, state }| {
            if state.lags(last) {
                tracing::info!(%user, %last, "a hint was lost, repaired from the database");
                metrics::counter!("imserver_reconcile_repairs_total").increment(1);
            }
            state.raise(last, |id, effect| carry_out(sockets, id, effect));
        });
    }
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
        let mut users = Vec::new();
        self.hub.for_each(|user, _| users.push(user));
        users.chunks(SLICE).map(<[UserId]>::to_vec).collect()
    }

    async fn lagging(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError> {
        let mut last_seqs = self.store.last_seqs(users).await?;
        last_seqs.retain(|user, last| {
            self.hub.with(*user, |local| local.state.lags(*last)).unwrap_or(false)
        });
        Ok(last_seqs)
    }
}
