//! What limits users: restrictions and blocks, kept in memory for those who act here.
//!
//! A replica that changes a standing forgets at once what it knew of it. The others read every second whose
//! standings have changed, so a change holds everywhere within some two seconds. No signal of the bus: it may be
//! lost, and this one may not.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    clock::{Clock, Timestamp},
    coalescer::{Coalescer, READS},
    domain::{Block, RestrictionKind, UserId},
    protocol::fault::ApiError,
    recent::Recent,
    store::{Standing, Store, StoreError},
};

/// Of how many users the standing is known, in each of two generations: some 4 MiB where nobody is blocked, and
/// 100 MiB at most.
const GENERATION: usize = 16_384;

/// The most blocks of a user that are kept in memory. Of whoever has more, the database is asked each time.
const FEW: u32 = 200;

/// For how long a change that has been noted may not be seen: a write takes 7 s at most.
const OVERLAP: Duration = Duration::from_secs(15);

/// What limits users. Clones share what is known.
#[derive(Clone)]
pub struct Standings(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    reads: Coalescer<UserId, Arc<Standing>, StoreError>,
    known: Arc<Mutex<Known>>,
    seen: tokio::sync::Mutex<Seen>,
}

struct Known {
    standings: Recent<UserId, Arc<Standing>>,
    /// Rises whenever something is forgotten: what was read before that may be old, and is not kept.
    forgotten: u64,
}

/// What the last looks have found.
#[derive(Default)]
struct Seen {
    /// Those of the last [`OVERLAP`], and the last one before: when, and what the store's clock said, which can jump.
    looks: VecDeque<(Instant, Timestamp)>,
    /// The changes that the last one has found.
    changes: HashMap<UserId, Timestamp>,
}

impl Standings {
    /// Nobody's yet. Standings come from this store, and restrictions end by this clock.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let known = Known { standings: Recent::new(GENERATION), forgotten: 0 };
        let known = Arc::new(Mutex::new(known));
        let (from, into) = (Arc::clone(&store), Arc::clone(&known));
        let reads = Coalescer::new(READS, move |users| {
            read(Arc::clone(&from), Arc::clone(&into), users).boxed()
        });
        Self(Arc::new(Inner { store, clock, reads, known, seen: tokio::sync::Mutex::default() }))
    }

    /// What this user may not do now.
    pub async fn restriction(&self, user: UserId) -> Result<Option<RestrictionKind>, ApiError> {
        Ok(self.in_force(&*self.of(user).await?))
    }

    /// As [`Standings::restriction`], read from the database at this moment.
    pub async fn read_restriction(
        &self,
        user: UserId,
    ) -> Result<Option<RestrictionKind>, StoreError> {
        let standings = self.0.store.standings(&[user], 0).await?;
        Ok(self.in_force(standings.first().expect("each user has a standing")))
    }

    fn in_force(&self, standing: &Standing) -> Option<RestrictionKind> {
        standing.restriction.and_then(|restriction| restriction.at(self.0.clock.now()))
    }

    /// The blocks between a user and any of these.
    pub async fn blocks(&self, user: UserId, others: &[UserId]) -> Result<Vec<Block>, ApiError> {
        if let Some(blocks) = &self.of(user).await?.blocks {
            let between = blocks.iter().filter(|block| others.contains(&block.other(user)));
            return Ok(between.copied().collect());
        }
        let (store, others) = (Arc::clone(&self.0.store), others.to_vec());
        to_its_end(async move { store.blocks_between(user, &others).await }).await
    }

    /// Whether this block is set, by what limits the one who is blocked: a sender, of whom a replica knows it already.
    pub async fn is_set(&self, block: Block) -> Result<bool, ApiError> {
        Ok(self.blocks(block.of, &[block.by]).await?.contains(&block))
    }

    /// Those of these users who have blocked `user`, or whom `user` has blocked.
    pub async fn apart(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> Result<HashSet<UserId>, ApiError> {
        let blocks = self.blocks(user, others).await?;
        Ok(blocks.into_iter().map(|block| block.other(user)).collect())
    }

    async fn of(&self, user: UserId) -> Result<Arc<Standing>, ApiError> {
        let known = self.0.known.lock().standings.get(&user);
        match known {
            Some(standing) => Ok(standing),
            None => Ok(self.0.reads.call(user).await?),
        }
    }

    /// Forgets what was known of these users.
    pub fn forget(&self, users: &[UserId]) {
        let mut known = self.0.known.lock();
        known.forgotten += 1;
        for user in users {
            known.standings.remove(user);
        }
    }

    /// Reads whose standings have changed, here or elsewhere, since the last call, and forgets what was known
    /// of them. Returns these users.
    pub async fn refresh(&self) -> Result<Vec<UserId>, StoreError> {
        let mut seen = self.0.seen.lock().await;
        let now = Instant::now();
        let since = seen.looks.iter().map(|(_, time)| *time).min();
        let found = self.0.store.changed_standings(since, OVERLAP).await?;
        let news = found.users.iter().filter(|(user, at)| seen.changes.get(*user) != Some(*at));
        let changed: Vec<_> = news.map(|(user, _)| *user).collect();
        seen.changes = found.users;
        seen.looks.push_back((now, found.looked_at));
        while seen.looks.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= OVERLAP) {
            seen.looks.pop_front();
        }
        if !changed.is_empty() {
            self.forget(&changed);
        }
        Ok(changed)
    }
}

/// Reads the standings of these users, and keeps them unless anything was forgotten meanwhile.
async fn read(
    store: Arc<dyn Store>,
    known: Arc<Mutex<Known>>,
    users: Vec<UserId>,
) -> Result<Vec<Arc<Standing>>, StoreError> {
    let forgotten = known.lock().forgotten;
    let found: Vec<_> = store.standings(&users, FEW).await?.into_iter().map(Arc::new).collect();
    let mut known = known.lock();
    if known.forgotten == forgotten {
        for (user, standing) in users.into_iter().zip(&found) {
            known.standings.insert(user, Arc::clone(standing));
        }
    }
    Ok(found)
}

/// Runs a read of the database to its end, whether or not anybody waits for it.
pub async fn to_its_end<T: Send + 'static>(
    read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(tokio::spawn(read).await.map_err(|_| ApiError::internal())??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::UserName,
        store::{Standings as _, Users as _, sqlite::SqliteStore},
    };

    /// When the tests begin.
    const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    /// The database of users 1 and 2, as a process sees it by a clock of its own.
    struct Database(tempfile::TempDir);

    impl Database {
        async fn new() -> Self {
            let database = Self(tempfile::tempdir().unwrap());
            let users = [1, 2].map(|id| (UserId::new(id).unwrap(), UserName::placeholder(id)));
            database.at(&Clock::manual(BEGIN)).await.ensure_users(&users).await.unwrap();
            database
        }

        async fn at(&self, clock: &Clock) -> SqliteStore {
            SqliteStore::open(&self.0.path().join("im.db"), clock.clone()).await.unwrap()
        }
    }

    fn block() -> Block {
        Block { by: UserId::new(1).unwrap(), of: UserId::new(2).unwrap() }
    }

    #[tokio::test]
    async fn a_block_is_found_across_a_jump_of_the_clock() {
        // Whether the replica looks between the jump and the block, whose transaction began before.
        for looks_between in [false, true] {
            let (database, clock) = (Database::new().await, Clock::manual(BEGIN));
            let store = Arc::new(database.at(&clock).await);
            let standings = Standings::new(store, clock.clone());
            assert_eq!(standings.refresh().await.unwrap(), []);
            assert!(!standings.is_set(block()).await.unwrap());
            let other = database.at(&Clock::manual(BEGIN.after(Duration::from_millis(500)))).await;
            if looks_between {
                clock.advance(HOUR);
                assert_eq!(standings.refresh().await.unwrap(), []);
                other.block(block()).await.unwrap();
            } else {
                other.block(block()).await.unwrap();
                clock.advance(HOUR);
            }
            assert_eq!(standings.refresh().await.unwrap().len(), 2);
            assert!(standings.is_set(block()).await.unwrap());
            assert_eq!(standings.refresh().await.unwrap(), [], "found once");
        }
    }
}
