//! Ids, each a type of its own, so that none is taken for another.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// The largest id and sequence number on the wire: 2^53 - 1, the largest integer that JavaScript
/// represents exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// An integer that is no id and no sequence number: below the least or above 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from {least} to {MAX_ID}")]
pub struct OutOfRange {
    least: i64,
}

/// Reads an integer.
struct Integer(OutOfRange);

impl Visitor<'_> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from {} to {MAX_ID}", self.0.least)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom(self.0))
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident from $least:tt) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
        #[serde(into = "i64")]
        #[schema(value_type = i64, minimum = $least, maximum = 9_007_199_254_740_991_i64)]
        pub struct $name(i64);

        impl $name {
            const OUT_OF_RANGE: OutOfRange = OutOfRange { least: $least };

            /// Takes an integer up to 2^53 - 1.
            pub const fn new(number: i64) -> Result<Self, OutOfRange> {
                if number >= $least && number <= MAX_ID {
                    Ok(Self(number))
                } else {
                    Err(Self::OUT_OF_RANGE)
                }
            }

            /// The integer.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfRange;

            fn try_from(number: i64) -> Result<Self, OutOfRange> {
                Self::new(number)
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> i64 {
                number.0
            }
        }

        /// Reads decimal digits, and no sign.
        impl FromStr for $name {
            type Err = OutOfRange;

            fn from_str(text: &str) -> Result<Self, OutOfRange> {
                let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
                number.ok_or(Self::OUT_OF_RANGE).and_then(Self::new)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = deserializer.deserialize_i64(Integer(Self::OUT_OF_RANGE))?;
                Self::new(number).map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A person. Registered users start at [`UserId::FIRST_REGISTERED`]; smaller ids are free for
    /// legacy clients, which name their own.
    UserId from 1
}
number! {
    /// A chat. Rises strictly within a conversation, in the order in which both sides see it.
    ChatId from 1
}
number! {
    /// A conversation between its members.
    ConversationId from 1
}
number! {
    /// A login of a user on a device; its token is known only as a hash.
    SessionId from 1
}
number! {
    /// One socket. Given out by the store: rises over all replicas in the order of opening.
    ConnectionId from 1
}

number! {
    /// One start of one replica that shares a bus with others.
    ReplicaId from 1
}

number! {
    /// A row of the outbox. Rises within a conversation, in the order in which both sides see it; not over
    /// all of them.
    OutboxId from 1
}

number! {
    /// A key of the server API. Ids rise in the order in which keys are made.
    ApiKeyId from 1
}

number! {
    /// An entry of the audit log. Ids rise in the order in which acts begin.
    AuditId from 1
}

number! {
    /// A chat that is held back. Rises in the order in which the keys of chats were first seen.
    HeldId from 1
}

number! {
    /// A report. Rises in the order in which reports are made.
    ReportId from 1
}

impl ReplicaId {
    /// One that no other replica has.
    pub fn random() -> Self {
        Self(rand::random_range(1..=MAX_ID))
    }
}

impl UserId {
    /// The first id that the service gives out itself.
    pub const FIRST_REGISTERED: i64 = 1_000_000;
}

number! {
    /// A place in a user's timeline. Events are numbered from 1 without holes; 0 is before the first.
    #[derive(Default)]
    Seq from 0
}

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The name of a database's history. Numbers of one epoch mean nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(value_type = String, example = "1f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11")]
pub struct Epoch(Uuid);

impl Epoch {
    /// A new history.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads the form that [`Epoch`] displays; `None` if it is no UUID.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
