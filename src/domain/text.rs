//! Text that people and clients send, checked once and then carried as a type.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::characters::{is_visible, unfit_for_names};

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing was there.
    #[error("must not be empty")]
    Empty,
    /// Nothing was there that can be seen.
    #[error("must have a visible character")]
    Invisible,
    /// More Unicode scalar values than allowed.
    #[error("must be at most {max} characters")]
    TooLong {
        /// The most that is allowed.
        max: usize,
    },
    /// A character that this text cannot hold.
    #[error("must not contain {what}")]
    Forbidden {
        /// The kind of character.
        what: &'static str,
    },
    /// A text that the service keeps for itself.
    #[error("is kept for the service's own use")]
    Reserved,
}

/// What a chat says: 1 to `chat.max_content_chars` Unicode scalar values, at least one of them visible,
/// no U+0000. Everything else is kept exactly as it came. Clones share the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<str>);

impl Content {
    /// Checks a text against the limit, in Unicode scalar values.
    pub fn parse(text: &str, max_chars: usize) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        // A scalar value takes at most four bytes: a text this long need not be counted.
        if text.len() > max_chars * 4 || text.chars().count() > max_chars {
            return Err(TextError::TooLong { max: max_chars });
        }
        if text.contains('\0') {
            return Err(TextError::Forbidden { what: "U+0000" });
        }
        if !text.chars().any(is_visible) {
            return Err(TextError::Invisible);
        }
        Ok(Self(text.into()))
    }

    /// What the service says of a chat without words. It is not checked: the service is trusted.
    pub fn of_service(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared with this.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// Bodies of chats never reach a log.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

/// What everybody is called who was erased.
const ERASED: &str = "已注销";

/// What a person is called: 1 to 32 Unicode scalar values in NFC, at least one of them visible, without
/// control characters, characters that change the direction of text, or ones without width but those
/// that join emoji. Not what [`UserName::erased`] is.
///
/// Names that were taken before a rule are kept as they are, see [`UserName::stored`].
// Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 32)]
pub struct UserName(Arc<str>);

impl UserName {
    /// The most Unicode scalar values of a name.
    pub const MAX_CHARS: usize = 32;

    /// Trims a name that somebody gives, brings it to NFC, and checks it.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        // Counted as it will be: one more than may be is enough to know.
        let name: String = text.trim().nfc().take(Self::MAX_CHARS + 1).collect();
        if let Some(what) = unfit_for_names(&name) {
            return Err(TextError::Forbidden { what });
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(TextError::TooLong { max: Self::MAX_CHARS });
        }
        if !name.chars().any(is_visible) {
            return Err(TextError::Invisible);
        }
        if name == ERASED {
            return Err(TextError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// A name as the database has it, which may be older than today's rules.
    pub fn stored(name: String) -> Self {
        Self(name.into())
    }

    /// The name of somebody who has not given one.
    pub fn placeholder(number: i64) -> Self {
        Self(format!("用户{number}").into())
    }

    /// What everybody is called who was erased.
    pub fn erased() -> Self {
        Self(ERASED.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a text of 1 to 64 characters that has none of `what`.
fn check_short(text: &str, is_fit: fn(char) -> bool, what: &'static str) -> Result<(), TextError> {
    const MAX_CHARS: usize = 64;
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > MAX_CHARS {
        return Err(TextError::TooLong { max: MAX_CHARS });
    }
    if text.chars().all(is_fit) { Ok(()) } else { Err(TextError::Forbidden { what }) }
}

/// The sender's idempotency key: 1 to 64 printable ASCII characters.
// Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[ -~]+$")]
pub struct ClientMsgId(Arc<str>);

impl ClientMsgId {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let is_fit = |c| (' '..='~').contains(&c);
        check_short(text, is_fit, "anything but printable ASCII characters")?;
        Ok(Self(text.into()))
    }

    /// A key for a client that brought none.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientMsgId {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

/// The name a client gives to its device or tab: 1 to 64 characters, none of them control.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct DeviceId(Box<str>);

impl DeviceId {
    /// Checks a device's name.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_short(text, |c| !c.is_control(), "control characters")?;
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceId {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_scalar_values_and_keeps_everything() {
        assert_eq!(Content::parse("", 10).unwrap_err(), TextError::Empty);
        for unseen in [" \u{3000}\r\n\t", "\u{200b}", "\u{3164}\u{2800}", "\u{202e}\u{feff}\u{1}"] {
            assert_eq!(Content::parse(unseen, 10).unwrap_err(), TextError::Invisible);
        }
        assert_eq!(Content::parse("12345678901", 10).unwrap_err(), TextError::TooLong { max: 10 });
        assert!(Content::parse("a\0b", 10).is_err());
        for kept in [" 你好 ", "👩‍👩‍👧‍👦", "\u{202e}שלום", "a\r\nb", "\u{feff}x", "\u{1}x"]
        {
            assert_eq!(Content::parse(kept, 10).unwrap().as_str(), kept);
        }
        assert!(Content::parse("😀😀😀😀😀😀😀😀😀😀", 10).is_ok());
    }

    #[test]
    fn names_and_keys_have_their_bounds() {
        assert!(UserName::parse(&"名".repeat(32)).is_ok());
        assert!(UserName::parse(&"名".repeat(33)).is_err());
        assert!(UserName::parse(&format!(" {} ", "名".repeat(32))).is_ok());
        assert!(ClientMsgId::parse(&"~".repeat(64)).is_ok());
        assert!(ClientMsgId::parse("é").is_err());
        assert!(ClientMsgId::parse("a\u{7f}").is_err());
    }

    #[test]
    fn a_name_is_one_that_can_be_told_from_others() {
        let name = |text: &str| UserName::parse(text).map(|name| name.as_str().to_owned());
        for (given, kept) in [
            (" 张 三\u{3000}\n", "张 三"),
            ("e\u{301}", "é"),
            ("\u{1100}\u{1161}", "가"),
            ("👩‍👩‍👧‍👦🇨🇳❤\u{fe0f}", "👩‍👩‍👧‍👦🇨🇳❤\u{fe0f}"),
            ("שלום مرحبا", "שלום مرحبا"),
            ("a\u{3164}", "a\u{3164}"),
        ] {
            assert_eq!(name(given).as_deref(), Ok(kept));
        }
        // Each of these pairs becomes one character: 64 of them are 32.
        assert!(name(&"e\u{301}".repeat(32)).is_ok());
        assert_eq!(name(&"e\u{301}".repeat(33)), Err(TextError::TooLong { max: 32 }));
        for unseen in
            [" ", "\u{3000}", "\u{3164}", "\u{115f}\u{1160}", "\u{ffa0}", "\u{2800}", "\u{fe0f}"]
        {
            assert_eq!(name(unseen), Err(TextError::Invisible), "{unseen:?}");
        }
        for unfit in [
            "a\nb",
            "a\0",
            "\u{202e}שלום",
            "a\u{2066}",
            "\u{200b}",
            "a\u{feff}b",
            "张\u{200d}三",
            "a\u{ad}b",
        ] {
            assert!(matches!(name(unfit), Err(TextError::Forbidden { .. })), "{unfit:?}");
        }
        for taken in ["已注销", "\u{3000}已注销 "] {
            assert_eq!(name(taken), Err(TextError::Reserved));
        }
    }
}
