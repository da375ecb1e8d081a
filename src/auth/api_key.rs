//! Secrets of API keys: what a back end holds, and the hash that the database keeps of it.

use super::token::Token;
use crate::store::TokenHash;

/// What every secret begins with, so that people and scanners of repositories know one when they see it.
const MARK: &str = "imk_";

/// The secret of one API key: 256 bits from the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySecret(Token);

impl ApiKeySecret {
    /// Draws a secret.
    ///
    /// # Panics
    ///
    /// Where the operating system has no randomness.
    pub fn random() -> Self {
        Self(Token::random())
    }

    /// Reads the form that [`ApiKeySecret::reveal`] shows, and no other.
    pub fn parse(text: &str) -> Option<Self> {
        Token::parse(text.strip_prefix(MARK)?).map(Self)
    }

    /// What is stored, and looked up.
    pub fn hash(&self) -> TokenHash {
        self.0.hash()
    }

    /// The form for whoever makes the key, shown once.
    pub fn reveal(&self) -> String {
        format!("{MARK}{}", self.0.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_shown_and_is_no_token() {
        let secret = ApiKeySecret::random();
        let shown = secret.reveal();
        assert_eq!(ApiKeySecret::parse(&shown), Some(secret.clone()));
        assert_eq!(Token::parse(&shown), None);
        for wrong in [&shown[4..], &shown[..46], &format!("{shown}="), &format!("imk_{shown}")] {
            assert_eq!(ApiKeySecret::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{secret:?}").contains(&shown[4..]));
    }
}
