//! Brings one Redis instance to what is open in this replica, under a lease, and removes what replicas
//! without a lease have left there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{RedisResult, ScriptInvocation, aio::ConnectionLike};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Script, Times};
use crate::{
    domain::{ConnectionId, UserId},
    presence::sockets::{Entry, LocalSockets},
};

/// The most users that one call works on.
const CHUNK: usize = 500;

/// What is open here of the users whom one instance keeps, and of whom Redis was not told that yet.
#[derive(Debug)]
pub struct Held {
    /// The truth, to which Redis is brought.
    pub sockets: LocalSockets,
    changed: BTreeSet<UserId>,
    changes: u64,
}

impl Held {
    /// Nothing yet. Who leaves is announced after `grace`.
    pub fn new(grace: Duration) -> Self {
        Self { sockets: LocalSockets::new(grace), changed: BTreeSet::new(), changes: 0 }
    }

    /// A socket has opened. Returns the number of the change.
    pub fn join(&mut self, user: UserId, connection: ConnectionId) -> u64 {
        self.sockets.join(user, connection);
        self.note(user)
    }

    /// A socket has closed. Returns the number of the change.
    pub fn leave(&mut self, user: UserId, connection: ConnectionId) -> u64 {
        self.sockets.leave(user, connection);
        self.note(user)
    }

    /// Notes whether somebody looks at a socket. Returns the number of the change, if it is one.
    pub fn set_background(
        &mut self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> Option<u64> {
        let is_news = self.sockets.set_background(user, connection, is_background);
        is_news.then(|| self.note(user))
    }

    fn note(&mut self, user: UserId) -> u64 {
        self.changed.insert(user);
        self.changes += 1;
        self.changes
    }

    /// The number of the last change.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }
}

/// What a replica does to one instance, call by call. It has no tasks of its own.
///
/// After any error the caller takes a new connection and says so ([`Self::reconnected`]). What was asked
/// over the last one may still arrive, so everything is written anew under another incarnation, and late
/// calls change nothing but the sets of the former one.
#[derive(Debug)]
pub struct LeaseManager {
    script: Arc<Script>,
    times: Times,
    held: Arc<Mutex<Held>>,
    /// New for each process, so that nothing of a former one is taken for ours.
    replica: String,
    /// Rises with each incarnation of this replica.
    generation: u64,
    /// Whether Redis has what is open here under the present incarnation.
    is_current: bool,
    renew_at: Instant,
    /// No grace ends before.
    graces_from: Instant,
    /// When the next lease of any replica ends, as far as is known.
    lease_ends: Instant,
}

impl LeaseManager {
    /// A manager that has written nothing yet.
    pub fn new(script: Arc<Script>, times: Times, held: Arc<Mutex<Held>>) -> Self {
        let (replica, now) = (Uuid::new_v4().simple().to_string(), Instant::now());
        Self {
            script,
            times,
            held,
            replica,
            generation: 0,
            is_current: false,
            renew_at: now,
            graces_from: now,
            lease_ends: now,
        }
    }

    /// The name of this replica: what its incarnations have in common.
    pub(super) fn replica(&self) -> &str {
        &self.replica
    }

    /// There is a new connection: what was asked over the last one is in doubt.
    pub fn reconnected(&mut self) {
        self.is_current = false;
        self.renew_at = Instant::now();
    }

    /// When [`Self::step`] has something to do, unless something changes before.
    pub(super) fn step_at(&self) -> Instant {
        self.renew_at.min(self.tidy_at())
    }

    fn tidy_at(&self) -> Instant {
        let due = self.held.lock().sockets.next_due().map(|due| due.max(self.graces_from));
        due.map_or(self.lease_ends, |due| due.min(self.lease_ends))
    }

    /// Does what is to be done now. Returns whether Redis then has what is open here.
    pub(super) async fn step(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<bool> {
        if self.renew_at <= Instant::now() {
            self.renew(redis).await?;
        }
        self.apply(redis).await?;
        if self.tidy_at() <= Instant::now() {
            self.tidy(redis).await?;
        }
        Ok(self.is_current)
    }

    /// Renews the lease. One that was lost is begun anew, with all sockets.
    pub async fn renew(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        self.renew_at = Instant::now() + self.times.heartbeat;
        if self.is_current {
            let mut call = self.call("renew");
            call.arg(millis(self.times.lease));
            let (stood, ends_in) = call.invoke_async(redis).await?;
            self.note_lease(ends_in);
            self.note_current(stood);
        }
        self.ensure_current(redis).await
    }

    /// Writes what has changed.
    pub async fn apply(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        let changed = std::mem::take(&mut self.held.lock().changed);
        if self.is_current {
            let changed: Vec<_> = changed.into_iter().collect();
            let stood = self.write(redis, &changed, false).await?;
            self.note_current(stood);
        }
        self.ensure_current(redis).await
    }

    /// Announces those whose grace is over, and removes some users of a replica whose lease has ended.
    pub async fn tidy(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        self.ensure_current(redis).await?;
        if self.graces_from <= Instant::now() {
            let over = self.held.lock().sockets.over();
            let users: Vec<_> = over.iter().map(|(user, _)| *user).collect();
            let stood = self.write(redis, &users, true).await?;
            self.note_current(stood);
            if !stood {
                return self.ensure_current(redis).await;
            }
            let mut held = self.held.lock();
            for (user, since) in over {
                held.sockets.forget(user, since);
            }
        }
        if self.lease_ends <= Instant::now() {
            let mut call = self.call("reap");
            call.arg(millis(self.times.lease)).arg(CHUNK);
            let (reaped, ends_in) = call.invoke_async(redis).await?;
            self.note_lease(ends_in);
            metrics::counter!("imserver_presence_reaped_total").increment(reaped);
        }
        Ok(())
    }

    /// Leaves with all sockets. The lease stands for the grace, after which another replica announces
    /// those who are not back.
    pub async fn close(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        self.ensure_current(redis).await?;
        self.call("close").arg(millis(self.times.grace)).invoke_async(redis).await
    }

    /// Begins an incarnation, unless Redis has what is open here under the present one.
    async fn ensure_current(&mut self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        if self.is_current {
            return Ok(());
        }
        self.generation += 1;
        let lease = millis(self.times.lease);
        let ends_in = self.call("begin").arg(lease).invoke_async(redis).await?;
        self.note_lease(ends_in);
        if self.generation > 1 {
            // If Redis has forgotten all, others need as long to write whoever has moved to them.
            self.graces_from = Instant::now() + self.times.heartbeat;
        }
        let users = self.held.lock().sockets.users();
        self.is_current = self.write(redis, &users, false).await?;
        if self.is_current {
            // Only now, so that nobody seems to go.
            let ends_in = self.call("end_lease").invoke_async(redis).await?;
            self.note_lease(ends_in);
        }
        Ok(())
    }

    /// Begins a call for the present incarnation.
    fn call(&self, command: &str) -> ScriptInvocation<'_> {
        let mut call = self.script.call(command);
        call.arg(format!("{}.{}", self.replica, self.generation));
        call
    }

    fn note_lease(&mut self, ends_in: i64) {
        let ends_in = Duration::from_millis(u64::try_from(ends_in).unwrap_or(0));
        self.lease_ends = Instant::now() + ends_in;
    }

    fn note_current(&mut self, stood: bool) {
        self.is_current = stood;
        if !stood {
            metrics::counter!("imserver_presence_fenced_total").increment(1);
            tracing::warn!("presence lease lost, writing all sockets anew");
        }
    }

    /// Writes what is open of these users now, and returns whether the lease stood.
    async fn write(
        &self,
        redis: &mut impl ConnectionLike,
        users: &[UserId],
        grace_is_over: bool,
    ) -> RedisResult<bool> {
        for users in users.chunks(CHUNK) {
            let mut call = self.call("write");
            for user in users {
                call.arg(user.get()).arg(self.open_of(*user, grace_is_over));
            }
            if !call.invoke_async(redis).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is open of a user, as the script takes it.
    fn open_of(&self, user: UserId, grace_is_over: bool) -> String {
        let sockets = &self.held.lock().sockets;
        match sockets.get(user) {
            Some(Entry::Open(ids)) => {
                let list = |ids: &mut dyn Iterator<Item = &ConnectionId>| {
                    ids.map(ToString::to_string).collect::<Vec<_>>().join(",")
                };
                let background = list(&mut ids.iter().filter(|id| sockets.is_background(**id)));
                let bar = if background.is_empty() { "" } else { "|" };
                format!("{}{bar}{background}", list(&mut ids.iter()))
            }
            Some(Entry::Left(since)) if grace_is_over => format!("-{}", millis(since.elapsed())),
            Some(Entry::Left(_)) => String::new(),
            None => "-0".to_owned(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
