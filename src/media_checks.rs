//! Checks of pictures and voice messages by WeChat: asks the questions, takes the answers, and does what follows. All of
//! it goes by what the database says, so it goes on where it was when a replica dies.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::{
    admission::NOT_SHOWN,
    checks::{Suggestion, Unchecked},
    clock::Clock,
    domain::OnFailure,
    jobs::Job,
    media::{MediaLinks, Variant},
    moderation::Moderation,
    protocol::fault::{ApiError, ErrorCode},
    store::{CheckState, CheckedChat, DueCheck, Store, StoreError},
    wechat::{Wechat, push::Event},
    wechat_events::{EventHandler, Handled, HandlerError},
};

/// How many questions are asked at once, and in a second: WeChat takes 2,000 a minute.
const PAGE: u32 = 32;

/// How often it is looked what there is to do.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a question may take, with a token and with the lookup of who asks.
const ASKING: Duration = Duration::from_secs(10);

/// How long an answer is awaited: WeChat promises one within that time.
const ANSWER_WAIT: Duration = Duration::from_mins(30);

/// How long a question is tried.
const GIVE_UP: Duration = Duration::from_mins(30);

/// The pause after WeChat takes no more questions.
const QUOTA_PAUSE: Duration = Duration::from_mins(1);

/// For how long the name of a question may not be known yet, whose answer is there.
const TRACE_WAIT: Duration = Duration::from_secs(10);

/// For how long after a verdict chats with its medium are looked for. One that was admitted before is committed
/// within seconds.
const EFFECTS: Duration = Duration::from_hours(24);

/// How many chats are worked on at once.
const CHATS: u32 = 100;

/// How long a verdict is known, but for that a medium is risky.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// How long it is known that a medium is risky.
const RISKY_KEPT: Duration = Duration::from_hours(365 * 24);

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct CheckPolicy {
    /// What becomes of a chat whose medium cannot be checked.
    pub on_unchecked: OnFailure,
    /// What becomes of a chat about whose medium no answer came.
    pub on_failure: OnFailure,
}

/// The work around the checks.
pub struct MediaCheckWork {
    /// What is to be checked, and what came of it.
    pub store: Arc<dyn Store>,
    /// Who checks.
    pub wechat: Wechat,
    /// Where WeChat finds the media.
    pub links: MediaLinks,
    /// Releases and refuses what is held back, and recalls what is shown.
    pub moderation: Moderation,
    /// What the settings say.
    pub policy: CheckPolicy,
    /// Tells how long a question was tried.
    pub clock: Clock,
}

/// Why a round did not end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a chat could not be changed: {0:?}")]
    Chat(ErrorCode),
}

impl MediaCheckWork {
    /// Does the work, for ever, on one replica at a time.
    pub async fn run(self, mut job: Job) {
        let (mut is_failing, mut is_ours) = (false, false);
        loop {
            let next = tokio::time::Instant::now() + INTERVAL;
            let round = self.round(&mut job, &mut is_ours).await;
            if let Err(error) = &round
                && !is_failing
            {
                tracing::warn!(%error, "media are not checked, later again");
            }
            is_failing = round.is_err();
            tokio::time::sleep_until(next).await;
        }
    }

    async fn round(&self, job: &mut Job, is_ours: &mut bool) -> Result<(), Stopped> {
        *is_ours = if *is_ours { job.keep("").await? } else { job.take().await?.is_some() };
        if !*is_ours {
            return Ok(());
        }
        let due = self.store.due_checks(PAGE).await?;
        let asked = join_all(due.iter().map(|check| self.ask(check))).await;
        asked.into_iter().collect::<Result<(), _>>()?;
        self.store.fail_late_checks().await?;
        if job.keep_for("", ASKING).await? {
            for chat in self.store.checked_chats(&self.policy.recalled(), EFFECTS, CHATS).await? {
                self.settle(chat).await?;
            }
            self.store.forget_checks(KEPT, RISKY_KEPT, CHATS).await?;
        }
        Ok(())
    }

    /// Asks a question, and notes what came of it.
    async fn ask(&self, check: &DueCheck) -> Result<(), StoreError> {
        let asking = tokio::time::timeout(ASKING, self.question(check)).await;
        let tried = check.created_at.until(self.clock.now());
        match asking.unwrap_or(Ok(Err(Unchecked::Failed)))? {
            Ok(trace) => self.store.check_asked(check.media, &trace, ANSWER_WAIT).await,
            Err(Unchecked::Unable) => self.end(check, CheckState::Unable).await,
            Err(_) if tried > GIVE_UP => self.end(check, CheckState::Failed).await,
            Err(Unchecked::OutOfQuota) => self.store.postpone_check(check.media, QUOTA_PAUSE).await,
            Err(Unchecked::Failed) => {
                let doubled = u32::try_from(check.attempts.clamp(0, 6)).unwrap_or(6);
                let pause = Duration::from_secs(2) * 2_u32.pow(doubled);
                self.store.postpone_check(check.media, pause).await
            }
        }
    }

    async fn end(&self, check: &DueCheck, state: CheckState) -> Result<(), StoreError> {
        self.store.end_check(check.media, state).await
    }

    async fn question(&self, check: &DueCheck) -> Result<Result<String, Unchecked>, StoreError> {
        let Some(sender) = check.sender else { return Ok(Err(Unchecked::Unable)) };
        let url = self.links.url(check.media, Variant::Original);
        let mut answer = Err(Unchecked::Unable);
        for user in self.store.wechat_users(sender).await? {
            answer = self.wechat.check_media(&user, &url, check.kind).await;
            if answer != Err(Unchecked::Unable) {
                break;
            }
        }
        Ok(answer)
    }

    /// Does what follows for a chat. What was done before changes nothing.
    async fn settle(&self, chat: CheckedChat) -> Result<(), Stopped> {
        let done = match chat {
            CheckedChat::Sent(id, state) => {
                tracing::info!(chat = id.get(), state = state.as_str(), "recalled by its medium");
                self.moderation.recall(id).await
            }
            CheckedChat::Held(id, state, awaits) => match self.policy.of(state) {
                OnFailure::Deny => self.moderation.refuse(id, Some(NOT_SHOWN)).await,
                _ if !awaits => Ok(()),
                OnFailure::Allow => self.moderation.release(id).await,
                OnFailure::Hold => Ok(self.store.keep_held(id).await?),
            },
        };
        match done {
            Ok(()) => Ok(()),
            // Somebody has decided, or it cannot be sent any more.
            Err(ApiError { code, .. }) if code.status() < 500 => Ok(()),
            Err(ApiError { code, .. }) => Err(Stopped::Chat(code)),
        }
    }
}

impl CheckPolicy {
    /// The verdicts by which what is shown is recalled.
    fn recalled(self) -> Vec<CheckState> {
        let all = [CheckState::Risky, CheckState::Unable, CheckState::Failed];
        all.into_iter().filter(|state| self.of(*state) == OnFailure::Deny).collect()
    }

    /// What becomes of a chat whose check has ended so.
    fn of(self, state: CheckState) -> OnFailure {
        match state {
            CheckState::Pass => OnFailure::Allow,
            CheckState::Risky => OnFailure::Deny,
            CheckState::Unable => self.on_unchecked,
            CheckState::Failed => self.on_failure,
            // The last two have not ended.
            CheckState::Review | CheckState::Due | CheckState::Asked => OnFailure::Hold,
        }
    }
}

/// Takes the answers.
pub struct MediaAnswers(pub Arc<dyn Store>);

#[async_trait]
impl EventHandler for MediaAnswers {
    async fn handle(&self, event: &Event, age: Duration) -> Result<Handled, HandlerError> {
        let Event::MediaChecked { trace_id, result } = event else { return Ok(Handled::NotMine) };
        let state = match result {
            Ok(Suggestion::Pass) => CheckState::Pass,
            Ok(Suggestion::Review) => CheckState::Review,
            Ok(Suggestion::Risky) => CheckState::Risky,
            Err(Unchecked::Unable) => CheckState::Unable,
            Err(Unchecked::OutOfQuota | Unchecked::Failed) => CheckState::Failed,
        };
        if self.0.end_check_by_trace(trace_id, state).await? {
            return Ok(Handled::Taken);
        }
        // Another service of the company may ask as well. Or the answer was faster than the note of the question.
        if age < TRACE_WAIT {
            Err("its question is not known yet".into())
        } else {
            Ok(Handled::NotMine)
        }
    }
}
