//! What is limited, and what those are told who are over a limit.

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use super::{Key, Limit, Limiter, Pending, Rate, Subject};
use crate::{
    domain::UserId,
    protocol::fault::{Code, Fault},
};

/// When to try again that which is closed while Redis is away.
const CLOSED_WAIT: Duration = Duration::from_secs(2);

/// The rates.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Sends of a user.
    pub send: Rate,
    /// Conversations that a user begins.
    pub new_conversation: Rate,
    /// Reads of a user over HTTP.
    pub history: Rate,
    /// Questions of a user who is online.
    pub presence: Rate,
    /// Changes of a user over HTTP that are no sends.
    pub write: Rate,
    /// Uploads of a user.
    pub avatar: Rate,
    /// Logins of a user.
    pub login: Rate,
    /// Sockets of a user that open.
    pub handshake: Rate,
    /// Logins of an address that are refused; and, apart from these, its sockets that are refused.
    pub failure: Rate,
}

/// The rate limits. Clones count together.
#[derive(Clone)]
pub struct Limits(Option<Enforced>);

#[derive(Clone)]
struct Enforced {
    limiter: Arc<dyn Limiter>,
    rates: Rates,
}

impl Limits {
    /// These rates, counted by this limiter.
    pub fn new(limiter: Arc<dyn Limiter>, rates: Rates) -> Self {
        Self(Some(Enforced { limiter, rates }))
    }

    /// No limits.
    pub fn none() -> Self {
        Self(None)
    }

    /// Counts a send. Asked at once, so that the sends of a socket may be asked for together;
    /// the future only waits for the answer.
    pub fn send(&self, user: UserId) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        let asked = self.take(Limit::Send, Subject::User(user), |rates| rates.send);
        async move { passed(Limit::Send, asked).await }
    }

    /// Whether there are limits at all.
    pub fn are_enforced(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a conversation that is begun.
    pub async fn new_conversation(&self, user: UserId) -> Result<(), Fault> {
        let rate = |rates: &Rates| rates.new_conversation;
        self.count(Limit::NewConversation, Subject::User(user), rate).await
    }

    /// Counts a read over HTTP.
    pub async fn history(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::History, Subject::User(user), |rates| rates.history).await
    }

    /// Counts a question who is online.
    pub async fn presence(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::Presence, Subject::User(user), |rates| rates.presence).await
    }

    /// Counts a change over HTTP that is no send.
    pub async fn write(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::Write, Subject::User(user), |rates| rates.write).await
    }

    /// Counts an upload of a picture.
    pub async fn avatar(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::Avatar, Subject::User(user), |rates| rates.avatar).await
    }

    /// Counts a login of somebody who is known.
    pub async fn login(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::Login, Subject::User(user), |rates| rates.login).await
    }

    /// Counts a socket that may open.
    pub async fn handshake(&self, user: UserId) -> Result<(), Fault> {
        self.count(Limit::Handshake, Subject::User(user), |rates| rates.handshake).await
    }

    /// Refuses to let an address try a login that may fail, where too many of its logins have. While
    /// those cannot be counted by all replicas together, none may try: each replica would count from
    /// nothing.
    pub async fn may_try_login(&self, address: IpAddr) -> Result<(), Fault> {
        let Some(Enforced { limiter, rates }) = &self.0 else { return Ok(()) };
        let limit = Limit::FailedLogin;
        let key = Key { limit, subject: Subject::Network(address.into()) };
        let answer = limiter.look(key, rates.failure).await;
        match answer.wait {
            Some(wait) => Err(refusal(limit, wait)),
            None if answer.is_shared => Ok(()),
            None => {
                metrics::counter!("imserver_logins_closed_total").increment(1);
                let detail = "logins wait for a part of the service that is away";
                Err(Fault { retry_after: Some(CLOSED_WAIT), ..Fault::unavailable(detail) })
            }
        }
    }

    /// Counts a login that was refused; an error if there were too many of this address.
    pub async fn failed_login(&self, address: IpAddr) -> Result<(), Fault> {
        let network = Subject::Network(address.into());
        self.count(Limit::FailedLogin, network, |rates| rates.failure).await
    }

    /// Counts a socket that was refused; an error if there were too many of this address.
    pub async fn failed_handshake(&self, address: IpAddr) -> Result<(), Fault> {
        let network = Subject::Network(address.into());
        self.count(Limit::FailedHandshake, network, |rates| rates.failure).await
    }

    async fn count(
        &self,
        limit: Limit,
        subject: Subject,
        rate: impl Fn(&Rates) -> Rate,
    ) -> Result<(), Fault> {
        passed(limit, self.take(limit, subject, rate)).await
    }

    fn take(
        &self,
        limit: Limit,
        subject: Subject,
        rate: impl Fn(&Rates) -> Rate,
    ) -> Option<Pending> {
        let Enforced { limiter, rates } = self.0.as_ref()?;
        Some(limiter.take(Key { limit, subject }, rate(rates)))
    }
}

async fn passed(limit: Limit, asked: Option<Pending>) -> Result<(), Fault> {
    let Some(asked) = asked else { return Ok(()) };
    match asked.await.wait {
        None => Ok(()),
        Some(wait) => Err(refusal(limit, wait)),
    }
}

fn refusal(limit: Limit, wait: Duration) -> Fault {
    metrics::counter!("imserver_limit_refusals_total", "limit" => limit.as_str()).increment(1);
    let detail = match limit {
        Limit::Send => "you send too fast",
        Limit::NewConversation => "you begin too many conversations",
        Limit::History => "you read too fast",
        Limit::Presence => "you ask too often who is online",
        Limit::Write => "you change things too often",
        Limit::Avatar => "you change your picture too often",
        Limit::Login => "you log in too often",
        Limit::Handshake => "you connect too often",
        Limit::FailedLogin => "too many logins from your network have failed",
        Limit::FailedHandshake => "too many sockets of your network were refused",
    };
    // Clients are told whole milliseconds, and must not come a moment too early.
    let millis = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    let retry_after = Some(Duration::from_millis(millis));
    Fault { retry_after, ..Fault::new(Code::RateLimited, detail) }
}
