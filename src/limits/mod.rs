//! Rate limits: how often somebody may do something, and who counts it.
//!
//! [`Limits`] is what the rest of the service asks. It knows the rates. What users do it counts in this
//! replica ([`local::LocalLimiter`]); logins and failures, which are rare, replicas count together by a
//! [`Limiter`].
//!
//! Whoever succeeds is limited by user, whoever fails by address: a carrier puts thousands of phones
//! behind one address, and none of them may pay for another. `docs/adr/0014-limits.md` says more.

mod handshakes;
pub mod local;
mod policy;
pub mod redis;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use async_trait::async_trait;

use crate::domain::UserId;

pub use handshakes::{HandshakeGate, Permit};
pub use policy::{Limits, Rates, Refused};

/// Counts for all replicas what is done against rates, by the generic cell rate algorithm: a key may be used
/// `burst` times at once, and once more after each interval of its rate.
///
/// It always answers, after about a third of a second at most. What cannot be asked of all replicas is
/// decided for this one alone, and [`Answer::is_shared`] says so.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Uses a key once, if it may be used. Counts also if the answer is not waited for.
    async fn take(&self, key: Key, rate: Rate) -> Answer;

    /// Asks whether a key may be used, and does not use it.
    async fn look(&self, key: Key, rate: Rate) -> Answer;
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A chat that is sent, a duplicate included.
    Send,
    /// A chat that begins a conversation.
    NewConversation,
    /// A read of people, conversations, chats or events over HTTP.
    History,
    /// A question about who is online.
    Presence,
    /// A change over HTTP that is no send: of a name, a read mark, a session, sockets.
    Write,
    /// A picture that is uploaded, whether or not it is taken.
    Avatar,
    /// A KiB that is uploaded, taken or not.
    Upload,
    /// A session that begins.
    Login,
    /// A socket that opens.
    Handshake,
    /// A login that was refused.
    FailedLogin,
    /// A socket that was refused.
    FailedHandshake,
    /// A request with an API key that is not good.
    FailedKey,
}

impl Limit {
    /// Its name in keys and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::NewConversation => "new_conversation",
            Self::History => "history",
            Self::Presence => "presence",
            Self::Write => "write",
            Self::Avatar => "avatar",
            Self::Upload => "upload",
            Self::Login => "login",
            Self::Handshake => "handshake",
            Self::FailedLogin => "failed_login",
            Self::FailedHandshake => "failed_handshake",
            Self::FailedKey => "failed_key",
        }
    }
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user, wherever from.
    User(UserId),
    /// A client's network, whoever it is.
    Network(Network),
}

impl Subject {
    /// A number that stands for it on every replica.
    fn number(self) -> u64 {
        match self {
            Self::User(user) => user.get().cast_unsigned(),
            Self::Network(Network(IpAddr::V4(address))) => u64::from(address.to_bits()),
            Self::Network(Network(IpAddr::V6(address))) => {
                u64::try_from(address.to_bits() >> 64).expect("half of 128 bits")
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Network(network) => network.0.fmt(f),
        }
    }
}

/// What is one client as far as addresses tell: an IPv4 address, or the /64 of an IPv6 address, since
/// that much is given to each household.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                Self(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << u64::BITS)).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is done.
    pub limit: Limit,
    /// By whom.
    pub subject: Subject,
}

/// How often a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds, at least one: what Redis counts in.
    interval: u64,
    burst: u32,
}

impl Rate {
    /// Once in each `interval`, and `burst` times at once. Intervals are rounded to microseconds.
    pub fn new(interval: Duration, burst: u32) -> Self {
        let micros = (interval + Duration::from_nanos(500)).as_micros();
        Self { interval: u64::try_from(micros).unwrap_or(u64::MAX).max(1), burst: burst.max(1) }
    }

    /// So many a second, and `burst` at once.
    pub fn per_sec(count: u32, burst: u32) -> Self {
        Self::new(Duration::from_secs(1) / count.max(1), burst)
    }

    /// So many a minute, all of them at once or not.
    pub fn per_min(count: u32) -> Self {
        Self::new(Duration::from_mins(1) / count.max(1), count)
    }

    /// So many a day, all of them at once or not.
    pub fn per_day(count: u32) -> Self {
        Self::new(Duration::from_hours(24) / count.max(1), count)
    }

    /// The time between two uses.
    fn interval(self) -> Duration {
        Duration::from_micros(self.interval)
    }

    /// After how long an exhausted key may be used as often as one that was never used.
    fn depth(self) -> Duration {
        Duration::from_micros(self.interval.saturating_mul(self.burst.into()))
    }
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `Some`: no, and after this time it may be used once, if nobody else is faster.
    pub wait: Option<Duration>,
    /// Whether all replicas count together. One that runs alone always does.
    pub is_shared: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_household_is_one_client() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(Subject::Network(network("2001:db8::9")).to_string(), "2001:db8::");
        assert_eq!(Subject::Network(network("0:0:0:7::9")).number(), 7);
        assert_eq!(Subject::Network(network("0.0.1.1")).number(), 257);
    }

    #[test]
    fn rates_are_counted_in_microseconds() {
        assert_eq!(Rate::per_sec(5, 60), Rate { interval: 200_000, burst: 60 });
        assert_eq!(Rate::per_sec(3, 1).interval(), Duration::from_micros(333_333));
        assert_eq!(Rate::per_min(10), Rate { interval: 6_000_000, burst: 10 });
        assert_eq!(Rate::per_min(10).depth(), Duration::from_mins(1));
        assert_eq!(Rate::per_day(200).interval(), Duration::from_secs(432));
        assert_eq!(Rate::per_sec(1_000_000, 1).interval, 1);
    }
}
