//! Keys of the server API: what they are called, and what they may do.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiKeyId, TextError};
use crate::clock::Timestamp;

/// What a key may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Make users, bring them up to date, find, export and erase them.
    Users,
    /// Log users in, and end their sessions.
    Sessions,
    /// Send chats in anybody's name.
    Chats,
    /// Make conversations, change them, recall chats in them, and read them.
    Conversations,
    /// Restrict users, and decide about what is held or reported.
    Moderation,
    /// Read what happens.
    Feed,
    /// See the webhooks and repeat them.
    Webhooks,
    /// Read the audit log.
    Audit,
    /// See how the service does.
    Status,
    /// All of these, and those to come.
    All,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 10] = [
        Self::Users,
        Self::Sessions,
        Self::Chats,
        Self::Conversations,
        Self::Moderation,
        Self::Feed,
        Self::Webhooks,
        Self::Audit,
        Self::Status,
        Self::All,
    ];

    /// The word of the command line and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Chats => "chats",
            Self::Conversations => "conversations",
            Self::Moderation => "moderation",
            Self::Feed => "feed",
            Self::Webhooks => "webhooks",
            Self::Audit => "audit",
            Self::Status => "status",
            Self::All => "all",
        }
    }
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is none of users, sessions, chats, conversations, moderation, feed, webhooks, audit, status, all"
)]
pub struct NoScope;

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(word: &str) -> Result<Self, NoScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or(NoScope)
    }
}

/// All that one key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Reads words with commas between them. One that is not known is a scope of a newer version, which
    /// gives no right here.
    pub fn stored(words: &str) -> Self {
        Self(words.split(',').filter_map(|word| word.parse().ok()).collect())
    }

    /// The scopes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// Whether this is among what it may do.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::All)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// As [`Scopes::stored`] reads it.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

/// What a key is called: 1 to 64 characters, none of them control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyName(Box<str>);

impl ApiKeyName {
    /// The most Unicode scalar values of a name.
    pub const MAX_CHARS: usize = 64;

    /// A name as the database has it.
    pub fn stored(name: String) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKeyName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(TextError::TooLong { max: Self::MAX_CHARS });
        }
        if text.chars().any(char::is_control) {
            return Err(TextError::Forbidden { what: "control characters" });
        }
        Ok(Self(text.into()))
    }
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// By which it is revoked, and named in the audit log.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: ApiKeyName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within a minute; `None` if it never was.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is good no more; `None` while it is.
    pub revoked_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_they_are_read() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("Users".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
        let scopes = Scopes::from_iter([Scope::Feed, Scope::Users, Scope::Feed]);
        assert_eq!(scopes.to_string(), "users,feed");
        assert_eq!(Scopes::stored("users,of a newer version,feed"), scopes);
    }

    #[test]
    fn a_scope_is_for_itself_and_all_for_every_one() {
        let users = Scopes::stored("users");
        assert!(users.allow(Scope::Users) && !users.allow(Scope::Sessions));
        assert!(!users.allow(Scope::All));
        let all = Scopes::stored("all");
        assert!(Scope::ALL.into_iter().all(|scope| all.allow(scope)));
        assert!(Scope::ALL.into_iter().all(|scope| !Scopes::default().allow(scope)));
    }

    #[test]
    fn a_name_can_be_shown_in_a_line() {
        assert_eq!(" 订单系统 ".parse::<ApiKeyName>().unwrap().as_str(), "订单系统");
        for wrong in ["", " ", "a\nb", &"x".repeat(65)] {
            assert!(wrong.parse::<ApiKeyName>().is_err(), "{wrong:?}");
        }
    }
}
