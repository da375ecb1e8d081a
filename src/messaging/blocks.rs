//! Blocks between users, and what people report.

use std::time::Duration;

use super::Messaging;
use crate::{
    domain::{Block, ReportId, UserId},
    protocol::fault::{ApiError, ErrorCode},
    store::{BlockPage, NewReport, Reported},
};

/// The pause between two looks for standings that others have changed.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

impl Messaging {
    /// Has the user hear nothing any more of another one.
    pub async fn block(&self, user: UserId, other: UserId) -> Result<(), ApiError> {
        if user == other {
            return Err(ApiError::invalid("nobody can block oneself"));
        }
        if !self.store.block(Block { by: user, of: other }).await? {
            return Err(ApiError::user_not_found());
        }
        self.standings.forget(&[user, other]);
        self.part(user).await?;
        self.part(other).await
    }

    /// Takes a block back.
    pub async fn unblock(&self, user: UserId, other: UserId) -> Result<(), ApiError> {
        self.store.unblock(Block { by: user, of: other }).await?;
        self.standings.forget(&[user, other]);
        Ok(())
    }

    /// Whom the user has blocked, in ascending id.
    pub async fn blocks(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<BlockPage, ApiError> {
        Ok(self.store.blocks(user, after, limit).await?)
    }

    /// Reports a chat or a user to whoever keeps order.
    pub async fn report(&self, new: &NewReport) -> Result<ReportId, ApiError> {
        match self.store.report(new).await? {
            Reported::Noted(id) => {
                tracing::info!(report = %id, reporter = %new.reporter, "reported");
                Ok(id)
            }
            Reported::ChatNotFound => {
                Err(ApiError::new(ErrorCode::ChatNotFound, "you have no chat with this id"))
            }
            Reported::UserNotFound => Err(ApiError::user_not_found()),
            Reported::Oneself => Err(ApiError::invalid("nobody can report oneself")),
        }
    }

    /// Ends the watching of a user by those whom a block keeps apart.
    async fn part(&self, user: UserId) -> Result<(), ApiError> {
        let watchers = self.delivery.watchers();
        let watching = watchers.watching(user);
        if !watching.is_empty() {
            watchers.part(user, &self.standings.apart(user, &watching).await?);
        }
        Ok(())
    }
}

/// Follows the changes of blocks and restrictions that other replicas make, for ever.
pub async fn follow_standings(messaging: Messaging) {
    loop {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let changed = match messaging.standings.refresh().await {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "blocks and restrictions not read, later again");
                continue;
            }
        };
        for user in changed {
            if let Err(error) = messaging.part(user).await {
                tracing::warn!(%user, %error, "blocks of a user not read");
            }
        }
    }
}
