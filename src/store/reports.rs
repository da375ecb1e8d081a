//! The contract about what people report.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{ChatId, ReportId, ReportReason, UserId},
};

/// What somebody reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportAbout {
    /// A chat, and with it whoever sent it.
    Chat(ChatId),
    /// A user.
    User(UserId),
}

/// A report that somebody makes.
#[derive(Clone, Debug)]
pub struct NewReport {
    /// Who reports; exists.
    pub reporter: UserId,
    /// What.
    pub about: ReportAbout,
    /// Why.
    pub reason: ReportReason,
    /// What the reporter adds.
    pub detail: Option<String>,
}

/// What became of a [`NewReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It is noted, now or before.
    Noted(ReportId),
    /// There is no such chat that the reporter may read.
    ChatNotFound,
    /// There is no such user.
    UserNotFound,
    /// It is the reporter's own chat, or about the reporter.
    Oneself,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rises in the order in which reports are made.
    pub id: ReportId,
    /// Who reported.
    pub reporter: UserId,
    /// Whom.
    pub reported: UserId,
    /// The chat that was reported; `None`: the user.
    pub chat_id: Option<ChatId>,
    /// The chat as it was then, as JSON; `None` as well after an erasure of its sender.
    pub chat: Option<Box<str>>,
    /// Why.
    pub reason: ReportReason,
    /// What the reporter added.
    pub detail: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// What was done about it; `None` while nothing was.
    pub outcome: Option<String>,
}

/// Some reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPage {
    /// The reports, the oldest first.
    pub reports: Vec<Report>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Reports.
#[async_trait]
pub trait Reports {
    /// Notes a report, with a copy of the chat as it is now, unless the reporter has reported the same before and
    /// nothing was done about it. What the chat shows is not collected until then.
    async fn report(&self, new: &NewReport) -> Result<Reported, StoreError>;

    /// Reports after `after` about which nothing was done, the oldest first.
    async fn open_reports(
        &self,
        after: Option<ReportId>,
        limit: u32,
    ) -> Result<ReportPage, StoreError>;

    /// A report.
    async fn find_report(&self, id: ReportId) -> Result<Option<Report>, StoreError>;

    /// Notes what was done about a report, in place of what was done before.
    async fn close_report(&self, id: ReportId, outcome: &str) -> Result<(), StoreError>;
}
