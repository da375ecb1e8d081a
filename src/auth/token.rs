//! Session tokens: what a client holds, and the hash that the database keeps of it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::store::TokenHash;

/// 256 random bits as unpadded base64url: 43 characters.
const CHARS: usize = 43;

/// The secret of one session: 256 bits from the operating system.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// Draws a token. None begins with `-`: a command line would take it for an option.
    ///
    /// # Panics
    ///
    /// Where the operating system has no randomness, since nothing that follows would be safe.
    pub fn random() -> Self {
        loop {
            let mut bits = [0; 32];
            getrandom::fill(&mut bits).expect("the operating system gives randomness");
            let token = Self(bits);
            if !token.reveal().starts_with('-') {
                return token;
            }
        }
    }

    /// Reads the form that [`Token::reveal`] shows, and no other way to write the same bits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != CHARS {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// What is stored, and looked up: the SHA-256 of the bits. They are random, so there is nothing
    /// that a slow hash would protect from guessing.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// The form for the client, once, in the answer to a login: unpadded base64url.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Tokens never reach a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_shown() {
        let token = Token::random();
        let shown = token.reveal();
        assert_eq!(shown.len(), CHARS);
        assert_eq!(Token::parse(&shown), Some(token.clone()));
        assert!(Token::random() != token);
    }

    #[test]
    fn no_token_looks_like_an_option() {
        assert!((0..4_000).all(|_| !Token::random().reveal().starts_with('-')));
    }

    #[test]
    fn nothing_but_the_exact_form_is_read() {
        let zeros = "A".repeat(43);
        assert!(Token::parse(&zeros).is_some());
        assert!(Token::parse(&format!("-_{}", "A".repeat(41))).is_some());
        for wrong in [
            String::new(),
            "A".repeat(42),
            "A".repeat(44),
            format!("{zeros}="),
            format!("+{}", "A".repeat(42)),
            format!("/{}", "A".repeat(42)),
            format!(" {}", "A".repeat(42)),
            format!("{}=", "A".repeat(42)),
            // The last character has two bits to spare: with one of them set, it is a second way
            // to write the token of zeros.
            format!("{}B", "A".repeat(42)),
            "字".repeat(14) + "A",
        ] {
            assert_eq!(Token::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_hash_is_sha_256_of_the_bits() {
        let TokenHash(hash) = Token([0; 32]).hash();
        assert_eq!(hash[..16], 0x6668_7aad_f862_bd77_6c8f_c18b_8e9f_8e20_u128.to_be_bytes());
        assert_eq!(hash[16..], 0x0897_1485_6ee2_33b3_902a_591d_0d5f_2925_u128.to_be_bytes());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Token::random()), "Token");
    }
}
