//! What is limited, and by which rate.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{Key, Limit, Limiter, Rate, Subject, local::LocalLimiter};
use crate::domain::UserId;

/// When to try again that which is closed while Redis is away.
const CLOSED_WAIT: Duration = Duration::from_secs(2);

/// The rate of each limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Sends of a user.
    pub send: Rate,
    /// Conversations that a user begins.
    pub new_conversation: Rate,
    /// Reads of a user over HTTP.
    pub history: Rate,
    /// Questions of a user about who is online.
    pub presence: Rate,
    /// Changes of a user over HTTP that are no sends.
    pub write: Rate,
    /// Uploads of a user.
    pub avatar: Rate,
    /// What a user uploads, in KiB.
    pub upload: Rate,
    /// Logins of a user.
    pub login: Rate,
    /// Sockets of a user that open.
    pub handshake: Rate,
    /// Logins of an address that are refused; and, each apart, its sockets and its API keys that are refused.
    pub failure: Rate,
}

/// Why somebody must not do something now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was done too often.
    #[error("over the limit `{}`", limit.as_str())]
    OverLimit {
        /// Which one.
        limit: Limit,
        /// After how long it may be done once more.
        wait: Duration,
    },
    /// Failed logins cannot be counted by all replicas together at the moment.
    #[error("logins are closed")]
    LoginsClosed {
        /// When to try again.
        wait: Duration,
    },
}

/// The rate limits. Clones count together.
#[derive(Clone)]
pub struct Limits(Option<Enforced>);

#[derive(Clone)]
struct Enforced {
    /// What this replica counts by itself.
    local: Arc<LocalLimiter>,
    /// What all replicas count together.
    shared: Arc<dyn Limiter>,
    rates: Rates,
}

impl Limits {
    /// These rates; logins and failures are counted by this limiter.
    pub fn new(shared: Arc<dyn Limiter>, rates: Rates) -> Self {
        Self(Some(Enforced { local: Arc::default(), shared, rates }))
    }

    /// No limits.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there are limits at all.
    pub fn are_enforced(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a send.
    pub fn send(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::Send, user)
    }

    /// Counts a conversation that is begun.
    pub fn new_conversation(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::NewConversation, user)
    }

    /// Counts a read over HTTP.
    pub fn history(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::History, user)
    }

    /// Counts a question about who is online.
    pub fn presence(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::Presence, user)
    }

    /// Counts a change over HTTP that is no send.
    pub fn write(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::Write, user)
    }

    /// Counts an upload of a picture.
    pub fn avatar(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::Avatar, user)
    }

    /// Refuses an upload of so many KiB that a user may not make any more. Counts nothing.
    pub fn may_upload(&self, user: UserId, kib: u32) -> Result<(), Refused> {
        self.weigh(Limit::Upload, user, kib, false)
    }

    /// Counts what a user has uploaded.
    pub fn uploaded(&self, user: UserId, kib: u32) -> Result<(), Refused> {
        self.weigh(Limit::Upload, user, kib, true)
    }

    /// Counts a socket that may open.
    pub fn handshake(&self, user: UserId) -> Result<(), Refused> {
        self.count(Limit::Handshake, user)
    }

    /// Counts a login of somebody who is known, over all replicas.
    pub async fn login(&self, user: UserId) -> Result<(), Refused> {
        self.count_together(Limit::Login, Subject::User(user)).await
    }

    /// Refuses to let an address try a login that may fail, where too many of its logins have. While
    /// those cannot be counted by all replicas together, none may try: each replica would count from
    /// nothing.
    pub async fn may_try_login(&self, address: IpAddr) -> Result<(), Refused> {
        let Some(Enforced { shared, rates, .. }) = &self.0 else { return Ok(()) };
        let limit = Limit::FailedLogin;
        let key = Key { limit, subject: Subject::Network(address.into()) };
        let answer = shared.look(key, rates.of(limit)).await;
        passed(limit, answer.wait)?;
        if answer.is_shared {
            return Ok(());
        }
        metrics::counter!("imserver_logins_closed_total").increment(1);
        Err(Refused::LoginsClosed { wait: CLOSED_WAIT })
    }

    /// Counts a login that was refused, over all replicas; an error if there were too many of this
    /// address.
    pub async fn failed_login(&self, address: IpAddr) -> Result<(), Refused> {
        self.count_together(Limit::FailedLogin, Subject::Network(address.into())).await
    }

    /// Counts a socket that was refused, over all replicas; an error if there were too many of this
    /// address.
    pub async fn failed_handshake(&self, address: IpAddr) -> Result<(), Refused> {
        self.count_together(Limit::FailedHandshake, Subject::Network(address.into())).await
    }

    /// Counts a request with an API key that is not good, over all replicas; an error if there were too many
    /// of this address.
    pub async fn failed_key(&self, address: IpAddr) -> Result<(), Refused> {
        self.count_together(Limit::FailedKey, Subject::Network(address.into())).await
    }

    fn count(&self, limit: Limit, user: UserId) -> Result<(), Refused> {
        self.weigh(limit, user, 1, true)
    }

    fn weigh(&self, limit: Limit, user: UserId, times: u32, takes: bool) -> Result<(), Refused> {
        let Some(Enforced { local, rates, .. }) = &self.0 else { return Ok(()) };
        let key = Key { limit, subject: Subject::User(user) };
        passed(limit, local.decide(key, rates.of(limit), times, takes))
    }

    async fn count_together(&self, limit: Limit, subject: Subject) -> Result<(), Refused> {
        let Some(Enforced { shared, rates, .. }) = &self.0 else { return Ok(()) };
        let answer = shared.take(Key { limit, subject }, rates.of(limit)).await;
        passed(limit, answer.wait)
    }
}

impl Rates {
    fn of(&self, limit: Limit) -> Rate {
        match limit {
            Limit::Send => self.send,
            Limit::NewConversation => self.new_conversation,
            Limit::History => self.history,
            Limit::Presence => self.presence,
            Limit::Write => self.write,
            Limit::Avatar => self.avatar,
            Limit::Upload => self.upload,
            Limit::Login => self.login,
            Limit::Handshake => self.handshake,
            Limit::FailedLogin | Limit::FailedHandshake | Limit::FailedKey => self.failure,
        }
    }
}

fn passed(limit: Limit, wait: Option<Duration>) -> Result<(), Refused> {
    let Some(wait) = wait else { return Ok(()) };
    metrics::counter!("imserver_limit_refusals_total", "limit" => limit.as_str()).increment(1);
    Err(Refused::OverLimit { limit, wait })
}
