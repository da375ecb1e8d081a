//! Detects replicas that share the database but no Redis, as after a failover that some of them have not
//! followed: each works by itself, and neither receives what the other publishes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::Rng;

use super::Delivery;
use crate::{clock::Timestamp, domain::ReplicaId, store::StoreError};

/// The longest polling interval.
const MAX_INTERVAL: Duration = Duration::from_secs(20);

/// How often a replica must have noted in the database that it is on the bus, while it was not there: one poll
/// may fall into a failover.
const ROUNDS: u32 = 3;

/// A live replica that is not on this one's bus.
struct Missed {
    /// When it last noted that it is alive.
    seen_at: Timestamp,
    /// How often it has noted that.
    rounds: u32,
}

/// Looks for the other replicas, for ever. Ends at once where there can be none.
pub async fn watch_bus(delivery: Arc<Delivery>, interval: Duration) {
    let Some(me) = delivery.bus.replica() else { return };
    metrics::gauge!("imserver_bus_split").set(0.0);
    let mut missed = HashMap::new();
    let mut is_failing = false;
    loop {
        let wait = interval.min(MAX_INTERVAL).mul_f64(rand::rng().random_range(0.75..=1.0));
        tokio::time::sleep(wait).await;
        let looked = look(&delivery, me, &mut missed).await;
        if let Err(error) = &looked
            && !is_failing
        {
            tracing::warn!(%error, "other replicas not looked for");
        }
        is_failing = looked.is_err();
    }
}

async fn look(
    delivery: &Delivery,
    me: ReplicaId,
    missed: &mut HashMap<ReplicaId, Missed>,
) -> Result<(), StoreError> {
    // Without a writable connection the others cannot find this replica.
    let is_heard = delivery.bus.out_of_reach(&[me]).await.is_ok_and(|away| away.is_empty());
    let others = delivery.store.note_replica(me, is_heard).await?;
    if !is_heard {
        return Ok(());
    }
    let ids: Vec<_> = others.keys().copied().collect();
    let Ok(away) = delivery.bus.out_of_reach(&ids).await else { return Ok(()) };
    missed.retain(|replica, _| away.contains(replica));
    for replica in away {
        let seen_at = others[&replica];
        match missed.entry(replica) {
            Entry::Vacant(entry) => {
                entry.insert(Missed { seen_at, rounds: 1 });
            }
            // A dead replica does not note it again.
            Entry::Occupied(mut entry) if entry.get().seen_at < seen_at => {
                let rounds = entry.get().rounds + 1;
                entry.insert(Missed { seen_at, rounds });
            }
            Entry::Occupied(_) => {}
        }
    }
    delivery.note_split(missed);
    Ok(())
}

impl Delivery {
    /// Whether live replicas are on another bus than this one.
    pub fn is_split(&self) -> bool {
        self.is_split.load(Ordering::Relaxed)
    }

    fn note_split(&self, missed: &HashMap<ReplicaId, Missed>) {
        let replicas = missed.values().filter(|missed| missed.rounds >= ROUNDS).count();
        let is_split = replicas > 0;
        metrics::gauge!("imserver_bus_split").set(if is_split { 1.0 } else { 0.0 });
        match (self.is_split.swap(is_split, Ordering::Relaxed), is_split) {
            (false, true) => tracing::error!(
                replicas,
                "replicas with the same database share no Redis with this one: chats between them \
                 come late, typing never; see that all reach the same master"
            ),
            (true, false) => tracing::info!("all replicas share a Redis again"),
            _ => {}
        }
        // The address may lead to the master by now. Retries become rarer, in case that it never does.
        let rounds = missed.values().map(|missed| missed.rounds).max().unwrap_or_default();
        if rounds % ROUNDS == 0 && (rounds / ROUNDS).is_power_of_two() {
            self.bus.renew();
        }
    }
}
