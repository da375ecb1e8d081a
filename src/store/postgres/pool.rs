//! A few connections to Postgres, and the rules by which work uses them.
//!
//! A unit of work runs in a task of its own, to its end or to a deadline; nobody who waits for it can
//! drop it half-way. A connection is kept only if its work ended in a known state, so that a peer
//! that is silent costs its own work a deadline and the pool nothing: the driver's pool, whose
//! connections say goodbye to a dead peer without an end, loses a place for each. The driver sets no
//! TCP keepalive either. The deadlines stand for it here, and the server is asked for its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::{Connection, PgConnection};
use tokio::{sync::Semaphore, time::timeout};

use super::connect::Connector;

/// How long work waits for a connection, a new one included.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer to a probe takes at most.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was used so lately is not probed first.
const FRESH: Duration = Duration::from_secs(1);
/// A connection is replaced at this age, so that replicas follow a database that has moved.
const MAX_AGE: Duration = Duration::from_mins(30);

/// Connections of one kind. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    /// How long a unit of work may take.
    work_timeout: Duration,
    /// A permit for each connection that may be open.
    permits: Semaphore,
    /// Those that are open and not in use; the last one used is the next one.
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: PgConnection,
    opened: Instant,
    used: Instant,
}

impl Pool {
    /// A pool of at most so many connections, none of which is opened yet, for units of work that
    /// take at most so long.
    pub(super) fn new(connector: Connector, size: usize, work_timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            connector,
            work_timeout,
            permits: Semaphore::new(size),
            idle: Mutex::new(Vec::with_capacity(size)),
        }))
    }

    /// Runs a unit of work to its end, whether or not the caller waits for it. After
    /// [`sqlx::Error::PoolTimedOut`] it was not begun, or whether it was done is unknown.
    pub(super) async fn run<T, W>(&self, work: W) -> sqlx::Result<T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        match tokio::spawn(async move { pool.run(work).await }).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down.
                Err(_) => Err(sqlx::Error::PoolClosed),
            },
        }
    }
}

impl Inner {
    async fn run<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let begun = Instant::now();
        let permit = timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let kept = self.kept_or_new(begun).await;
        metrics::histogram!("imserver_pool_wait_seconds").record(begun.elapsed());
        let mut kept = kept?;
        // When the time is up, the connection is dropped with the work: the answer that is still to
        // come over it belongs to nobody.
        let result = timeout(self.work_timeout, work(&mut kept.connection))
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?;
        // After an error it may be broken, or within a transaction whose end is not sent yet. The
        // probe tells the one and does the other.
        if result.is_ok() || probe(&mut kept.connection).await {
            kept.used = Instant::now();
            self.idle.lock().push(kept);
        }
        result
    }

    async fn kept_or_new(&self, begun: Instant) -> sqlx::Result<Kept> {
        let kept = self.idle.lock().pop();
        if let Some(mut kept) = kept.filter(|kept| kept.opened.elapsed() < MAX_AGE)
            && (kept.used.elapsed() < FRESH || probe(&mut kept.connection).await)
        {
            return Ok(kept);
        }
        // A second one may be as dead, and there is no time for a third.
        let left = ACQUIRE_TIMEOUT.saturating_sub(begun.elapsed()).max(PROBE_TIMEOUT);
        let connection = timeout(left, self.connector.connect())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        let now = Instant::now();
        Ok(Kept { connection, opened: now, used: now })
    }
}

/// Whether the other side answers.
async fn probe(connection: &mut PgConnection) -> bool {
    matches!(timeout(PROBE_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}
