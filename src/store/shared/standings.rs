//! Blocks, restrictions, and what a conversation allows.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, ids, sql};
use crate::{
    clock::Timestamp,
    domain::{Block, ConversationId, ConversationKey, Restriction, RestrictionKind, User, UserId},
    store::{
        BlockPage, ConversationOrigin, Standing, StandingChanges, Standings, StoreError,
        error::corrupt, identity_columns::user_columns, rows::cut,
    },
};

#[async_trait]
impl Standings for Db {
    async fn block(&self, block: Block) -> Result<bool, StoreError> {
        let now = self.now();
        self.transaction(move |c| set_block(c, block, now).boxed()).await
    }

    async fn unblock(&self, block: Block) -> Result<(), StoreError> {
        let now = self.now();
        self.transaction(move |c| {
            async move {
                sqlx::query("DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2")
                    .bind(block.by)
                    .bind(block.of)
                    .execute(&mut *c)
                    .await?;
                note_changes(c, &[block.by, block.of], now).await
            }
            .boxed()
        })
        .await
    }

    async fn blocks(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<BlockPage, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT ",
            user_columns!("u"),
            ", b.created_at FROM blocks b
             JOIN users u ON u.id = b.blocked_id AND u.erased_at IS NULL
             WHERE b.blocker_id = $1 AND b.blocked_id > $2 ORDER BY b.blocked_id LIMIT $3"
        ))
        .bind(user)
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit) + 1);
        let rows: Vec<BlockedRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        let (rows, has_more) = cut(rows, limit);
        let blocks = rows.into_iter().map(|row| (row.user, row.created_at)).collect();
        Ok(BlockPage { blocks, has_more })
    }

    async fn blocks_between(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<Block>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT b.blocker_id, b.blocked_id FROM blocks b
             WHERE b.blocker_id = $1 AND b.blocked_id ",
            sql!(in "$2"),
            " UNION ALL
             SELECT b.blocker_id, b.blocked_id FROM blocks b
             WHERE b.blocked_id = $1 AND b.blocker_id ",
            sql!(in "$2")
        ))
        .bind(user)
        .bind(ids(others));
        let rows: Vec<BlockRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().map(BlockRow::into_block).collect())
    }

    async fn standings(&self, users: &[UserId], limit: u32) -> Result<Vec<Standing>, StoreError> {
        let users = users.to_vec();
        self.read(move |c| {
            async move {
                let rows: Vec<StandingRow> = sqlx::query_as(concat!(
                    "SELECT u.id,
                         (SELECT r.kind FROM restrictions r WHERE r.user_id = u.id) AS kind,
                         (SELECT r.until FROM restrictions r WHERE r.user_id = u.id) AS until,
                         (SELECT b.blocked_id FROM blocks b WHERE b.blocker_id = u.id LIMIT 1)
                             IS NOT NULL
                         OR (SELECT b.blocker_id FROM blocks b WHERE b.blocked_id = u.id LIMIT 1)
                             IS NOT NULL AS has_blocks
                     FROM ",
                    sql!(rows "$1" as "u")
                ))
                .bind(ids(&users))
                .fetch_all(&mut *c)
                .await?;
                let mut found = HashMap::with_capacity(rows.len());
                for row in rows {
                    let blocks = if row.has_blocks {
                        blocks_of(c, row.id, limit).await?
                    } else {
                        Some(Vec::new())
                    };
                    let restriction = row.kind.map(|kind| read_restriction((kind, row.until)));
                    let restriction = restriction.transpose()?;
                    found.insert(row.id, Standing { restriction, blocks });
                }
                users
                    .iter()
                    .map(|user| found.get(user).cloned())
                    .collect::<Option<_>>()
                    .ok_or_else(|| corrupt("a user of a list has no row"))
            }
            .boxed()
        })
        .await
    }

    async fn restrict(
        &self,
        user: UserId,
        restriction: Option<Restriction>,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let (reason, now) = (reason.map(str::to_owned), self.now());
        self.transaction(move |c| {
            async move { restrict(c, user, restriction, reason, now).await }.boxed()
        })
        .await
    }

    async fn changed_standings(
        &self,
        since: Option<Timestamp>,
        overlap: Duration,
    ) -> Result<StandingChanges, StoreError> {
        let now = self.now();
        self.read(move |c| {
            async move {
                let looked_at: Timestamp = sqlx::query_scalar(concat!("SELECT ", sql!(now "$1")))
                    .bind(now)
                    .fetch_one(&mut *c)
                    .await?;
                let recently = looked_at.before(overlap);
                let users: Vec<(UserId, Timestamp)> = sqlx::query_as(
                    "SELECT user_id, changed_at FROM standing_changes WHERE changed_at >= $1",
                )
                .bind(since.map_or(recently, |since| since.min(recently)))
                .fetch_all(c)
                .await?;
                Ok(StandingChanges { looked_at, users: users.into_iter().collect() })
            }
            .boxed()
        })
        .await
    }

    async fn conversation_origins(
        &self,
        keys: &[ConversationKey],
    ) -> Result<Vec<Option<ConversationOrigin>>, StoreError> {
        let (mut pairs, mut listed) = (Vec::new(), Vec::new());
        for key in keys {
            match *key {
                ConversationKey::Pair { low, high } => {
                    pairs.push(json!({"low": low, "high": high}));
                }
                ConversationKey::Id(id) => listed.push(id),
            }
        }
        // No joins: the planner may read all conversations for one.
        let query = sqlx::query_as(concat!(
            "SELECT v.id, v.kind = 'direct' AS is_direct, v.low_user, v.high_user, v.is_managed
             FROM conversations v WHERE v.id ",
            sql!(in "$1"),
            " UNION ALL
             SELECT NULL, true, p.low, p.high, (SELECT v.is_managed FROM conversations v
                 WHERE v.kind = 'direct' AND v.low_user = p.low AND v.high_user = p.high)
             FROM ",
            sql!(records "$2" as "p" ("low" "bigint", "high" "bigint"))
        ))
        .bind(ids(&listed))
        .bind(Value::Array(pairs).to_string());
        let rows: Vec<OriginRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        let found: HashMap<_, _> = rows.into_iter().filter_map(OriginRow::into_origin).collect();
        Ok(keys.iter().map(|key| found.get(key).copied()).collect())
    }
}

/// The blocks of a user; `None` if there are more than so many.
async fn blocks_of(c: &mut Conn, user: UserId, limit: u32) -> sqlx::Result<Option<Vec<Block>>> {
    let rows: Vec<BlockRow> = sqlx::query_as(
        "SELECT * FROM (SELECT b.blocker_id, b.blocked_id FROM blocks b
             WHERE b.blocker_id = $1 LIMIT $2) own
         UNION ALL
         SELECT * FROM (SELECT b.blocker_id, b.blocked_id FROM blocks b
             WHERE b.blocked_id = $1 LIMIT $2) others",
    )
    .bind(user)
    .bind(i64::from(limit) + 1)
    .fetch_all(c)
    .await?;
    let (rows, has_more) = cut(rows, limit);
    Ok((!has_more).then(|| rows.into_iter().map(BlockRow::into_block).collect()))
}

#[derive(FromRow)]
struct StandingRow {
    id: UserId,
    kind: Option<String>,
    until: Option<Timestamp>,
    has_blocks: bool,
}

#[derive(FromRow)]
struct BlockRow {
    blocker_id: UserId,
    blocked_id: UserId,
}

impl BlockRow {
    fn into_block(self) -> Block {
        Block { by: self.blocker_id, of: self.blocked_id }
    }
}

#[derive(FromRow)]
struct BlockedRow {
    #[sqlx(flatten)]
    user: User,
    created_at: Timestamp,
}

#[derive(FromRow)]
struct OriginRow {
    /// `None`: it was looked up by its pair.
    id: Option<ConversationId>,
    is_direct: bool,
    low_user: Option<UserId>,
    high_user: Option<UserId>,
    /// `None`: there is none of this pair.
    is_managed: Option<bool>,
}

impl OriginRow {
    fn into_origin(self) -> Option<(ConversationKey, ConversationOrigin)> {
        let pair = self.low_user.zip(self.high_user).filter(|_| self.is_direct);
        let key = match (self.id, pair) {
            (Some(id), _) => ConversationKey::Id(id),
            (None, pair) => pair.map(|(low, high)| ConversationKey::Pair { low, high })?,
        };
        Some((key, ConversationOrigin { pair, is_managed: self.is_managed? }))
    }
}

pub(super) fn read_restriction(
    (kind, until): (String, Option<Timestamp>),
) -> sqlx::Result<Restriction> {
    let kind = RestrictionKind::parse(&kind).ok_or_else(|| corrupt("a restriction is none"))?;
    Ok(Restriction { kind, until })
}

/// Whether there is such a person: nobody blocks or restricts the service itself. An erasure waits for the end, and then takes what is written about the user.
pub(super) async fn exists(connection: &mut Conn, user: UserId) -> sqlx::Result<bool> {
    let found = sqlx::query(concat!(
        "SELECT 1 FROM users WHERE id = $1 AND kind = 'person' AND erased_at IS NULL",
        sql!(for "SHARE")
    ))
    .bind(user)
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

async fn set_block(connection: &mut Conn, block: Block, now: Now) -> sqlx::Result<bool> {
    if !exists(connection, block.of).await? {
        return Ok(false);
    }
    let set = sqlx::query(concat!(
        "INSERT INTO blocks (blocker_id, blocked_id, read_up_to, created_at)
         VALUES ($1, $2, (SELECT m.read_up_to FROM conversations v
             JOIN members m ON m.conversation_id = v.id AND m.user_id = $1
             WHERE v.kind = 'direct' AND v.low_user = ",
        sql!(least "$1, $2"),
        " AND v.high_user = ",
        sql!(greatest "$1, $2"),
        "), ",
        sql!(now "$3"),
        ") ON CONFLICT (blocker_id, blocked_id) DO NOTHING"
    ))
    .bind(block.by)
    .bind(block.of)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if set.rows_affected() > 0 {
        note_changes(connection, &[block.by, block.of], now).await?;
    }
    Ok(true)
}

async fn restrict(
    connection: &mut Conn,
    user: UserId,
    restriction: Option<Restriction>,
    reason: Option<String>,
    now: Now,
) -> sqlx::Result<bool> {
    if !exists(connection, user).await? {
        return Ok(false);
    }
    match restriction {
        Some(Restriction { kind, until }) => {
            sqlx::query(concat!(
                "INSERT INTO restrictions (user_id, kind, until, reason, created_at)
                 VALUES ($1, $2, $3, $4, ",
                sql!(now "$5"),
                ") ON CONFLICT (user_id) DO UPDATE SET kind = excluded.kind,
                     until = excluded.until, reason = excluded.reason,
                     created_at = excluded.created_at"
            ))
            .bind(user)
            .bind(kind.as_str())
            .bind(until)
            .bind(reason)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        }
        None => {
            sqlx::query("DELETE FROM restrictions WHERE user_id = $1")
                .bind(user)
                .execute(&mut *connection)
                .await?;
        }
    }
    note_changes(connection, &[user], now).await?;
    Ok(true)
}

/// Notes that the standing of these users changes, in ascending id: two replicas that change the same ones must
/// not wait for each other.
async fn note_changes(connection: &mut Conn, users: &[UserId], now: Now) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO standing_changes (user_id, changed_at)
         SELECT n.id, ",
        sql!(now "$2"),
        " FROM ",
        sql!(rows "$1" as "n"),
        " WHERE true ORDER BY n.id
         ON CONFLICT (user_id) DO UPDATE SET changed_at = excluded.changed_at"
    ))
    .bind(ids(users))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
