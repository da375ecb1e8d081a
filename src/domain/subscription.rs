//! What a user of a mini program lets WeChat tell: messages of a template, one for each grant.

use std::{fmt, sync::Arc};

use serde::Serialize;

/// The most bytes of a template's id. Real ones have 43.
const MAX_ID_BYTES: usize = 128;

/// What WeChat calls a template: 1 to 128 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct TemplateId(Arc<str>);

/// A text that is no [`TemplateId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 letters, digits, `-` and `_`")]
pub struct InvalidTemplateId;

impl TemplateId {
    /// Checks an id.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplateId> {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let is_id = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_fit);
        if is_id { Ok(Self(text.into())) } else { Err(InvalidTemplateId) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A template of a mini program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate {
    /// The mini program.
    pub appid: Arc<str>,
    /// What WeChat calls it.
    pub id: TemplateId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_letters_digits_and_two_signs() {
        let long = "x".repeat(MAX_ID_BYTES);
        for fit in ["a", "Abc-_9", &long] {
            assert_eq!(TemplateId::parse(fit).unwrap().as_str(), fit);
        }
        for unfit in ["", "a b", "模板", "a\0", "a/b", &format!("{long}x")] {
            assert_eq!(TemplateId::parse(unfit), Err(InvalidTemplateId), "{unfit}");
        }
    }
}
