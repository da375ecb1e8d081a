//! Tokens by which a company's own back end vouches for its users: JWTs, and UserSigs of Tencent's.

mod jwks;
mod jwt;
mod keys;
mod signatures;
mod usersig;

pub use jwks::{Jwks, JwksTimes};
pub use jwt::{JwtRules, JwtVerifier};
pub use keys::{Algorithm, JwtKey, UnknownAlgorithm};
pub use usersig::UserSigVerifier;

use crate::domain::{AvatarUrl, ExternalId, UserName};

/// The longest token that is looked at, in bytes. Real ones have some hundred.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a good token says of somebody.
#[derive(Debug, PartialEq, Eq)]
pub struct Vouched {
    /// What the company calls them.
    pub external_id: ExternalId,
    /// Their name, if the token has one that a user can have.
    pub name: Option<UserName>,
    /// Where their picture is, if the token has an address that can be one.
    pub avatar_url: Option<AvatarUrl>,
}

/// Why a token gives no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Wrong, in this regard.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// Good once.
    #[error("the token has expired")]
    Expired,
    /// The keys of the issuer have never been fetched, so nobody knows.
    #[error("the keys of tokens are not available")]
    Unavailable,
}

/// What checks tokens, of each kind that the settings have switched on.
#[derive(Clone, Debug, Default)]
pub struct TokenVerifier {
    /// Of JWTs.
    pub jwt: Option<JwtVerifier>,
    /// Of UserSigs.
    pub usersig: Option<UserSigVerifier>,
}

impl TokenVerifier {
    /// Whether any token can be good.
    pub fn is_on(&self) -> bool {
        self.jwt.is_some() || self.usersig.is_some()
    }

    /// Whom the token names, if it is good.
    pub async fn verify(&self, token: &str) -> Result<Vouched, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid("it is too long"));
        }
        // A JWT has two dots, and a UserSig has none.
        match (token.contains('.'), &self.jwt, &self.usersig) {
            (true, Some(jwt), _) => jwt.verify(token).await,
            (false, _, Some(usersig)) => usersig.verify(token),
            _ => Err(TokenError::Invalid("tokens of this kind are off")),
        }
    }
}
