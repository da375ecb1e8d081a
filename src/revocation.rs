//! Closes the sockets of sessions that have ended and those that `/close` named, though the order was lost.
//! Extends the sessions that are in use.

use std::{sync::Arc, time::Duration};

use crate::{auth::Auth, delivery::Delivery, store::StoreError};

/// Sessions in one query.
const SLICE: usize = 500;

/// The longest polling interval: clients are promised 30 s.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Checks the sessions and closes of all local sockets, for ever.
pub async fn watch_revocations(delivery: Arc<Delivery>, auth: Auth) {
    // Often enough that a session is extended before it ends unused.
    let interval = (auth.idle() / 4).clamp(Duration::from_millis(200), MAX_INTERVAL);
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = check_sessions(&delivery, &auth).await {
            tracing::warn!(%error, "sessions not checked");
        }
        if let Err(error) = delivery.close_named().await {
            tracing::warn!(%error, "closes not checked");
        }
    }
}

async fn check_sessions(delivery: &Delivery, auth: &Auth) -> Result<(), StoreError> {
    for slice in delivery.sessions().chunks(SLICE) {
        let ids: Vec<_> = slice.iter().map(|(session, _)| *session).collect();
        let standing = auth.keep_alive(&ids).await?;
        for (session, user) in slice.iter().filter(|(id, _)| !standing.contains(id)) {
            tracing::info!(%session, %user, "session has ended, its sockets are closed");
            delivery.close_session(*session, *user);
        }
    }
    Ok(())
}
