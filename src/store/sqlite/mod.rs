//! The store of a service that runs alone: one SQLite file.
//!
//! One connection writes, so that writers queue here and not in SQLite's lock; four read beside it
//! (WAL). A write runs in a task of its own: a caller that is dropped half-way must not leave a
//! transaction behind on the connection. One that failed gives its connection up, and nothing is
//! acknowledged that went into a file which is not at its path any more.

mod appends;
mod connect;
mod dialect;
mod error;
mod file;
mod handshakes;
mod health;
mod history;
mod identities;
mod lock;
mod outbox;
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
#[path = "../shared/mod.rs"]
mod shared;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};

pub use self::lock::{LockError, ServiceLock};
use self::{dialect::Now, error::classify, file::OpenFile, handshakes::ReservedIds};
use super::StoreError;
use crate::clock::Clock;

/// A store in an SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    file: Arc<OpenFile>,
    /// Whether a write has failed since the writing connection was last taken: then it is replaced.
    is_doubted: Arc<AtomicBool>,
    /// The time of what is created.
    clock: Clock,
    connection_ids: ReservedIds,
}

impl SqliteStore {
    /// Opens the file at `path` and brings its schema up to date; makes it, and the folder that it
    /// is in, if it is not there.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        Self::open_with(path, connect::options(path), clock).await
    }

    async fn open_with(
        path: &Path,
        options: SqliteConnectOptions,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let connect::Connections { writer, reader, file, is_doubted } =
            connect::open(path, options).await?;
        let connection_ids = ReservedIds::default();
        let store = Self { writer, reader, file, is_doubted, clock, connection_ids };
        store.write(|c| history::begin(c).boxed()).await?;
        Ok(store)
    }

    /// Runs a read on one of the connections that read.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let mut connection = self.reader.acquire().await.map_err(classify)?;
        work(&mut connection).await.map_err(classify)
    }

    /// Runs a write to its end, whether or not the caller waits for it.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
            + Send
            + 'static,
    {
        let writer = self.writer.clone();
        self.guarded(async move { work(&mut *writer.acquire().await?).await }).await
    }

    /// Runs a write in a transaction, which it commits if the work succeeds. It has the write lock from the
    /// start: one that reads first and locks later fails as soon as another process has written in between.
    async fn transaction<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
            + Send
            + 'static,
    {
        self.write(move |c| {
            async move {
                let mut transaction = c.begin_with("BEGIN IMMEDIATE").await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok(done)
            }
            .boxed()
        })
        .await
    }

    /// Runs work in a task of its own. It has failed if the file was taken away meanwhile: what is committed
    /// there is not kept.
    async fn guarded<T: Send + 'static>(
        &self,
        work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (file, is_doubted) = (Arc::clone(&self.file), Arc::clone(&self.is_doubted));
        let work = async move {
            // Each is a microsecond, where a commit waits for the disk.
            file.check().map_err(classify)?;
            let done = work.await.and_then(|done| file.check().map(|()| done)).map_err(classify);
            if matches!(done, Err(StoreError::Unavailable(_) | StoreError::Corrupt(_))) {
                is_doubted.store(true, Ordering::Release);
            }
            done
        };
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down.
                Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            },
        }
    }

    /// The time by the store's clock.
    fn now(&self) -> Now {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests;
