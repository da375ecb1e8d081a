//! How a connection begins: what it asks the server for, and whether it is a session of its own.

use std::{str::FromStr, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::error::classify;
use crate::store::StoreError;

/// How long the first connections of a start may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A setting and its value.
type Setting = (&'static str, &'static str);

/// What every connection asks for.
const SESSION: [Setting; 13] = [
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
    ("max_parallel_workers_per_gather", "0"),
    // "Exists already, skipping" is no news.
    ("client_min_messages", "warning"),
];

/// What the connection that appends asks for besides.
pub(super) const WRITER: [Setting; 3] = [
    ("lock_timeout", "2s"),
    // A replica that is frozen between two statements must not hold everybody's counters.
    ("idle_in_transaction_session_timeout", "2s"),
    // The same few statements for ever: planned once.
    ("plan_cache_mode", "force_generic_plan"),
];

/// Opens connections to a database, with their settings.
#[derive(Clone)]
pub(super) struct Connector {
    options: PgConnectOptions,
    settings: Vec<Setting>,
}

impl Connector {
    /// An error does not repeat the URL, which may hold a password.
    pub(super) fn new(url: &str) -> sqlx::Result<Self> {
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            sqlx::Error::Configuration("this is no URL like postgres://USER@HOST/NAME".into())
        })?;
        let options = options
            .application_name("imserver")
            // No float is read, and a pooler refuses what it does not know.
            .extra_float_digits(None)
            // Postgres can log slow statements itself: set log_min_duration_statement.
            .disable_statement_logging();
        Ok(Self { options, settings: SESSION.into() })
    }

    /// For connections that ask for this besides.
    pub(super) fn with(&self, settings: &[Setting]) -> Self {
        let settings = [self.settings.as_slice(), settings].concat();
        Self { options: self.options.clone(), settings }
    }

    /// Opens a connection. It has its settings or there is none: they are set in the session, in one
    /// question, since a pooler may keep to itself what is asked for on connecting.
    pub(super) async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = self.options.connect().await?;
        let set: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("set_config('{name}', '{value}', false)"))
            .collect();
        let set = format!("SELECT {}", set.join(", "));
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Fails if the database cannot do what is asked of it, whatever is tried later: it does not hold
    /// every text, or its connections are not sessions.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let checked = timeout(CONNECT_TIMEOUT, async {
            let (mut one, mut other) = (self.connect().await?, self.connect().await?);
            let encoding: String =
                value(&mut one, "SELECT current_setting('server_encoding')").await?;
            let is_shared = is_shared(&mut one, &mut other).await?;
            sqlx::Result::Ok((encoding, is_shared))
        });
        let checked = checked.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let (encoding, is_shared) = checked.map_err(classify)?;
        if encoding != "UTF8" {
            return Err(StoreError::Unsuitable(format!(
                "its encoding is {encoding}, which does not hold every text; make one by CREATE \
                 DATABASE imserver ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0"
            )));
        }
        if is_shared {
            return Err(StoreError::Unsuitable(
                "it is behind PgBouncer in transaction or statement mode, or a pooler like it: its \
                 connections share sessions, and settings and locks of one would be those of \
                 another; set pool_mode = session for this database, or name Postgres itself"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Whether a pooler in transaction mode moves connections between server sessions. It reassigns a session
/// only between transactions, so the other connection opens one first: it then holds the session of the
/// first, or the first gets another.
async fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> sqlx::Result<bool> {
    const MARK: &str = "SELECT set_config('imserver.session', pg_backend_pid()::text, false)";
    const MARKED: &str = "SELECT coalesce(current_setting('imserver.session', true), '')";

    let mark: String = value(one, MARK).await?;
    match sqlx::raw_sql("BEGIN").execute(&mut *other).await {
        Ok(_) => {}
        // Its statement mode has no transactions.
        Err(sqlx::Error::Database(error)) if error.message().contains("pooling mode") => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    }
    // In this order: of a pooler with one session, the first would wait for the other to end.
    let is_shared = value(other, MARKED).await? == mark || value(one, MARKED).await? != mark;
    sqlx::raw_sql("ROLLBACK").execute(other).await?;
    Ok(is_shared)
}

/// One text, by a statement that is not prepared: who shares a session shares its names.
async fn value(connection: &mut PgConnection, statement: &'static str) -> sqlx::Result<String> {
    sqlx::raw_sql(statement).fetch_one(connection).await?.try_get(0)
}
