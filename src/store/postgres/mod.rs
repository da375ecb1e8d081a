//! The store of a service of several replicas: Postgres.
//!
//! A replica has one connection for [`Appends::append`](super::Appends::append), which its batcher calls one
//! at a time, and a few for everything else, so that a storm of reads cannot keep a send waiting.

mod append_fast;
mod appends;
mod connect;
mod dialect;
mod error;
mod handshakes;
mod health;
mod history;
mod identities;
mod migrating;
mod outbox;
mod pool;
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
#[path = "../shared/mod.rs"]
mod shared;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{Connection, PgConnection, migrate::Migrator};

use self::{
    appends::DuplicateCheck,
    connect::{Connector, WRITER},
    dialect::Now,
    error::classify,
    handshakes::HandshakeCalls,
    pool::Pool,
};
use super::{History, StoreError};

/// Connections of a replica, beside the one that appends.
const CONNECTIONS: usize = 10;
/// How long a unit of work may take. More than `statement_timeout`, so that a server that lives is the
/// one to say so.
const WORK_TIMEOUT: Duration = Duration::from_secs(7);
/// How long an append may take: nobody waits for one any longer, and a connection that fell silent
/// keeps all others waiting.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A store in a Postgres database. Clones share its connections.
#[derive(Clone)]
pub struct PgStore {
    /// The connection that appends.
    writer: Pool,
    duplicates: Arc<DuplicateCheck>,
    others: Pool,
    handshakes: HandshakeCalls,
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connections know the password.
        f.write_str("PgStore")
    }
}

impl PgStore {
    /// Opens the database at a URL `postgres://USER:PASSWORD@HOST:PORT/NAME` and brings its schema up
    /// to date. Replicas that start together wait for the one that migrates, at most ten minutes.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let connector = Connector::new(url).map_err(StoreError::Unavailable)?;
        connector.check().await?;
        let migrations = sqlx::migrate!("migrations/postgres");
        migrating::migrate(&connector, migrations.iter().cloned()).await?;
        let others = Pool::new(connector.clone(), CONNECTIONS, WORK_TIMEOUT);
        let store = Self {
            writer: Pool::new(connector.with(&WRITER), 1, APPEND_TIMEOUT),
            duplicates: Arc::default(),
            handshakes: HandshakeCalls::on(&others),
            others,
        };
        store.epoch().await?;
        if !store.read(|c| history::is_watched(c).boxed()).await? {
            tracing::warn!(
                "the database's role may not call pg_control_system(): a restore or a failover is \
                 not noticed; grant it, or run `imserver admin rotate-epoch` after each"
            );
        }
        Ok(store)
    }

    /// Applies these migrations to the database at a URL, as [`PgStore::open`] does with its own.
    pub async fn migrate(url: &str, migrations: &Migrator) -> Result<(), StoreError> {
        let connector = Connector::new(url).map_err(StoreError::Unavailable)?;
        migrating::migrate(&connector, migrations.iter().cloned()).await
    }

    /// Runs a unit of work on one of the connections that do not append.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        self.others.run(work).await.map_err(classify)
    }

    /// As [`PgStore::read`]: every connection can write.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        self.read(work).await
    }

    /// Runs a unit of work in a transaction, which it commits if the work succeeds.
    async fn transaction<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        self.read(move |c| {
            async move {
                let mut transaction = c.begin().await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok(done)
            }
            .boxed()
        })
        .await
    }

    /// The time is the database's.
    #[expect(clippy::unused_self, reason = "other stores have a clock")]
    fn now(&self) -> Now {
        None
    }
}
