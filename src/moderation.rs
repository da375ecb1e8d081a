//! What whoever keeps order does: restricts users, and decides about reports.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    accounts::Accounts,
    clock::Clock,
    domain::{ChatId, HeldId, ReportId, Restriction, RestrictionKind, User, UserId},
    jobs::Job,
    messaging::Messaging,
    protocol::fault::{ApiError, ErrorCode},
    standing::Standings,
    store::{HeldPage, Refusal, Report, ReportPage, Store, StoreError},
};

/// The use cases of whoever keeps order.
#[derive(Clone)]
pub struct Moderation {
    store: Arc<dyn Store>,
    accounts: Accounts,
    messaging: Messaging,
    standings: Standings,
}

/// The most Unicode scalar values of what a sender is told of a refusal: an event has 1 KiB.
const MAX_DETAIL_CHARS: usize = 200;

/// How long a key is remembered once its time is over: a replica that asks about it still may.
const GRACE: Duration = Duration::from_mins(1);

/// The most keys that are forgotten at once.
const PAGE: u32 = 1_000;

/// The pause between two pages.
const PAUSE: Duration = Duration::from_millis(20);

/// The time between two rounds.
const INTERVAL: Duration = Duration::from_secs(30);

/// What is done about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportAction {
    /// Nothing; it is settled.
    Resolve,
    /// Recall the chat that was reported.
    Recall,
    /// Mute the user who was reported, without an end.
    Mute,
    /// Ban that user, without an end.
    Ban,
}

impl ReportAction {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Recall => "recall",
            Self::Mute => "mute",
            Self::Ban => "ban",
        }
    }
}

impl Moderation {
    /// The use cases over these parts.
    pub fn new(
        store: Arc<dyn Store>,
        accounts: Accounts,
        messaging: Messaging,
        standings: Standings,
    ) -> Self {
        Self { store, accounts, messaging, standings }
    }

    /// Restricts a user in place of any restriction before; `None`: no more. A ban ends all sessions, and their
    /// sockets.
    pub async fn restrict(
        &self,
        user: UserId,
        restriction: Option<Restriction>,
        reason: Option<&str>,
    ) -> Result<(), ApiError> {
        if !self.store.restrict(user, restriction, reason).await? {
            return Err(ApiError::user_not_found());
        }
        self.standings.forget(&[user]);
        if self.standings.read_restriction(user).await? == Some(RestrictionKind::Banned)
            && let Some(last) = self.accounts.log_out_everywhere(user).await?
        {
            self.messaging.close_sessions(user, last);
        }
        Ok(())
    }

    /// Chats that are held back, the oldest first.
    pub async fn held_chats(
        &self,
        after: Option<HeldId>,
        limit: u32,
    ) -> Result<HeldPage, ApiError> {
        Ok(self.store.held_chats(after, limit).await?)
    }

    /// Sends a chat that is held back. One that cannot be sent any more is refused, and the error says why. After
    /// any other error it may be repeated.
    pub async fn release(&self, id: HeldId) -> Result<(), ApiError> {
        let chat = self.store.begin_release(id).await?.ok_or_else(not_held)?;
        match self.messaging.release(chat).await {
            Ok(_) => Ok(self.store.end_release(id).await?),
            Err(fault) if fault.code.status() >= 500 => Err(fault),
            Err(fault) => {
                let refusal = Refusal {
                    code: fault.code.as_str().to_owned(),
                    detail: fault.detail.clone().into_owned(),
                };
                self.messaging.refuse(id, true, &refusal).await?;
                Err(fault)
            }
        }
    }

    /// Refuses a chat that is held back, and tells its sender; `detail` is for the sender to read.
    pub async fn refuse(&self, id: HeldId, detail: Option<&str>) -> Result<(), ApiError> {
        let words = detail.unwrap_or("this chat was refused").chars();
        let detail = words.filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect();
        let refusal = Refusal { code: ErrorCode::ContentRejected.as_str().to_owned(), detail };
        if self.messaging.refuse(id, false, &refusal).await? { Ok(()) } else { Err(not_held()) }
    }

    /// Takes back what a chat says, for everybody.
    pub async fn recall(&self, chat: ChatId) -> Result<(), ApiError> {
        self.messaging.recall_any(chat).await.map(|_| ())
    }

    /// Those of these users who exist.
    pub async fn people(
        &self,
        users: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<UserId, User>, ApiError> {
        let mut ids: Vec<_> = users.collect();
        ids.sort_unstable();
        ids.dedup();
        let users = self.store.users(&ids).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }

    /// Reports about which nothing was done, the oldest first.
    pub async fn open_reports(
        &self,
        after: Option<ReportId>,
        limit: u32,
    ) -> Result<ReportPage, ApiError> {
        Ok(self.store.open_reports(after, limit).await?)
    }

    /// Does something about a report, and notes that.
    pub async fn act_on_report(
        &self,
        id: ReportId,
        action: ReportAction,
    ) -> Result<Report, ApiError> {
        let found = self.store.find_report(id).await?;
        let report =
            found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such report"))?;
        let forever = |kind| Some(Restriction { kind, until: None });
        let restriction = match action {
            ReportAction::Resolve => None,
            ReportAction::Recall => {
                let chat = report.chat_id.ok_or_else(ApiError::chat_not_found)?;
                self.messaging.recall_any(chat).await?;
                None
            }
            // A ban is more than that.
            ReportAction::Mute
                if self.standings.read_restriction(report.reported).await?
                    == Some(RestrictionKind::Banned) =>
            {
                None
            }
            ReportAction::Mute => forever(RestrictionKind::Muted),
            ReportAction::Ban => forever(RestrictionKind::Banned),
        };
        if restriction.is_some() {
            self.restrict(report.reported, restriction, Some("reported")).await?;
        }
        self.store.close_report(id, action.as_str()).await?;
        Ok(Report { outcome: Some(action.as_str().to_owned()), ..report })
    }
}

/// Forgets keys that were asked about or refused, once their time is over, for ever; on one replica at a time.
pub async fn forget_keys(store: Arc<dyn Store>, clock: Clock, mut job: Job) {
    loop {
        if let Err(error) = forget_round(&*store, &clock, &mut job).await {
            tracing::warn!(%error, "old keys not forgotten, later again");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn forget_round(store: &dyn Store, clock: &Clock, job: &mut Job) -> Result<(), StoreError> {
    if job.take().await?.is_none() {
        return Ok(());
    }
    while job.keep("").await? {
        let forgotten = store.forget_keys(clock.now().before(GRACE), PAGE).await?;
        if forgotten < u64::from(PAGE) {
            return job.rest("", INTERVAL * 9 / 10).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn not_held() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no chat is held back under this id")
}
