//! People, as others see them.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{ExternalId, Payload, UserId, UserName, card::is_https};

/// A user's public face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// What the user is called now.
    pub name: UserName,
    /// The picture, if there is one.
    pub avatar: Option<AvatarHash>,
    /// A picture elsewhere, which a company's own back end names; counts in place of `avatar`.
    pub avatar_url: Option<AvatarUrl>,
    /// What the back end lets everybody see of the user.
    pub public_profile: Option<Payload>,
    /// What the back end calls the user; only for the user and the back end to see.
    pub external_id: Option<ExternalId>,
}

/// The address of a picture that the service does not keep: https, and at most 1,024 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvatarUrl(Box<str>);

impl AvatarUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Option<Self> {
        is_https(text).then(|| Self(text.into()))
    }

    /// An address as the database has it.
    pub fn stored(text: String) -> Self {
        Self(text.into())
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A picture's name: the SHA-256 of its bytes, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AvatarHash(Box<str>);

impl AvatarHash {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write;
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            let _ = write!(name, "{byte:02x}");
        }
        Self(name.into())
    }

    /// Reads a name: 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid =
            text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
