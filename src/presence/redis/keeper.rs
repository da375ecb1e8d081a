//! Brings one Redis instance to what this replica holds, and removes what dead replicas held.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use redis::{self, RedisResult, aio::ConnectionLike};
use uuid::Uuid;

use super::{
    Times,
    holdings::Holdings,
    partition::Partition,
    scripts::{Calls, Scripts},
};
use crate::domain::{ConnectionId, UserId};

/// The most sockets or users that one script, or one call of several, works on.
const CHUNK: usize = 500;

/// How many partitions are swept with one call.
const SWEPT_TOGETHER: usize = 8;

/// The most generations whose end is still to be told. Those beyond end with their leases.
const MAX_STALE: usize = 8;

/// What a replica does to one instance, call by call. It has no tasks and no timers of its own.
///
/// Whatever Redis has not confirmed is in doubt: the partition's next generation joins all sockets
/// again, and commands of the last one that are still under way come to nothing.
#[derive(Debug)]
pub struct Keeper {
    scripts: Arc<Scripts>,
    namespace: String,
    times: Times,
    holdings: Arc<Holdings>,
    /// New for each process, so that nothing of a former one is taken for ours.
    replica: String,
    slots: BTreeMap<Partition, Slot>,
    /// The run of the Redis server that was written to last.
    run: Option<String>,
}

/// This replica's side of a partition.
#[derive(Debug)]
struct Slot {
    generation: u64,
    /// Former generations whose leases may stand.
    stale: Vec<u64>,
    /// Whether Redis may have something else than what is held here.
    in_doubt: bool,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many users an incarnation without a lease held.
    pub reaped: u64,
    /// How many graces were over.
    pub over: u64,
    /// Whether another sweep has more to do at once.
    pub has_more: bool,
}

impl Keeper {
    /// A keeper of these partitions, which has entered none of them yet.
    pub fn new(
        scripts: Arc<Scripts>,
        namespace: &str,
        times: Times,
        holdings: Arc<Holdings>,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Self {
        let slot =
            |partition| (partition, Slot { generation: 0, stale: Vec::new(), in_doubt: true });
        Self {
            scripts,
            namespace: namespace.to_owned(),
            times,
            holdings,
            replica: Uuid::new_v4().simple().to_string(),
            slots: partitions.into_iter().map(slot).collect(),
            run: None,
        }
    }

    /// What it calls this replica.
    pub(super) fn replica(&self) -> &str {
        &self.replica
    }

    /// Begins to use a new connection. Behind it may be another server, or one that has started
    /// with less than was written, or with more.
    pub async fn reconnected(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let info: String = redis::cmd("INFO").arg("server").query_async(connection).await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned);
        if run.is_none() || run != self.run {
            self.slots.values_mut().for_each(|slot| slot.in_doubt = true);
        }
        self.run = run;
        Ok(())
    }

    /// Whether Redis has what is held in the partition of this user.
    pub fn is_settled(&self, user: UserId) -> bool {
        self.slots.get(&Partition::of(user)).is_some_and(|slot| !slot.in_doubt)
    }

    /// Notes that a change of this user was not applied.
    pub fn fall_behind(&mut self, user: UserId) {
        if let Some(slot) = self.slots.get_mut(&Partition::of(user)) {
            slot.in_doubt = true;
        }
    }

    /// Brings Redis to what is held now of these sockets.
    pub async fn apply(
        &mut self,
        connection: &mut impl ConnectionLike,
        sockets: &[(UserId, ConnectionId)],
    ) -> RedisResult<()> {
        self.repair(connection).await?;
        let mut changes: BTreeMap<Partition, [Vec<_>; 2]> = BTreeMap::new();
        for &(user, socket) in sockets.iter().collect::<BTreeSet<_>>() {
            // What is so now, rather than what was asked: requests may overtake each other.
            let is_leaving = !self.holdings.has(user, socket);
            let [joining, leaving] = changes.entry(Partition::of(user)).or_default();
            if is_leaving { leaving } else { joining }.push((user.get(), socket.get()));
        }
        let mut calls = Calls::new(&self.scripts, &self.namespace);
        let mut asked = Vec::new();
        for (&partition, [joining, leaving]) in &changes {
            let Some(slot) = self.slots.get_mut(&partition).filter(|slot| !slot.in_doubt) else {
                continue;
            };
            slot.in_doubt = true;
            // Those who come first, so that somebody who changes sockets does not seem to go.
            if !joining.is_empty() {
                asked.push(partition);
                let call = calls.add(&self.scripts.join, partition);
                call.arg(&self.replica).arg(slot.generation).arg(joining);
            }
            if !leaving.is_empty() {
                asked.push(partition);
                let call = calls.add(&self.scripts.leave, partition);
                call.arg(&self.replica).arg(slot.generation);
                call.arg(millis(self.times.grace)).arg(leaving);
            }
        }
        let answers: Vec<bool> = calls.make(connection).await?;
        self.settle(&asked, &answers);
        self.repair(connection).await
    }

    /// Renews the leases, and brings Redis to what is held wherever that is in doubt.
    pub async fn beat(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut calls = Calls::new(&self.scripts, &self.namespace);
        let mut asked = Vec::new();
        for (&partition, slot) in self.slots.iter().filter(|(_, slot)| !slot.in_doubt) {
            asked.push(partition);
            let call = calls.add(&self.scripts.beat, partition);
            call.arg(&self.replica).arg(slot.generation).arg(millis(self.times.lease));
        }
        let answers: Vec<bool> = calls.make(connection).await?;
        self.settle(&asked, &answers);
        self.repair(connection).await?;
        self.retire(connection).await?;
        for (&partition, _) in self.slots.iter().filter(|(_, slot)| !slot.in_doubt) {
            self.holdings.forget_departed(partition, self.times.lease + self.times.grace);
        }
        Ok(())
    }

    /// Reaps a chunk of each incarnation without a lease, and announces a chunk of those whose grace
    /// is over.
    pub async fn sweep(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<Swept> {
        let partitions: Vec<_> = self.slots.keys().copied().collect();
        let mut swept = Swept::default();
        for together in partitions.chunks(SWEPT_TOGETHER) {
            let mut calls = Calls::new(&self.scripts, &self.namespace);
            for &partition in together {
                let call = calls.add(&self.scripts.sweep, partition);
                call.arg(&self.replica).arg(millis(self.times.lease));
                call.arg(millis(self.times.grace)).arg(CHUNK);
            }
            let answers: Vec<(u64, u64, bool)> = calls.make(connection).await?;
            for (reaped, over, has_more) in answers {
                swept.reaped += reaped;
                swept.over += over;
                swept.has_more |= has_more;
            }
        }
        metrics::counter!("imserver_presence_reaped_total").increment(swept.reaped);
        Ok(swept)
    }

    /// Leaves with all sockets and deletes the lease.
    pub async fn close(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut calls = Calls::new(&self.scripts, &self.namespace);
        for (&partition, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.generation > 0) {
            // One that holds nothing. So what the last one held has left, with its grace, rather
            // than died.
            slot.begin_generation();
            let call = calls.add(&self.scripts.enter, partition);
            call.arg(&self.replica).arg(slot.generation).arg(millis(self.times.lease));
        }
        calls.make::<bool>(connection).await?;
        self.retire(connection).await?;
        while self.sweep(connection).await?.has_more {}
        self.slots.values_mut().for_each(|slot| slot.stale.push(slot.generation));
        self.retire(connection).await?;
        self.sweep(connection).await?;
        Ok(())
    }

    /// Takes note of what Redis has answered, call by call: whether the lease stood.
    fn settle(&mut self, asked: &[Partition], answers: &[bool]) {
        let fenced: BTreeSet<_> =
            asked.iter().zip(answers).filter(|(_, stood)| !**stood).map(|(p, _)| *p).collect();
        for partition in asked {
            if let Some(slot) = self.slots.get_mut(partition) {
                slot.in_doubt = fenced.contains(partition);
            }
        }
        if !fenced.is_empty() {
            metrics::counter!("imserver_presence_fenced_total").increment(fenced.len() as u64);
            tracing::warn!(partitions = fenced.len(), "presence lease lost, joining all again");
        }
    }

    /// Joins all sockets again where Redis is in doubt, in a new generation.
    async fn repair(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        for (&partition, slot) in &mut self.slots {
            slot.in_doubt |= self.holdings.take_behind(partition);
        }
        let mut calls = Calls::new(&self.scripts, &self.namespace);
        let mut entering = Vec::new();
        for (&partition, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.in_doubt) {
            slot.begin_generation();
            let call = calls.add(&self.scripts.enter, partition);
            call.arg(&self.replica).arg(slot.generation).arg(millis(self.times.lease));
            entering.push((partition, slot.generation));
        }
        if entering.is_empty() {
            return Ok(());
        }
        let entered: Vec<bool> = calls.make(connection).await?;
        let entered: Vec<_> = entering
            .into_iter()
            .zip(entered)
            .filter(|(_, entered)| *entered)
            .map(|e| e.0)
            .collect();
        let refused = self.join_all(connection, &entered).await?;
        self.depart_all(connection, &entered).await?;
        for (partition, _) in entered {
            if let Some(slot) = self.slots.get_mut(&partition) {
                slot.in_doubt = refused.contains(&partition);
            }
        }
        // Not before all have joined, so that nobody seems to go.
        self.retire(connection).await
    }

    /// Joins all sockets of these partitions, and returns those whose lease was lost meanwhile.
    async fn join_all(
        &self,
        connection: &mut impl ConnectionLike,
        entered: &[(Partition, u64)],
    ) -> RedisResult<BTreeSet<Partition>> {
        let mut refused = BTreeSet::new();
        let mut batch = Batch::new(self);
        for &(partition, generation) in entered {
            for sockets in self.holdings.sockets(partition).chunks(CHUNK) {
                let sockets: Vec<_> = sockets.iter().map(|(u, c)| (u.get(), c.get())).collect();
                let call = batch.calls.add(&self.scripts.join, partition);
                call.arg(&self.replica).arg(generation).arg(&sockets);
                refused.extend(batch.added(connection, partition, sockets.len()).await?);
            }
        }
        refused.extend(batch.flush(connection).await?);
        Ok(refused)
    }

    /// Has those announced who left while Redis was in doubt.
    async fn depart_all(
        &self,
        connection: &mut impl ConnectionLike,
        entered: &[(Partition, u64)],
    ) -> RedisResult<()> {
        let mut batch = Batch::new(self);
        // Other replicas may need a heartbeat to join again those who have moved to them.
        let grace = millis(self.times.grace + self.times.heartbeat);
        for &(partition, _) in entered {
            for users in self.holdings.departed(partition).chunks(CHUNK) {
                let users: Vec<_> = users.iter().map(|(u, ago)| (u.get(), millis(*ago))).collect();
                batch.calls.add(&self.scripts.depart, partition).arg(grace).arg(&users);
                batch.added(connection, partition, users.len()).await?;
            }
        }
        batch.flush(connection).await?;
        Ok(())
    }

    /// Ends the leases of former generations.
    async fn retire(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut calls = Calls::new(&self.scripts, &self.namespace);
        for (&partition, slot) in self.slots.iter().filter(|(_, slot)| !slot.stale.is_empty()) {
            calls.add(&self.scripts.retire, partition).arg(&self.replica).arg(&slot.stale);
        }
        calls.make::<bool>(connection).await?;
        self.slots.values_mut().for_each(|slot| slot.stale.clear());
        Ok(())
    }
}

impl Slot {
    fn begin_generation(&mut self) {
        if self.generation > 0 && self.stale.len() < MAX_STALE {
            self.stale.push(self.generation);
        }
        self.generation += 1;
    }
}

/// Calls that are made whenever they have come to a chunk.
struct Batch<'a> {
    keeper: &'a Keeper,
    calls: Calls<'a>,
    asked: Vec<Partition>,
    items: usize,
}

impl<'a> Batch<'a> {
    fn new(keeper: &'a Keeper) -> Self {
        let calls = Calls::new(&keeper.scripts, &keeper.namespace);
        Self { keeper, calls, asked: Vec::new(), items: 0 }
    }

    /// Notes what was added, and returns the partitions that refused.
    async fn added(
        &mut self,
        connection: &mut impl ConnectionLike,
        partition: Partition,
        items: usize,
    ) -> RedisResult<Vec<Partition>> {
        self.asked.push(partition);
        self.items += items;
        if self.items < CHUNK { Ok(Vec::new()) } else { self.flush(connection).await }
    }

    async fn flush(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<Vec<Partition>> {
        let Self { calls, asked, .. } = std::mem::replace(self, Self::new(self.keeper));
        let answers: Vec<bool> = calls.make(connection).await?;
        Ok(asked.into_iter().zip(answers).filter(|(_, done)| !done).map(|(p, _)| p).collect())
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
