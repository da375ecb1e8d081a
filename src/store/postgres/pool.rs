//! A small pool of connections to Postgres.
//!
//! A unit of work runs in its own task, to its end or to a deadline; a caller that goes away does not
//! interrupt it. A connection returns to the pool only if its work ended in a known state, so a peer that
//! stops answering costs one unit of work a timeout, and the pool nothing. The driver's own pool waits
//! without a timeout to close a connection to such a peer, and loses a slot for each. The driver sets no
//! TCP keepalive either: here the deadlines replace it, and the server is asked to send its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::{Connection, PgConnection, error::DatabaseError};
use tokio::{sync::Semaphore, time::timeout};

use super::connect::Connector;

/// How long work waits for a connection, a new one included.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait for the answer to a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was used within this time is not probed before its next use.
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
    /// Open and not in use. The one used last is taken first.
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: PgConnection,
    opened: Instant,
    used: Instant,
}

impl Pool {
    /// A pool of at most `size` connections, none of which is opened yet, for units of work that take at
    /// most `work_timeout`.
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
        // After a timeout the connection is dropped with the work: nobody waits for the answer that may
        // still come over it.
        let result = timeout(self.work_timeout, work(&mut kept.connection))
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?;
        // After an error the connection may be broken, or the rollback of its transaction may not be sent
        // yet. The probe detects the first and sends the second.
        let is_sound = match &result {
            Ok(_) => true,
            // Its address, or its database, may allow writing by now: a new connection finds out. The other ones are
            // as old.
            Err(error) if only_reads(error) => {
                self.idle.lock().clear();
                false
            }
            Err(_) => probe(&mut kept.connection).await,
        };
        if is_sound {
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
        // The next idle one may be dead too, and there is no time to probe it and then to connect.
        let left = ACQUIRE_TIMEOUT.saturating_sub(begun.elapsed()).max(PROBE_TIMEOUT);
        let connection = timeout(left, self.connector.connect())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        let now = Instant::now();
        Ok(Kept { connection, opened: now, used: now })
    }
}

/// Whether a session was refused to write: it is one of a standby, or of a database that only reads.
fn only_reads(error: &sqlx::Error) -> bool {
    // `read_only_sql_transaction`, in appendix A of the manual of Postgres.
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "25006")
}

/// Whether the other side answers.
async fn probe(connection: &mut PgConnection) -> bool {
    matches!(timeout(PROBE_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}
