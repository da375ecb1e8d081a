//! One call of WeChat's server API, whichever it is: with a token, bounded, and with errors by their kinds.

use std::time::Duration;

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use super::{MAX_ANSWER_BYTES, MiniProgram, endpoint};
use crate::{
    http_client::{Problem, json_answer},
    secret::Secret,
};

/// How long the same fault is not logged again.
const QUIET: Duration = Duration::from_mins(1);

/// Why a call was of no avail. Its words hold nothing of the answer but the error's number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// WeChat takes no more of these calls in this minute, or on this day.
    #[error("{0}: WeChat takes no more of these calls for a while")]
    OutOfQuota(i64),
    /// The token is not good, and another one was not either.
    #[error("{0}: WeChat refuses the token")]
    Token(i64),
    /// The secret of the mini program is frozen: its owner has to thaw it in the console.
    #[error("40243: the secret of the mini program is frozen; thaw it in WeChat's console")]
    SecretFrozen,
    /// The address of this machine is not in the list of those that may call.
    #[error("40164: this machine is not in the address list of the mini program")]
    AddressRefused,
    /// The page of a message is none of the mini program as it is published.
    #[error("41030: the mini program as it is published has no such page")]
    BadPage,
    /// The user has allowed no message, or none any more.
    #[error("43101: the user takes no such message")]
    Refused,
    /// A field of a message does not fit the template.
    #[error("47003: a field of the message does not fit the template")]
    BadField,
    /// The user has not been in the mini program for two hours.
    #[error("61010: the user was not in the mini program lately")]
    UserNotRecent,
    /// The user is one of another mini program.
    #[error("43104: the user is one of another mini program")]
    UserForeign,
    /// The mini program has no such user.
    #[error("40003: the mini program has no such user")]
    UserUnknown,
    /// The mini program has no such template.
    #[error("40037: the mini program has no such template")]
    TemplateUnknown,
    /// The mini program may not make this call at all.
    #[error("48001: the mini program may not make this call")]
    NotAllowed,
    /// Another error.
    #[error("{0}: an error that is not expected")]
    Other(i64),
    /// No token, for want of an answer: the call was not made.
    #[error("no token: {0}")]
    NoToken(String),
    /// No answer, or one that nobody understands.
    #[error("{0}")]
    NoAnswer(String),
}

impl From<Problem> for CallError {
    fn from(problem: Problem) -> Self {
        Self::NoAnswer(problem.to_string())
    }
}

impl CallError {
    pub(super) fn unreadable() -> Self {
        Problem::NotJson.into()
    }

    /// What an `errcode` says.
    pub(super) fn check(errcode: Option<i64>) -> Result<(), Self> {
        Err(match errcode.unwrap_or(0) {
            0 => return Ok(()),
            code @ (44_991 | 45_009) => Self::OutOfQuota(code),
            code @ (40_001 | 40_014 | 42_001) => Self::Token(code),
            40_243 => Self::SecretFrozen,
            40_164 => Self::AddressRefused,
            41_030 => Self::BadPage,
            43_101 => Self::Refused,
            47_003 => Self::BadField,
            61_010 => Self::UserNotRecent,
            43_104 => Self::UserForeign,
            40_003 => Self::UserUnknown,
            40_037 => Self::TemplateUnknown,
            48_001 => Self::NotAllowed,
            code => Self::Other(code),
        })
    }
}

impl MiniProgram {
    /// Makes a call. A token that WeChat refuses is dropped, and the call made once more with the next one.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<T, CallError> {
        let token = self.tokens.token().await?;
        match self.call_with(&token, path, body, timeout).await {
            Err(CallError::Token(_)) => {
                self.tokens.drop_token(&token);
                let token = self.tokens.token().await?;
                let called = self.call_with(&token, path, body, timeout).await;
                if let Err(CallError::Token(_)) = &called {
                    self.tokens.drop_token(&token);
                }
                called
            }
            called => called,
        }
    }

    async fn call_with<T: DeserializeOwned>(
        &self,
        token: &Secret,
        path: &str,
        body: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<T, CallError> {
        let request = self.http.post(endpoint(&self.base_url, path));
        let request = request.query(&[("access_token", token.reveal())]).json(body);
        let answer: Value = json_answer(request.timeout(timeout), MAX_ANSWER_BYTES).await?;
        let errcode = answer.get("errcode").map(|code| code.as_i64().unwrap_or(i64::MIN));
        CallError::check(errcode)?;
        serde_json::from_value(answer).map_err(|_| CallError::unreadable())
    }

    /// Logs a fault that is WeChat's or the operator's, unless it was just logged.
    pub(super) fn note(&self, path: &'static str, error: &CallError) {
        if self.faults.is_news(path, error) {
            let appid = &*self.appid;
            tracing::warn!(appid, path, %error, "a call of WeChat failed; not told again for a minute");
        }
    }
}

/// The faults that were logged lately.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(Instant, &'static str, CallError)>>);

impl Faults {
    fn is_news(&self, path: &'static str, error: &CallError) -> bool {
        let (mut known, now) = (self.0.lock(), Instant::now());
        known.retain(|(at, ..)| now < *at + QUIET);
        let is_known = known.iter().any(|(_, of, known)| (*of, known) == (path, error));
        // One after the other, an address that changes its errors would fill it.
        if !is_known && known.len() < 32 {
            known.push((now, path, error.clone()));
            return true;
        }
        false
    }
}
