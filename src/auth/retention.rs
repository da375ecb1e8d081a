//! Deletes sessions that have ended, some days later.

use std::time::Duration;

use rand::Rng;

use super::Auth;
use crate::store::StoreError;

/// How long a session that has ended is kept.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// How many sessions are looked at with one call.
const PAGE: u32 = 1_000;

/// The time between two calls: a replica that has millions to look at leaves the database to others.
const PAUSE: Duration = Duration::from_millis(100);

/// The time between two sweeps, in minutes, at random so that replicas do not sweep together.
const INTERVAL: std::ops::RangeInclusive<u64> = 30..=90;

/// Sweeps again and again, for ever.
pub async fn keep_sweeping(auth: Auth) {
    loop {
        let wait = Duration::from_mins(rand::rng().random_range(INTERVAL));
        tokio::time::sleep(wait).await;
        if let Err(error) = auth.delete_ended().await {
            tracing::warn!(%error, "ended sessions not deleted, later again");
        }
    }
}

impl Auth {
    /// Deletes all sessions that ended longer ago than [`KEPT`]. A revoked one ends when it would have
    /// without use.
    pub async fn delete_ended(&self) -> Result<(), StoreError> {
        let before = self.clock.now().before(KEPT);
        let mut after = None;
        loop {
            after = self.store.delete_ended_sessions(after, before, PAGE).await?;
            if after.is_none() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Clock,
        domain::{UserId, UserName},
        store::{Store, sqlite::SqliteStore},
    };

    #[tokio::test]
    async fn a_sweep_deletes_what_ended_long_ago_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, day) = (Clock::manual(Clock::system().now()), Duration::from_hours(24));
        let path = folder.path().join("imserver.db");
        let store = SqliteStore::open(&path, clock.clone()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let zhang = UserId::new(1).unwrap();
        store.ensure_users(&[(zhang, UserName::parse("张三").unwrap())]).await.unwrap();
        let auth = Auth::new(Arc::clone(&store), clock.clone(), day, 30 * day);
        let (unused, used) = (auth.log_in(zhang).await.unwrap(), auth.log_in(zhang).await.unwrap());
        clock.advance(day / 2);
        assert!(auth.authenticate(&used.token).await.unwrap().is_some());
        let kept = async |login: &super::super::Login| {
            store.session(login.token.hash()).await.unwrap().is_some()
        };

        // The first has ended unused half a day longer ago than the second.
        clock.advance(day / 2 + KEPT);
        auth.delete_ended().await.unwrap();
        assert!(kept(&unused).await && kept(&used).await);
        clock.advance(day / 4);
        auth.delete_ended().await.unwrap();
        assert_eq!((kept(&unused).await, kept(&used).await), (false, true));
        clock.advance(day / 2);
        auth.delete_ended().await.unwrap();
        assert!(!kept(&used).await);
    }
}
