//! Closes the sockets of sessions that have ended, and keeps alive those that are in use.

use std::{sync::Arc, time::Duration};

use super::Delivery;
use crate::{auth::Auth, bus::CloseOrder, store::StoreError};

/// How many sessions are read with one query.
const SLICE: usize = 500;

/// The longest time between two looks: what the contract promises is 30 s.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the sessions of all local sockets again and again, for ever.
pub async fn recheck_sessions(delivery: Arc<Delivery>, auth: Auth) {
    // Often enough that a session is extended before it ends unused.
    let interval = (auth.idle() / 4).clamp(Duration::from_millis(200), MAX_INTERVAL);
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = look(&delivery, &auth).await {
            tracing::warn!(%error, "sessions not rechecked");
        }
    }
}

async fn look(delivery: &Delivery, auth: &Auth) -> Result<(), StoreError> {
    for slice in delivery.sessions().chunks(SLICE) {
        let ids: Vec<_> = slice.iter().map(|(session, _)| *session).collect();
        let standing = auth.keep_alive(&ids).await?;
        for (session, user) in slice.iter().filter(|(id, _)| !standing.contains(id)) {
            tracing::info!(%session, %user, "session has ended, its sockets are closed");
            delivery.hub.with(*user, |local| {
                super::close_matching(local, &CloseOrder::Session(*session));
            });
        }
    }
    Ok(())
}
