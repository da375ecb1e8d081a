//! Brings the schema up to date while other replicas go on, of this version and of the one before.
//!
//! Who waits for a lock keeps waiting whoever comes after, for whatever kind of lock: a migration that
//! waits for the end of a dump would stop every read. So it waits for half a second, steps aside, and
//! tries again. An index is made by `CREATE INDEX CONCURRENTLY` in a migration of its own
//! (`-- no-transaction`): that waits for long transactions and stops nobody meanwhile.

use std::{
    io,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    error::DatabaseError,
    migrate::{Migrate, MigrateError, Migration, Migrator},
};
use tokio::time::{sleep, timeout};

use super::connect::{CONNECT_TIMEOUT, Connector};
use crate::store::StoreError;

/// How long a start waits for others that migrate and for locks, and migrates itself.
const MIGRATE_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a statement waits for a lock, and with it who comes after.
const LOCK_TIMEOUT: &str = "500ms";
/// How long others go on before it is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// Polling interval for the lock of migrations.
const POLL: Duration = Duration::from_millis(200);
/// Interval between log lines that name who holds the locks.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// The driver's list of migrations that are applied.
const APPLIED: &str = "_sqlx_migrations";

/// What a connection that migrates asks for. A statement may take its time. A replica that is dead or
/// frozen meanwhile gives its locks back; one that lives is never idle for long.
const MIGRATION: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("idle_session_timeout", "5s"),
    ("client_connection_check_interval", "1s"),
];

/// Brings the schema up to date, on a connection of its own, at most for ten minutes. Replicas migrate
/// one after the other, by an advisory lock of the session; the server frees it when the session ends,
/// however it ends. Each migration is one transaction with its entry in the list of those that are
/// applied, but for those that cannot be.
///
/// A schema that is newer than the program is taken as it is: migrations add before they take away, so
/// the replicas of the version before go on, and start again, while a new version comes.
pub(super) async fn migrate(
    connector: &Connector,
    migrations: impl Iterator<Item = Migration>,
) -> Result<(), StoreError> {
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // The lock is taken here: the driver's statement would wait for it.
    migrator.set_ignore_missing(true).set_locking(false);
    let mut connection = timeout(CONNECT_TIMEOUT, connector.with(&MIGRATION).connect())
        .await
        .map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?
        .map_err(StoreError::Unavailable)?;
    let migrated = timeout(MIGRATE_TIMEOUT, run(&mut connection, &migrator)).await;
    let migrated = migrated.unwrap_or_else(|_| {
        let late = "locks, or others that migrate, were in the way for ten minutes";
        let late = io::Error::new(io::ErrorKind::TimedOut, late);
        Err(MigrateError::Execute(sqlx::Error::Io(late)))
    });
    // The session's lock ends with it, at the latest when the server notices that it is gone.
    let _ = timeout(CONNECT_TIMEOUT, connection.close()).await;
    migrated.map_err(StoreError::Migrate)
}

/// Migrates when it is this replica's turn, again and again until no lock is in the way.
async fn run(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), MigrateError> {
    let key = lock_key(connection).await?;
    let mut reported: Option<Instant> = None;
    loop {
        take_turn(connection, key).await?;
        let error = match apply(connection, migrator).await {
            Err(error) if is_in_the_way(&error) => error,
            done => return done,
        };
        // A replica of the version before waits for its turn in a statement, and an index that is made
        // concurrently for the end of that statement.
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut *connection).await?;
        if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            reported = Some(Instant::now());
            let holders = holders(connection).await?;
            tracing::warn!(
                %error,
                holders,
                "the schema is not migrated yet: others hold locks; it is tried again until they end"
            );
        }
        sleep(PAUSE).await;
    }
}

/// The key by which the driver's own migrators exclude each other, as the version before does.
async fn lock_key(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let database: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(connection).await?;
    Ok(0x3d32_ad9e * i64::from(crc32fast::hash(database.as_bytes())))
}

/// Asks for the lock until it is there. A statement that waits for it has a snapshot, for whose end an
/// index that another replica makes concurrently would wait.
async fn take_turn(connection: &mut PgConnection, key: i64) -> sqlx::Result<()> {
    loop {
        let is_taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut *connection)
            .await?;
        if is_taken {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Applies what is not applied, in order.
async fn apply(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), MigrateError> {
    connection.ensure_migrations_table(APPLIED).await?;
    let applied = connection.list_applied_migrations(APPLIED).await?;
    let is_pending =
        |migration: &&Migration| applied.iter().all(|applied| applied.version != migration.version);
    for migration in migrator.iter().filter(is_pending) {
        // What takes no strong lock stops nobody by waiting.
        let wait = if migration.no_tx { "0" } else { LOCK_TIMEOUT };
        sqlx::query("SELECT set_config('lock_timeout', $1, false)")
            .bind(wait)
            .execute(&mut *connection)
            .await?;
        if migration.no_tx {
            drop_unfinished(connection, migration).await?;
        }
        migrator.run_direct(Some(migration.version), connection, false).await?;
    }
    // Not `run`, which returns a future that is not `Send`.
    migrator.run_direct(None, connection, false).await
}

/// Removes the indexes that an attempt at this migration began and did not finish: writes keep them up,
/// and nobody reads them.
async fn drop_unfinished(connection: &mut PgConnection, migration: &Migration) -> sqlx::Result<()> {
    let unfinished: Vec<String> = sqlx::query_scalar(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE NOT i.indisvalid AND pg_table_is_visible(c.oid) AND position(c.relname IN $1) > 0",
    )
    .bind(migration.sql.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for index in unfinished {
        let drop = format!("DROP INDEX CONCURRENTLY {index}");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether a lock of somebody else was in the way: it took too long, or was a deadlock.
fn is_in_the_way(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// Whose transactions have held locks for a second or more, as far as this role may know.
async fn holders(connection: &mut PgConnection) -> sqlx::Result<String> {
    let holders: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(DISTINCT a.pid || ' (' || coalesce(a.application_name, '') || ')', ', ')
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.granted AND l.locktype IN ('relation', 'virtualxid') AND a.pid <> pg_backend_pid()
             AND a.datname = current_database()
             AND coalesce(a.xact_start < now() - interval '1 second', true)",
    )
    .fetch_one(connection)
    .await?;
    Ok(holders.unwrap_or_default())
}
