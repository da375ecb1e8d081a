//! What limits users: restrictions and blocks, kept in memory for those who act here.
//!
//! A replica that changes a standing forgets at once what it knew of it. The others read every second whose
//! standings have changed, so a change holds everywhere within some two seconds. No signal of the bus: it may be
//! lost, and this one may not.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    clock::{Clock, Timestamp},
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

/// How much longer ago than the last look a change may have been made that was not seen then: a write takes
/// 7 s at most.
const OVERLAP: Duration = Duration::from_secs(15);

/// What limits users. Clones share what is known.
#[derive(Clone)]
pub struct Standings(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    known: Mutex<Known>,
    seen: tokio::sync::Mutex<Seen>,
}

struct Known {
    standings: Recent<UserId, Arc<Standing>>,
    /// Rises whenever something is forgotten: what was read before that may be old, and is not kept.
    forgotten: u64,
}

/// The changes that the last look has found.
struct Seen {
    at: Instant,
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
        let seen = Seen { at: Instant::now(), changes: HashMap::new() };
        Self(Arc::new(Inner { store, clock, known: Mutex::new(known), seen: seen.into() }))
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
        Ok(self.in_force(&self.0.store.standing(user, 0).await?))
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

    /// Whether this block is set.
    pub async fn is_set(&self, block: Block) -> Result<bool, ApiError> {
        Ok(self.blocks(block.by, &[block.of]).await?.contains(&block))
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
        let forgotten = {
            let mut known = self.0.known.lock();
            if let Some(standing) = known.standings.get(&user) {
                return Ok(standing);
            }
            known.forgotten
        };
        let inner = Arc::clone(&self.0);
        to_its_end(async move {
            let standing = Arc::new(inner.store.standing(user, FEW).await?);
            let mut known = inner.known.lock();
            if known.forgotten == forgotten {
                known.standings.insert(user, Arc::clone(&standing));
            }
            Ok(standing)
        })
        .await
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
        let within = now.duration_since(seen.at) + OVERLAP;
        let found: HashMap<_, _> =
            self.0.store.changed_standings(within).await?.into_iter().collect();
        let news = found.iter().filter(|(user, at)| seen.changes.get(*user) != Some(*at));
        let changed: Vec<_> = news.map(|(user, _)| *user).collect();
        *seen = Seen { at: now, changes: found };
        if !changed.is_empty() {
            self.forget(&changed);
        }
        Ok(changed)
    }
}

/// Runs a read of the database to its end, whether or not anybody waits for it.
pub async fn to_its_end<T: Send + 'static>(
    read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(tokio::spawn(read).await.map_err(|_| ApiError::internal())??)
}
