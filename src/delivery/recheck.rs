//! Closes sockets that must close, whether or not their replica was told: those of sessions that have
//! ended, and those that `/close` meant. Keeps alive the sessions that are in use.

use std::{sync::Arc, time::Duration};

use super::{Delivery, close_matching};
use crate::{auth::Auth, bus::CloseOrder, store::StoreError};

/// How many sessions are read with one query.
const SLICE: usize = 500;

/// The longest time between two looks: what the contract promises is 30 s.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Looks at all local sockets again and again, for ever.
pub async fn recheck(delivery: Arc<Delivery>, auth: Auth) {
    // Often enough that a session is extended before it ends unused.
    let interval = (auth.idle() / 4).clamp(Duration::from_millis(200), MAX_INTERVAL);
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = look_at_sessions(&delivery, &auth).await {
            tracing::warn!(%error, "sessions not rechecked");
        }
        if let Err(error) = look_at_closes(&delivery).await {
            tracing::warn!(%error, "closes not rechecked");
        }
    }
}

async fn look_at_sessions(delivery: &Delivery, auth: &Auth) -> Result<(), StoreError> {
    for slice in delivery.sessions().chunks(SLICE) {
        let ids: Vec<_> = slice.iter().map(|(session, _)| *session).collect();
        let standing = auth.keep_alive(&ids).await?;
        for (session, user) in slice.iter().filter(|(id, _)| !standing.contains(id)) {
            tracing::info!(%session, %user, "session has ended, its sockets are closed");
            let order = CloseOrder::Session(*session);
            delivery.hub.with(*user, |local| close_matching(local, &order));
        }
    }
    Ok(())
}

/// By user, since an anonymous socket has no session.
async fn look_at_closes(delivery: &Delivery) -> Result<(), StoreError> {
    for slice in delivery.slices() {
        for (user, up_to) in delivery.store.closes(&slice).await? {
            let order = CloseOrder::UpTo(up_to);
            delivery.hub.with(user, |local| close_matching(local, &order));
        }
    }
    Ok(())
}
