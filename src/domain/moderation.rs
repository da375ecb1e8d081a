//! Who may write to whom, who may not write at all, and why people report each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::UserId;
use crate::clock::Timestamp;

/// Into which conversations users may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoMayWrite {
    /// Into all of their own, and to whom they like.
    Anyone,
    /// Into all of their own. They begin none with somebody.
    Acquainted,
    /// Into those that the server API made.
    Conversations,
}

/// What becomes of a chat about which somebody who is asked does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is sent.
    Allow,
    /// It is not, and may be sent again.
    Deny,
    /// Somebody is to decide about it.
    Hold,
}

/// What becomes of a text that somebody is to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReview {
    /// It is held back until somebody decides.
    Hold,
    /// It is shown.
    Allow,
}

/// What a user may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestrictionKind {
    /// Send chats.
    Muted,
    /// Send chats, and log in.
    Banned,
}

impl RestrictionKind {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Muted => "muted",
            Self::Banned => "banned",
        }
    }

    /// Reads what [`RestrictionKind::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Muted, Self::Banned].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A restriction of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// What the user may not do.
    pub kind: RestrictionKind,
    /// When it ends by itself; `None`: never.
    pub until: Option<Timestamp>,
}

impl Restriction {
    /// What it forbids at this time.
    pub fn at(self, now: Timestamp) -> Option<RestrictionKind> {
        self.until.is_none_or(|until| now < until).then_some(self.kind)
    }
}

/// That one user has blocked another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Who wants to hear nothing.
    pub by: UserId,
    /// Of whom.
    pub of: UserId,
}

impl Block {
    /// The other one of the two.
    pub fn other(self, user: UserId) -> UserId {
        if self.by == user { self.of } else { self.by }
    }
}

/// Why somebody reports a chat or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    /// What nobody asked for.
    Spam,
    /// Insults and threats.
    Abuse,
    /// What is obscene.
    Porn,
    /// An attempt to cheat.
    Fraud,
    /// Anything else.
    Other,
}

impl ReportReason {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Abuse => "abuse",
            Self::Porn => "porn",
            Self::Fraud => "fraud",
            Self::Other => "other",
        }
    }

    /// Reads what [`ReportReason::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Spam, Self::Abuse, Self::Porn, Self::Fraud, Self::Other];
        all.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restriction_ends_at_its_time() {
        let (kind, at) = (RestrictionKind::Muted, Timestamp::from_millis);
        let until = Restriction { kind, until: Some(at(10)) };
        assert_eq!((until.at(at(9)), until.at(at(10))), (Some(kind), None));
        assert_eq!(Restriction { kind, until: None }.at(at(i64::MAX)), Some(kind));
    }
}
