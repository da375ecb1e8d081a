//! The keys of the server API, and what is done with them.

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, sql};
use crate::{
    clock::Timestamp,
    domain::{ApiKey, ApiKeyId, ApiKeyName, AuditId, Scopes},
    store::{
        ApiKeys, AuditEntry, AuditLog, AuditPage, MachineAct, StoreError, TokenHash, rows::cut,
    },
};

/// How old the last note of a key's use is at least when it is used again and noted.
const NOTE_EVERY_MS: i64 = 60_000;

/// How an act ended that went well.
const OK: &str = "ok";

/// The columns of a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "id, name, scopes, created_at, last_used_at, revoked_at"
    };
}

#[derive(FromRow)]
struct KeyRow {
    id: ApiKeyId,
    name: ApiKeyName,
    scopes: Scopes,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<KeyRow> for ApiKey {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, name, scopes, created_at, last_used_at, revoked_at } = row;
        Self { id, name, scopes, created_at, last_used_at, revoked_at }
    }
}

#[async_trait]
impl ApiKeys for Db {
    async fn create_api_key(
        &self,
        name: &ApiKeyName,
        secret: TokenHash,
        scopes: &Scopes,
        by_hand: bool,
    ) -> Result<ApiKeyId, StoreError> {
        let (name, scopes, now) = (name.clone(), scopes.clone(), self.now());
        self.transaction(move |c| {
            async move {
                let id: ApiKeyId = sqlx::query_scalar(concat!(
                    "INSERT INTO api_keys (name, key_hash, scopes, created_at) VALUES ($1, $2, $3, ",
                    sql!(now "$4"),
                    ") RETURNING id"
                ))
                .bind(name)
                .bind(secret.0.to_vec())
                .bind(scopes)
                .bind(now)
                .fetch_one(&mut *c)
                .await?;
                if by_hand {
                    note_by_hand(c, "api_key.create", id, now).await?;
                }
                Ok(id)
            }
            .boxed()
        })
        .await
    }

    async fn api_key(&self, secret: TokenHash) -> Result<Option<ApiKey>, StoreError> {
        let now = self.now();
        let query = sqlx::query_as(concat!(
            "SELECT coalesce(last_used_at, 0) <= ",
            sql!(now "$2"),
            " - $3 AS is_stale, ",
            key_columns!(),
            " FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"
        ))
        .bind(secret.0.to_vec())
        .bind(now)
        .bind(NOTE_EVERY_MS);
        let found: Option<UsedRow> = self.read(|c| query.fetch_optional(c).boxed()).await?;
        let Some(UsedRow { is_stale, key }) = found else { return Ok(None) };
        if is_stale {
            // The condition again: of requests at the same moment one writes.
            let query = sqlx::query(concat!(
                "UPDATE api_keys SET last_used_at = ",
                sql!(now "$2"),
                " WHERE id = $1 AND coalesce(last_used_at, 0) <= ",
                sql!(now "$2"),
                " - $3"
            ))
            .bind(key.id)
            .bind(now)
            .bind(NOTE_EVERY_MS);
            self.write(|c| query.execute(c).boxed()).await?;
        }
        Ok(Some(key.into()))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let query =
            sqlx::query_as(concat!("SELECT ", key_columns!(), " FROM api_keys ORDER BY id"));
        let rows: Vec<KeyRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    async fn revoke_api_key(&self, id: ApiKeyId, by_hand: bool) -> Result<bool, StoreError> {
        let now = self.now();
        self.transaction(move |c| {
            async move {
                let revoked = sqlx::query(concat!(
                    "UPDATE api_keys SET revoked_at = ",
                    sql!(now "$2"),
                    " WHERE id = $1 AND revoked_at IS NULL"
                ))
                .bind(id)
                .bind(now)
                .execute(&mut *c)
                .await?;
                let is_revoked = revoked.rows_affected() > 0;
                if is_revoked && by_hand {
                    note_by_hand(c, "api_key.revoke", id, now).await?;
                }
                Ok(is_revoked)
            }
            .boxed()
        })
        .await
    }
}

#[derive(FromRow)]
struct UsedRow {
    is_stale: bool,
    #[sqlx(flatten)]
    key: KeyRow,
}

/// Notes what the command line has done to a key.
async fn note_by_hand(
    connection: &mut Conn,
    action: &'static str,
    key: ApiKeyId,
    now: Now,
) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO audit_log (action, subject, outcome, created_at) VALUES ($1, $2, $3, ",
        sql!(now "$4"),
        ")"
    ))
    .bind(action)
    .bind(format!("api_key:{key}"))
    .bind(OK)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct AuditRow {
    id: AuditId,
    key_id: Option<ApiKeyId>,
    key_name: Option<ApiKeyName>,
    machine: Option<String>,
    action: String,
    subject: Option<String>,
    reason: Option<String>,
    outcome: Option<String>,
    created_at: Timestamp,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        let AuditRow {
            id,
            key_id,
            key_name,
            machine,
            action,
            subject,
            reason,
            outcome,
            created_at,
        } = row;
        Self {
            id,
            key: key_id.zip(key_name),
            machine,
            action,
            subject,
            reason,
            outcome,
            created_at,
        }
    }
}

#[async_trait]
impl AuditLog for Db {
    async fn begin_act(
        &self,
        key: Option<ApiKeyId>,
        action: &str,
        subject: Option<&str>,
        reason: Option<&str>,
    ) -> Result<AuditId, StoreError> {
        let query = sqlx::query_scalar(concat!(
            "INSERT INTO audit_log (key_id, action, subject, reason, created_at)
             VALUES ($1, $2, $3, $4, ",
            sql!(now "$5"),
            ") RETURNING id"
        ))
        .bind(key)
        .bind(action.to_owned())
        .bind(subject.map(str::to_owned))
        .bind(reason.map(str::to_owned))
        .bind(self.now());
        self.write(|c| query.fetch_one(c).boxed()).await
    }

    async fn note_machine_acts(&self, acts: &[(MachineAct, u32)]) -> Result<(), StoreError> {
        let records = acts.iter().map(|(act, times)| {
            json!({"machine": act.machine(), "action": act.action(), "subject": act.subject(*times)})
        });
        let query = sqlx::query(concat!(
            "INSERT INTO audit_log (machine, action, subject, outcome, created_at)
             SELECT a.machine, a.action, a.subject, $2, ",
            sql!(now "$3"),
            " FROM ",
            sql!(records "$1" as "a" ("machine" "text", "action" "text", "subject" "text"))
        ))
        .bind(Value::Array(records.collect()).to_string())
        .bind(OK)
        .bind(self.now());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn end_act(
        &self,
        id: AuditId,
        subject: Option<&str>,
        outcome: &str,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE audit_log SET subject = coalesce($2, subject), outcome = $3
             WHERE id = $1 AND outcome IS NULL",
        )
        .bind(id)
        .bind(subject.map(str::to_owned))
        .bind(outcome.to_owned());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn audit_log(
        &self,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let query = sqlx::query_as(
            "SELECT a.id, a.key_id, k.name AS key_name, a.machine, a.action, a.subject, a.reason, a.outcome,
                 a.created_at
             FROM audit_log a LEFT JOIN api_keys k ON k.id = a.key_id
             WHERE a.id < $1 ORDER BY a.id DESC LIMIT $2",
        )
        .bind(before.map_or(i64::MAX, AuditId::get))
        .bind(i64::from(limit) + 1);
        let rows: Vec<AuditRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        let (rows, has_more) = cut(rows, limit);
        Ok(AuditPage { entries: rows.into_iter().map(Into::into).collect(), has_more })
    }

    async fn drop_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "DELETE FROM audit_log WHERE id IN (
                 SELECT id FROM (SELECT id, created_at FROM audit_log ORDER BY id LIMIT $2) oldest
                 WHERE created_at < $1)",
        )
        .bind(before)
        .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}
