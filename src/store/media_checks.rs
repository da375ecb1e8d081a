//! The contract about checks of pictures and voice messages, whose results come later.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{ChatId, HeldId, Media, MediaId, MediaKind, UserId},
};

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It is to be asked about.
    Due,
    /// The answer is awaited.
    Asked,
    /// It may be shown.
    Pass,
    /// Somebody is to look at it.
    Review,
    /// It must not be shown.
    Risky,
    /// The checker cannot check it.
    Unable,
    /// No answer came.
    Failed,
}

impl CheckState {
    const ALL: [Self; 7] =
        [Self::Due, Self::Asked, Self::Pass, Self::Review, Self::Risky, Self::Unable, Self::Failed];

    /// The word of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Asked => "asked",
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Risky => "risky",
            Self::Unable => "unable",
            Self::Failed => "failed",
        }
    }

    /// Reads what [`CheckState::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A medium that is to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCheck {
    /// The medium.
    pub media: MediaId,
    /// What it is.
    pub kind: MediaKind,
    /// In whose name; `None`: that user was erased.
    pub sender: Option<UserId>,
    /// Since when it is to be checked, by the database's time.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
}

/// A chat with a medium about which something is known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedChat {
    /// It is committed.
    Sent(ChatId, CheckState),
    /// It is held back. Whether for nothing but the check.
    Held(HeldId, CheckState, bool),
}

/// Checks of pictures and voice messages. Time is that of the database.
#[async_trait]
pub trait MediaChecks {
    /// Wants a medium checked in the name of whoever sends it, and says how far that is. What is known of the same
    /// bytes by another name counts. A check that came to nothing begins anew.
    async fn want_check(&self, media: &Media, sender: UserId) -> Result<CheckState, StoreError>;

    /// At most `limit` media that are to be asked about now.
    async fn due_checks(&self, limit: u32) -> Result<Vec<DueCheck>, StoreError>;

    /// Notes that a question was asked, by which name, and for how long its answer is awaited.
    async fn check_asked(
        &self,
        media: MediaId,
        trace_id: &str,
        wait: Duration,
    ) -> Result<(), StoreError>;

    /// Has a question asked again after a pause.
    async fn postpone_check(&self, media: MediaId, pause: Duration) -> Result<(), StoreError>;

    /// Ends a check that was not asked about.
    async fn end_check(&self, media: MediaId, state: CheckState) -> Result<(), StoreError>;

    /// Notes the answer to a question, also one that was not awaited any more. `false`: there is no such question.
    /// A repeat changes nothing.
    async fn end_check_by_trace(
        &self,
        trace_id: &str,
        state: CheckState,
    ) -> Result<bool, StoreError>;

    /// Ends the checks whose answers are not awaited any more, as failed.
    async fn fail_late_checks(&self) -> Result<u64, StoreError>;

    /// At most `limit` chats with media that are risky, could not be checked, or failed, within the last `within`;
    /// and those that are held back and await a check that has ended.
    async fn checked_chats(
        &self,
        states: &[CheckState],
        within: Duration,
        limit: u32,
    ) -> Result<Vec<CheckedChat>, StoreError>;

    /// Has a chat that was held back for a check wait for somebody who decides about it.
    async fn keep_held(&self, held: HeldId) -> Result<(), StoreError>;

    /// Forgets at most `limit` checks that ended longer ago than `keep`, or of risky media than `keep_risky`.
    /// Returns how many.
    async fn forget_checks(
        &self,
        keep: Duration,
        keep_risky: Duration,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
