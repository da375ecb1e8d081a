//! How a connection begins: what it asks the server for, and the schema that it needs.

use std::{str::FromStr, sync::LazyLock, time::Duration};

use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::timeout;

use crate::store::StoreError;

/// How long the first connection of a start may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a start waits for others that migrate, and then migrates itself.
const MIGRATE_TIMEOUT: Duration = Duration::from_mins(10);

/// What every connection asks for.
pub(super) const SESSION: [(&str, &str); 12] = [
    ("statement_timeout", "5s"),
    ("default_transaction_isolation", "read committed"),
    // An acknowledged chat must survive a power cut, whatever the server's default is.
    ("synchronous_commit", "on"),
    // A replica that vanishes without a word leaves its locks to the server's patience.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
    // Every statement is a handful of index probes for the elements of its parameters, which the
    // planner cannot count. What it would choose instead, it would choose for small tables, keep, and
    // use when they are large.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    // "Exists already, skipping" is no news.
    ("client_min_messages", "warning"),
];

/// What the connection that appends asks for besides.
pub(super) const WRITER: [(&str, &str); 3] = [
    ("lock_timeout", "2s"),
    // A replica that is frozen between two statements must not hold everybody's counters.
    ("idle_in_transaction_session_timeout", "2s"),
    // The same few statements for ever: planned once.
    ("plan_cache_mode", "force_generic_plan"),
];

/// What a connection that migrates asks for. A statement may take its time. A replica that is dead or
/// frozen meanwhile gives its locks back; one that lives is never idle for long.
const MIGRATION: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("idle_session_timeout", "5s"),
    ("client_connection_check_interval", "1s"),
];

/// A schema that is newer than the program is taken as it is: migrations add before they take away, so
/// the replicas of the version before go on, and start again, while a new version comes.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations
});

/// How to connect. An error does not repeat the URL, which may hold a password.
pub(super) fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        sqlx::Error::Configuration("this is no URL like postgres://USER@HOST/NAME".into())
    })?;
    // Postgres logs slow statements itself, if it is told to; see log_min_duration_statement.
    Ok(options.application_name("imserver").disable_statement_logging())
}

/// Brings the schema up to date, on a connection of its own. The migrator holds an advisory lock of the
/// session while it works, so that replicas migrate one after the other; the server frees it when the
/// session ends, however it ends. Each migration is one transaction with its entry in the list of those
/// that are applied.
pub(super) async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let options = options.clone().options(SESSION).options(MIGRATION);
    let mut connection = timeout(CONNECT_TIMEOUT, options.connect())
        .await
        .map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?
        .map_err(StoreError::Unavailable)?;
    // Not `run`, whose future no task can take: its bounds ask for too much.
    let migrated =
        timeout(MIGRATE_TIMEOUT, MIGRATIONS.run_direct(None, &mut connection, false)).await;
    let migrated = migrated.unwrap_or(Err(MigrateError::Execute(sqlx::Error::PoolTimedOut)));
    // The session's lock ends with it, at the latest when the server notices that it is gone.
    let _ = timeout(CONNECT_TIMEOUT, connection.close()).await;
    migrated.map_err(StoreError::Migrate)
}
