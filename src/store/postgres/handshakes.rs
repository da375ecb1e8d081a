//! What every handshake asks for: calls that wait at the same time share a statement.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{FromRow, PgConnection};

use super::{
    CONNECTIONS, PgStore, WORK_TIMEOUT,
    dialect::ids,
    error::classify,
    history,
    pool::{ACQUIRE_TIMEOUT, Pool},
};
use crate::{
    coalescer::{CallLimits, Coalescer},
    domain::{ConnectionId, Seq, UserId},
    store::{Handshakes, Session, StoreError, TimelineRange, TimelineState, TokenHash},
};

const LIMITS: CallLimits = CallLimits {
    // All kinds together leave connections to other work.
    at_once: CONNECTIONS / 5,
    apart: Duration::ZERO,
    batch: 500,
    queue: 8_192,
    start_within: ACQUIRE_TIMEOUT,
    answer_within: Duration::saturating_add(ACQUIRE_TIMEOUT, WORK_TIMEOUT),
};

/// A coalescer for each kind of call.
#[derive(Clone)]
pub(super) struct HandshakeCalls {
    sessions: Coalescer<TokenHash, Option<Session>, StoreError>,
    connections: Coalescer<(), ConnectionId, StoreError>,
    timeline_states: Coalescer<UserId, TimelineState, StoreError>,
}

impl HandshakeCalls {
    pub(super) fn on(pool: &Pool) -> Self {
        Self {
            sessions: coalescer(pool, |c, tokens| sessions(c, tokens).boxed()),
            connections: coalescer(pool, |c, calls| next_connections(c, calls.len()).boxed()),
            timeline_states: coalescer(pool, |c, users| timeline_states(c, users).boxed()),
        }
    }
}

/// Coalesces calls for a unit of work that answers them in their order.
fn coalescer<K, A>(
    pool: &Pool,
    work: impl for<'c> Fn(&'c mut PgConnection, Vec<K>) -> BoxFuture<'c, sqlx::Result<Vec<A>>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> Coalescer<K, A, StoreError>
where
    K: Clone + Send + 'static,
    A: Send + 'static,
{
    let pool = pool.clone();
    Coalescer::new(LIMITS, move |keys| {
        let pool = pool.clone();
        async move { pool.run(move |c| work(c, keys)).await.map_err(classify) }.boxed()
    })
}

#[async_trait]
impl Handshakes for PgStore {
    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError> {
        self.handshakes.sessions.call(token).await
    }

    async fn next_connection(&self) -> Result<ConnectionId, StoreError> {
        self.handshakes.connections.call(()).await
    }

    async fn timeline_state(&self, user: UserId) -> Result<TimelineState, StoreError> {
        self.handshakes.timeline_states.call(user).await
    }
}

#[derive(FromRow)]
struct TokenRow {
    token_hash: Vec<u8>,
    #[sqlx(flatten)]
    session: Session,
}

async fn sessions(
    connection: &mut PgConnection,
    tokens: Vec<TokenHash>,
) -> sqlx::Result<Vec<Option<Session>>> {
    let hashes: Vec<&[u8]> = tokens.iter().map(|token| token.0.as_slice()).collect();
    let rows: Vec<TokenRow> = sqlx::query_as(
        "SELECT token_hash, id, user_id, idle_expires_at, expires_at, revoked FROM sessions
         WHERE token_hash = ANY($1)",
    )
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    let found: HashMap<_, _> = rows.into_iter().map(|row| (row.token_hash, row.session)).collect();
    Ok(tokens.iter().map(|token| found.get(token.0.as_slice()).copied()).collect())
}

/// So many ids, in rising order.
async fn next_connections(
    connection: &mut PgConnection,
    count: usize,
) -> sqlx::Result<Vec<ConnectionId>> {
    sqlx::query_scalar("SELECT nextval('connection_ids') FROM generate_series(1, $1)")
        .bind(i32::try_from(count).expect("a batch of calls is short"))
        .fetch_all(connection)
        .await
}

async fn timeline_states(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<Vec<TimelineState>> {
    let rows: Vec<(UserId, Seq, Seq)> = sqlx::query_as(
        "SELECT user_id, first_seq, last_seq FROM timelines WHERE user_id = ANY($1)",
    )
    .bind(ids(&users))
    .fetch_all(&mut *connection)
    .await?;
    let ranges: HashMap<_, _> =
        rows.into_iter().map(|(user, first, last)| (user, TimelineRange { first, last })).collect();
    let epoch = history::epoch(connection).await?;
    // A user without a timeline has no event.
    let of = |user| ranges.get(user).copied().unwrap_or(TimelineRange::EMPTY);
    Ok(users.iter().map(|user| TimelineState { epoch, range: of(user) }).collect())
}
