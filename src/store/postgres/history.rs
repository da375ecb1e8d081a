//! Which history the numbers of this database belong to.
//!
//! A server that was set up anew from a backup has another system identifier or continues on another
//! WAL timeline, as does a standby that took over: it may lack the last commits of the one before it.
//! Numbers that clients have may then come again for other events, so the epoch changes by itself.
//! Where the service's role may not ask for the two, only an operator can say so
//! (`imserver admin rotate-epoch`).

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{Connection, PgConnection};

use super::PgStore;
use crate::{
    domain::Epoch,
    store::{History, StoreError},
};

#[async_trait]
impl History for PgStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.read(|c| epoch(c).boxed()).await
    }

    async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        let epoch = Epoch::random();
        self.transaction(move |c| {
            async move {
                sqlx::query("UPDATE service SET epoch = $1 WHERE id = 1")
                    .bind(epoch)
                    .execute(&mut *c)
                    .await?;
                raise_connection_ids(c).await?;
                Ok(epoch)
            }
            .boxed()
        })
        .await
    }
}

/// A server, and the WAL timeline that it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin {
    system_identifier: i64,
    wal_timeline: i64,
}

/// Whether the role may ask for the origin.
macro_rules! is_watched {
    () => {
        "has_function_privilege('pg_control_system()', 'EXECUTE')
             AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')
             AND has_function_privilege('pg_current_wal_lsn()', 'EXECUTE')"
    };
}

/// Whether the origin may be asked for, the epoch, and the origin that it is of.
type Known = (bool, Option<Epoch>, Option<i64>, Option<i64>);

/// The epoch; a new one if the database has none yet or has changed its origin. Replicas that find out
/// together agree on one.
pub(super) async fn epoch(connection: &mut PgConnection) -> sqlx::Result<Epoch> {
    let known: Known = sqlx::query_as(concat!(
        "SELECT ",
        is_watched!(),
        ", s.epoch, s.system_identifier, s.wal_timeline
         FROM (VALUES (1)) AS one (id) LEFT JOIN service s USING (id)"
    ))
    .fetch_one(&mut *connection)
    .await?;
    let (is_watched, epoch, system_identifier, wal_timeline) = known;
    // A statement of its own: one that may not ask fails as a whole.
    let origin = if is_watched { Some(origin(connection).await?) } else { None };
    let Some(epoch) = epoch else { return begin(connection, origin).await };
    let written = system_identifier.zip(wal_timeline);
    let written =
        written.map(|(system_identifier, wal_timeline)| Origin { system_identifier, wal_timeline });
    match (written, origin) {
        (_, None) => {}
        (Some(written), Some(now)) if written == now => {}
        (Some(_), Some(_)) => {
            tracing::warn!(
                "the database is another server's or was restored: a new history begins, and all \
                 clients load anew"
            );
            return begin(connection, origin).await;
        }
        // The role may ask only now: nothing is known to have changed.
        (None, Some(now)) => {
            sqlx::query(
                "UPDATE service SET system_identifier = $1, wal_timeline = $2
                 WHERE id = 1 AND system_identifier IS NULL",
            )
            .bind(now.system_identifier)
            .bind(now.wal_timeline)
            .execute(connection)
            .await?;
        }
    }
    Ok(epoch)
}

/// Begins a history of this origin, unless another replica has just done so.
async fn begin(connection: &mut PgConnection, origin: Option<Origin>) -> sqlx::Result<Epoch> {
    let mut transaction = connection.begin().await?;
    let begun = sqlx::query(
        "INSERT INTO service (id, epoch, system_identifier, wal_timeline) VALUES (1, $1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch,
             system_identifier = excluded.system_identifier, wal_timeline = excluded.wal_timeline
         WHERE (service.system_identifier, service.wal_timeline)
             <> (excluded.system_identifier, excluded.wal_timeline)",
    )
    .bind(Epoch::random())
    .bind(origin.map(|origin| origin.system_identifier))
    .bind(origin.map(|origin| origin.wal_timeline))
    .execute(&mut *transaction)
    .await?;
    if begun.rows_affected() > 0 {
        raise_connection_ids(&mut transaction).await?;
    }
    let epoch = sqlx::query_scalar("SELECT epoch FROM service WHERE id = 1")
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(epoch)
}

/// Raises the ids of sockets to the time in microseconds, unless they are past it. The transaction has locked
/// the row of `service`, since one that is overtaken by another would lower them again. No machine gives
/// out one id a microsecond, so that they cannot overtake the clock meanwhile.
async fn raise_connection_ids(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "SELECT setval('connection_ids', now.micros)
         FROM connection_ids,
             (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) now
         WHERE connection_ids.last_value < now.micros",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the role may ask for the origin.
pub(super) async fn is_watched(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(concat!("SELECT ", is_watched!())).fetch_one(connection).await
}

/// Where the database is being written. The timeline is that of the current WAL file's name: the one
/// in the control file lags behind until the next checkpoint.
async fn origin(connection: &mut PgConnection) -> sqlx::Result<Origin> {
    let (system_identifier, wal_timeline) = sqlx::query_as(
        "SELECT system_identifier,
             ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
         FROM pg_control_system()",
    )
    .fetch_one(connection)
    .await?;
    Ok(Origin { system_identifier, wal_timeline })
}
