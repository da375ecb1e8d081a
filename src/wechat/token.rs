//! The token that every call needs. Each replica has one of its own, and that is the same: `stable_token`
//! answers with one token as long as it is good.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::{Addresses, CallError, MAX_ANSWER_BYTES, endpoint};
use crate::{http_client::json_answer, secret::Secret};

/// How long before its end a token is renewed. WeChat makes the next one then, and both are good.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// How long nobody asks after a token was refused: all who wait for one get the same refusal.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest life of a token that is believed. WeChat gives 7,200 s.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// The longest token, in bytes. WeChat's have 512 at most.
const MAX_TOKEN_BYTES: usize = 4_096;

/// Where the token of a mini program comes from.
pub(super) struct TokenSource(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    from: From,
    appid: Arc<str>,
    timeout: Duration,
    state: Mutex<State>,
}

enum From {
    /// WeChat, for this secret.
    Wechat(Url, Secret),
    /// A company's own service.
    Service(Url),
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    flight: Option<Flight>,
    failed: Option<(Instant, CallError)>,
}

#[derive(Clone)]
struct Token {
    value: Secret,
    renewed_at: Instant,
    ends_at: Instant,
}

/// A question that all who need a token wait for.
type Flight = Shared<BoxFuture<'static, Result<Secret, CallError>>>;

impl TokenSource {
    pub(super) fn new(
        http: reqwest::Client,
        at: &Addresses,
        appid: Arc<str>,
        secret: Secret,
        timeout: Duration,
    ) -> Self {
        let from = match &at.token_url {
            Some(url) => From::Service(url.clone()),
            None => From::Wechat(endpoint(&at.base_url, "cgi-bin/stable_token"), secret),
        };
        Self(Arc::new(Inner { http, from, appid, timeout, state: Mutex::default() }))
    }

    /// A token that is good, as far as anybody knows. However many ask, one question is under way.
    pub(super) async fn token(&self) -> Result<Secret, CallError> {
        let flight = {
            let mut state = self.0.state.lock();
            let now = Instant::now();
            if let Some(token) = state.token.as_ref().filter(|token| now < token.renewed_at) {
                return Ok(token.value.clone());
            }
            match (&state.flight, &state.failed) {
                (Some(flight), _) => flight.clone(),
                (None, Some((at, error))) if now < *at + PAUSE => {
                    return state.still_good(now).ok_or_else(|| error.clone());
                }
                (None, _) => state.flight.insert(self.flight()).clone(),
            }
        };
        flight.await
    }

    /// Drops a token that WeChat refused, unless there is another one by now.
    pub(super) fn drop_token(&self, refused: &Secret) {
        let mut state = self.0.state.lock();
        if state.token.as_ref().is_some_and(|token| token.value == *refused) {
            state.token = None;
        }
    }

    /// Asks to the end, whoever goes on waiting.
    fn flight(&self) -> Flight {
        let inner = Arc::clone(&self.0);
        let asking = tokio::spawn(async move {
            let answer = inner.ask().await.map_err(|error| match error {
                CallError::NoAnswer(problem) => CallError::NoToken(problem),
                error => error,
            });
            let now = Instant::now();
            let mut state = inner.state.lock();
            state.flight = None;
            state.failed = answer.as_ref().err().map(|error| (now, error.clone()));
            match answer {
                Ok(token) => Ok(state.token.insert(token).value.clone()),
                Err(error) => state.still_good(now).ok_or(error),
            }
        });
        let lost = |_| Err(CallError::NoToken("the question was lost".into()));
        asking.map(move |asked| asked.unwrap_or_else(lost)).boxed().shared()
    }
}

impl State {
    /// The token that could not be renewed, while it is good.
    fn still_good(&self, now: Instant) -> Option<Secret> {
        let token = self.token.as_ref().filter(|token| now < token.ends_at);
        token.map(|token| token.value.clone())
    }
}

impl Inner {
    async fn ask(&self) -> Result<Token, CallError> {
        let request = match &self.from {
            From::Wechat(url, secret) => self.http.post(url.clone()).json(&json!({
                "grant_type": "client_credential",
                "appid": &*self.appid,
                "secret": secret.reveal(),
                // A forced one ends the token of the other replicas at once.
                "force_refresh": false,
            })),
            From::Service(url) => self.http.get(url.clone()).query(&[("appid", &*self.appid)]),
        };
        let asked = Instant::now();
        let request = request.timeout(self.timeout);
        let answer: Answer = json_answer(request, MAX_ANSWER_BYTES).await?;
        CallError::check(answer.errcode)?;
        let value = answer.access_token.filter(|token| is_fit(token));
        let (value, life) = value.zip(answer.expires_in).ok_or_else(CallError::unreadable)?;
        let life = Duration::from_secs(life).min(MAX_LIFE);
        let used = life.checked_sub(RENEWED_BEFORE).unwrap_or(life / 2);
        Ok(Token { value: Secret::new(value), renewed_at: asked + used, ends_at: asked + life })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

fn is_fit(token: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&token.len()) && !token.contains(char::is_control)
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    expires_in: Option<u64>,
    errcode: Option<i64>,
}
