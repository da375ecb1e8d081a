//! Ids, each a type of its own, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The largest id and sequence number on the wire: 2^53 - 1, the largest integer that JavaScript
/// represents exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// An integer that is no id: it is not within 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from 1 to 9007199254740991")]
pub struct OutOfRange;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "i64", into = "i64")]
        #[schema(value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
        pub struct $name(i64);

        impl $name {
            /// Takes an integer from 1 to 2^53 - 1.
            pub const fn new(id: i64) -> Result<Self, OutOfRange> {
                if id >= 1 && id <= MAX_ID { Ok(Self(id)) } else { Err(OutOfRange) }
            }

            /// The integer.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfRange;

            fn try_from(id: i64) -> Result<Self, OutOfRange> {
                Self::new(id)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A person. Registered users start at [`UserId::FIRST_REGISTERED`]; smaller ids are free for
    /// clients of the seed's routes, which name their own.
    UserId
}
id! {
    /// A chat. Rises strictly within a conversation, in the order in which both sides see it.
    ChatId
}
id! {
    /// A conversation between its members.
    ConversationId
}
id! {
    /// A login of a user on a device; its token is known only as a hash.
    SessionId
}
id! {
    /// One socket. Given out by the store: rises over all replicas in the order of opening.
    ConnectionId
}

id! {
    /// One start of one replica that shares a bus with others.
    ReplicaId
}

id! {
    /// A row of the outbox. Rises within a conversation, in the order in which both sides see it; not over
    /// all of them.
    OutboxId
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

/// A place in a user's timeline. Events are numbered from 1 without holes; 0 is before the first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
pub struct Seq(i64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// Takes an integer from 0 to 2^53 - 1.
    pub const fn new(seq: i64) -> Result<Self, OutOfRange> {
        if seq >= 0 && seq <= MAX_ID { Ok(Self(seq)) } else { Err(OutOfRange) }
    }

    /// The integer.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl TryFrom<i64> for Seq {
    type Error = OutOfRange;

    fn try_from(seq: i64) -> Result<Self, OutOfRange> {
        Self::new(seq)
    }
}

impl From<Seq> for i64 {
    fn from(seq: Seq) -> i64 {
        seq.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
