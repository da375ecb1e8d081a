//! Asks a company's own back end about a chat.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{breaker::Breaker, clock::Clock, signing::SigningKey};

/// The most calls at once: enough for 5,000 chats in a second that take 50 ms each.
const AT_ONCE: usize = 256;

/// The most chats that wait for one to end.
const WAITING: usize = 4_096;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 128 * 1024;

/// What the back end says of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It may be sent.
    Allow,
    /// It may not; what its sender is told.
    Deny(Option<String>),
    /// Somebody is to decide about it.
    Hold,
    /// It may be sent with this content.
    Replace(String),
}

/// Why there is no answer, in words that hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("too many chats wait for an answer")]
    Overloaded,
    #[error("it rests after failures")]
    Resting,
    #[error("it did not answer in time")]
    TimedOut,
    #[error("it could not be asked")]
    Exchange,
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is not one that is understood")]
    Unclear,
}

impl Failure {
    /// The word of the metric.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Resting => "resting",
            Self::TimedOut => "timed_out",
            Self::Exchange => "exchange",
            Self::Status(_) => "status",
            Self::Unclear => "unclear",
        }
    }
}

/// An answer as it is written.
#[derive(Deserialize)]
struct Written {
    action: Action,
    detail: Option<String>,
    content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Allow,
    Deny,
    Hold,
    Replace,
}

/// The HTTP client of the hook: its URL, signing key, time-out, and bounds.
pub struct HookClient {
    http: reqwest::Client,
    url: Url,
    key: SigningKey,
    timeout: Duration,
    clock: Clock,
    calls: Semaphore,
    line: Arc<Semaphore>,
    breaker: Breaker,
}

impl HookClient {
    /// Asks at this URL, with bodies signed by this key. An answer is there within `timeout` of the question.
    pub fn new(
        http: reqwest::Client,
        url: Url,
        key: SigningKey,
        timeout: Duration,
        clock: Clock,
    ) -> Self {
        let (calls, line) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE + WAITING));
        let (line, breaker) = (Arc::new(line), Breaker::default());
        Self { http, url, key, timeout, clock, calls, line, breaker }
    }

    /// What the back end says of a chat. There is an answer by `answer_by`.
    pub(super) async fn ask(&self, chat: Value, answer_by: Instant) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let answer = self.ask_in_line(chat, answer_by.min(begun + self.timeout)).await;
        let outcome = match &answer {
            Ok(Answer::Allow) => "allow",
            Ok(Answer::Deny(_)) => "deny",
            Ok(Answer::Hold) => "hold",
            Ok(Answer::Replace(_)) => "replace",
            Err(failure) => failure.as_str(),
        };
        metrics::counter!("imserver_hook_calls_total", "outcome" => outcome).increment(1);
        metrics::histogram!("imserver_hook_seconds").record(begun.elapsed());
        answer
    }

    async fn ask_in_line(&self, chat: Value, answer_by: Instant) -> Result<Answer, Failure> {
        let _place = match Arc::clone(&self.line).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                return Err(Failure::Overloaded);
            }
        };
        let permit = timeout_at(answer_by, self.calls.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(Failure::Overloaded) };
        if !self.breaker.may_call() {
            return Err(Failure::Resting);
        }
        let answer = timeout_at(answer_by, self.call(chat)).await;
        let answer = answer.unwrap_or(Err(Failure::TimedOut));
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            Err(failure) => {
                tracing::debug!(%failure, "the hook before a send has failed");
                if self.breaker.failed() {
                    tracing::warn!(%failure, "the hook before a send fails again and again");
                }
            }
        }
        answer
    }

    async fn call(&self, chat: Value) -> Result<Answer, Failure> {
        let now = self.clock.now();
        let body = json!({"type": "chat.before_send", "timestamp": now, "data": {"chat": chat}});
        let body = body.to_string();
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let mut request = self.http.post(self.url.clone());
        for (name, value) in self.key.headers(&id, now.as_millis() / 1_000, &body) {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(|_| Failure::Exchange)?;
        if !response.status().is_success() {
            return Err(Failure::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Exchange)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Failure::Unclear);
            }
            body.extend_from_slice(&chunk);
        }
        let Written { action, detail, content } =
            serde_json::from_slice(&body).map_err(|_| Failure::Unclear)?;
        Ok(match (action, content) {
            (Action::Allow, _) => Answer::Allow,
            (Action::Deny, _) => Answer::Deny(detail),
            (Action::Hold, _) => Answer::Hold,
            (Action::Replace, Some(content)) => Answer::Replace(content),
            (Action::Replace, None) => return Err(Failure::Unclear),
        })
    }
}
