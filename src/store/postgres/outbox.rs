//! The outbox in Postgres, where commits overtake each other: a row that is visible now may have a lower
//! id, and be of an older transaction, than one that was visible before.
//!
//! So a reader goes from snapshot to snapshot, and within one window from id to id. Whoever sees a chat
//! sees those before it in its conversation: each got its locks after the one before had committed. And
//! its id is higher: it is drawn after the locks. A transaction that hangs is running in every snapshot
//! until it ends, and its rows are new in the one after that.
//!
//! Rows are found by their ids, above the highest that was visible before (`top`). Those below are of
//! transactions that were under way then, which are few: they are found by `xid`.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{Connection, PgConnection, error::DatabaseError};

use super::{PgStore, dialect::ids, history, shared::since_time};
use crate::{
    clock::Timestamp,
    domain::{Epoch, OutboxId},
    store::{
        Outbox, OutboxCursor, OutboxEntry, OutboxPage, StoreError,
        error::corrupt,
        outbox_cursor::{Place, Settled, Snapshot, Window},
    },
};

/// How often the switch tries to get its lock, each time for [`SWITCH_WAIT`].
const SWITCH_ATTEMPTS: u32 = 3;
/// How long the switch waits for a batch that hangs, and keeps others waiting. Longer than it takes the
/// server to stop an autovacuum that is in the way.
const SWITCH_WAIT: &str = "1500ms";
/// How long others go on before the next attempt.
const SWITCH_PAUSE: Duration = Duration::from_millis(500);

#[async_trait]
impl Outbox for PgStore {
    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError> {
        self.write(move |c| switch(c, on).boxed()).await
    }

    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError> {
        let after = after.cloned();
        self.read(move |c| read(c, after, limit).boxed()).await
    }

    async fn outbox_entries(&self, wanted: &[OutboxId]) -> Result<Vec<OutboxEntry>, StoreError> {
        let query = sqlx::query_as(
            "SELECT id, kind, conversation_id, chat_id, payload, created_at FROM outbox
             WHERE id = ANY($1) ORDER BY id",
        )
        .bind(ids(wanted));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn outbox_since(&self, since: Timestamp) -> Result<Option<OutboxCursor>, StoreError> {
        self.read(move |c| since_time(c, since, false).boxed()).await
    }

    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(
                    "DELETE FROM outbox WHERE id = ANY(ARRAY(
                         SELECT id FROM (SELECT id, created_at FROM outbox ORDER BY id LIMIT $2) oldest
                         WHERE created_at < $1))",
                )
                .bind(before)
                .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}

/// Every batch names the table, whether or not it writes rows. So this waits for those that have read the
/// flag as it was, and those that come after read it as it is then: a conversation is told from some chat
/// on without a gap.
async fn switch(connection: &mut PgConnection, on: bool) -> sqlx::Result<()> {
    let mut attempts_left = SWITCH_ATTEMPTS - 1;
    loop {
        match try_switch(connection, on).await {
            Err(error) if attempts_left > 0 && is_lock_timeout(&error) => {
                attempts_left -= 1;
                tokio::time::sleep(SWITCH_PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn try_switch(connection: &mut PgConnection, on: bool) -> sqlx::Result<()> {
    let is_on: bool = sqlx::query_scalar("SELECT outbox_enabled FROM service WHERE id = 1")
        .fetch_one(&mut *connection)
        .await?;
    if is_on == on {
        return Ok(());
    }
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT set_config('lock_timeout', $1, true)")
        .bind(SWITCH_WAIT)
        .execute(&mut *tx)
        .await?;
    sqlx::query("LOCK TABLE outbox IN SHARE MODE").execute(&mut *tx).await?;
    sqlx::query("UPDATE service SET outbox_enabled = $1 WHERE id = 1")
        .bind(on)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("55P03")
}

async fn read(
    connection: &mut PgConnection,
    after: Option<OutboxCursor>,
    limit: u32,
) -> sqlx::Result<OutboxPage> {
    let epoch = history::epoch(connection).await?;
    let place = after.filter(|cursor| cursor.epoch == epoch).map(|cursor| cursor.place);
    let limit = i64::from(limit.max(1));
    let before = match place {
        None => Settled::START,
        Some(Place::Between(settled)) => settled,
        Some(Place::Within(window)) => {
            let page = page(connection, epoch, window, limit).await?;
            match page.cursor.place {
                // The page before had reached the end of the window.
                Place::Between(settled) if page.entries.is_empty() => settled,
                _ => return Ok(page),
            }
        }
        Some(Place::After(_)) => {
            let problem = "the cursor is of another kind of database".to_owned();
            return Err(sqlx::Error::InvalidArgument(problem));
        }
    };
    let window = open(connection, before).await?;
    page(connection, epoch, window, limit).await
}

/// The next page of a window, and the place after it.
async fn page(
    connection: &mut PgConnection,
    epoch: Epoch,
    window: Window,
    limit: i64,
) -> sqlx::Result<OutboxPage> {
    let mut rows = late(connection, &window, limit).await?;
    let left = limit - i64::try_from(rows.len()).expect("a page is short");
    if left > 0 {
        rows.extend(new(connection, &window, left).await?);
    }
    let has_more = i64::try_from(rows.len()) == Ok(limit);
    let last = rows.last().map_or(window.last, |row| row.id.get());
    let place = if has_more {
        Place::Within(Window { last, ..window })
    } else {
        Place::Between(Settled { top: window.before.top.max(last), seen: window.shown })
    };
    Ok(OutboxPage { entries: rows, cursor: OutboxCursor { epoch, place }, has_more })
}

/// Opens the window from what was read before to now. The order counts: the snapshot is that of the
/// statement, so the number of a transaction that it takes, and the last id that was drawn, are later.
async fn open(connection: &mut PgConnection, before: Settled) -> sqlx::Result<Window> {
    let (shown, begun, end): (String, String, i64) = sqlx::query_as(
        "SELECT pg_current_snapshot()::text, pg_current_xact_id()::text, last_value
         FROM outbox_ids",
    )
    .fetch_one(connection)
    .await?;
    let begun = begun.parse().map_err(|_| corrupt("the number of a transaction is none"))?;
    let shown = Snapshot::of_postgres(&shown, begun)
        .ok_or_else(|| corrupt("a snapshot is not of the form that is known"))?;
    Ok(Window { before, shown, end, last: 0 })
}

/// The next rows of the window that were not visible before and have an id that was drawn before: of
/// transactions that were under way.
async fn late(
    connection: &mut PgConnection,
    window: &Window,
    limit: i64,
) -> sqlx::Result<Vec<OutboxEntry>> {
    let Settled { seen, top } = &window.before;
    if window.last >= *top {
        return Ok(Vec::new());
    }
    // The limit that is none keeps the conditions on ids outside: within, they might be taken for the
    // better way to find the rows, and lead through all that were read before.
    sqlx::query_as(
        "SELECT id, kind, conversation_id, chat_id, payload, created_at
         FROM (
             SELECT o.* FROM unnest($1::text[]) t (xid) JOIN outbox o ON o.xid = t.xid::xid8
             UNION ALL
             SELECT * FROM outbox WHERE xid >= $2::text::xid8 AND xid <= $3::text::xid8
             OFFSET 0
         ) o
         WHERE id > $4 AND id <= $5
             AND pg_visible_in_snapshot(xid, (SELECT $6::text::pg_snapshot))
         ORDER BY id LIMIT $7",
    )
    .bind(seen.running.iter().map(u64::to_string).collect::<Vec<_>>())
    .bind(seen.end.to_string())
    .bind(seen.begun.to_string())
    .bind(window.last)
    .bind(top)
    .bind(window.shown.to_postgres())
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// The next rows of the window with ids that were drawn since.
///
/// Where nothing was read before, a row whose transaction this server has not begun yet counts as
/// visible: it was restored from a dump of another one.
async fn new(
    connection: &mut PgConnection,
    window: &Window,
    limit: i64,
) -> sqlx::Result<Vec<OutboxEntry>> {
    let Settled { seen, top } = &window.before;
    sqlx::query_as(
        "SELECT id, kind, conversation_id, chat_id, payload, created_at FROM outbox
         WHERE id > $1 AND id <= $2
             AND NOT pg_visible_in_snapshot(xid, (SELECT $3::text::pg_snapshot))
             AND (pg_visible_in_snapshot(xid, (SELECT $4::text::pg_snapshot))
                 OR ($5 AND xid >= pg_snapshot_xmax(pg_current_snapshot())))
         ORDER BY id LIMIT $6",
    )
    .bind(window.last.max(*top))
    .bind(window.end)
    .bind(seen.to_postgres())
    .bind(window.shown.to_postgres())
    .bind(*seen == Snapshot::OF_NOTHING)
    .bind(limit)
    .fetch_all(connection)
    .await
}
