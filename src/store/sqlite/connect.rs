//! How a file is opened: what a connection asks for, the schema that it needs, and which connections
//! are used again.

use std::{
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{error::classify, file::OpenFile};
use crate::store::StoreError;

/// How long a connection waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

/// A schema that is newer than the program is taken as it is: migrations add before they take away, so
/// that the version before can be started again.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/sqlite");
    migrations.set_ignore_missing(true);
    migrations
});

/// The connections to a file.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pub(super) writer: SqlitePool,
    pub(super) reader: SqlitePool,
    pub(super) file: Arc<OpenFile>,
    /// Whether the writer has failed at something since it was last taken.
    pub(super) is_doubted: Arc<AtomicBool>,
}

/// How to connect to the file at a path.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL, because an acknowledged chat must survive a power cut: WAL with NORMAL syncs
        // at checkpoints only.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

/// Makes the file if it is not there, brings its schema up to date, and connects.
pub(super) async fn open(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<Connections, StoreError> {
    let first = options.clone().create_if_missing(true);
    let mut first = first.connect().await.map_err(classify)?;
    // Not `run`, which returns a future that is not `Send`.
    MIGRATIONS.run_direct(None, &mut first, false).await.map_err(StoreError::Migrate)?;
    let file = OpenFile::new(path, first).map_err(|error| StoreError::Unavailable(error.into()))?;

    let is_doubted = Arc::new(AtomicBool::new(false));
    let doubted = Arc::clone(&is_doubted);
    let writer = pool(1, &file, move || !doubted.swap(false, Ordering::AcqRel));
    let reader = pool(READERS, &file, || true);
    Ok(Connections {
        writer: writer.connect_with(options.clone()).await.map_err(classify)?,
        reader: reader.connect_with(options.pragma("query_only", "ON")).await.map_err(classify)?,
        file,
        is_doubted,
    })
}

/// A pool that opens this file, and no other that may be at its path by now.
///
/// It closes a connection of which `is_sound` says no when it is taken, and opens another. So it does
/// where the driver believes that a transaction is still open. Some errors, such as a full disk, make
/// SQLite end a transaction by itself; the driver then fails to do it, counts that as an outer
/// transaction of the next one, and begins none any more.
fn pool(
    connections: u32,
    file: &Arc<OpenFile>,
    is_sound: impl Fn() -> bool + Send + Sync + 'static,
) -> SqlitePoolOptions {
    let file = Arc::clone(file);
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go stale, and opening it again costs a parse of the schema.
        .idle_timeout(None)
        .max_lifetime(None)
        // It is tried when it is given back, and what was left to be rolled back is done then.
        .test_before_acquire(false)
        .after_connect(move |_, _| Box::pin(std::future::ready(file.check())))
        .before_acquire(move |connection, _| {
            let is_usable = is_sound() && !connection.is_in_transaction();
            Box::pin(std::future::ready(Ok(is_usable)))
        })
}
