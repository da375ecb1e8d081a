//! Keys of JWTs: from the settings, or from a JWKS.

use std::str::FromStr;

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;

use crate::secret::Secret;

/// How a JWT may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can check a token can make one.
    Hs256,
    /// RSA (PKCS #1 v1.5) with SHA-256, and at least 2,048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// An algorithm that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an algorithm is none of HS256, RS256, ES256 and EdDSA")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let known = name.parse().ok().and_then(Self::of);
        known.ok_or(UnknownAlgorithm)
    }
}

impl TryFrom<String> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(name: String) -> Result<Self, UnknownAlgorithm> {
        name.parse()
    }
}

impl Algorithm {
    /// The algorithm that a token names, if it is taken here.
    pub(super) fn of(named: jsonwebtoken::Algorithm) -> Option<Self> {
        let all = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];
        all.into_iter().find(|algorithm| algorithm.name() == named)
    }

    /// The same to the library.
    pub(super) fn name(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A key, good for one algorithm.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "KeySetting")]
pub struct JwtKey {
    kid: Option<String>,
    algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// A key as the settings have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySetting {
    #[serde(default)]
    kid: String,
    algorithm: Algorithm,
    key: Secret,
}

/// The least of a secret: as long as what it signs with, as RFC 7518 demands. A shorter one can be guessed.
const MIN_SECRET_BYTES: usize = 32;

/// A key that cannot check anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum KeyError {
    #[error("the key of HS256 has less than 32 bytes")]
    ShortSecret,
    #[error("the key is no PEM of a public key (BEGIN PUBLIC KEY) for its algorithm")]
    NoPublicKey,
}

impl TryFrom<KeySetting> for JwtKey {
    type Error = KeyError;

    fn try_from(KeySetting { kid, algorithm, key }: KeySetting) -> Result<Self, KeyError> {
        let text = key.reveal();
        let key = if algorithm == Algorithm::Hs256 {
            if text.len() < MIN_SECRET_BYTES {
                return Err(KeyError::ShortSecret);
            }
            DecodingKey::from_secret(text.as_bytes())
        } else {
            public_key(algorithm, text).ok_or(KeyError::NoPublicKey)?
        };
        Ok(Self { kid: (!kid.is_empty()).then_some(kid), algorithm, key })
    }
}

/// The public key of a PEM. The library would take private keys and certificates for something.
fn public_key(algorithm: Algorithm, pem: &str) -> Option<DecodingKey> {
    if !["BEGIN PUBLIC KEY", "BEGIN RSA PUBLIC KEY"].iter().any(|label| pem.contains(label)) {
        return None;
    }
    let pem = pem.as_bytes();
    match algorithm {
        Algorithm::Hs256 => None,
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem).ok(),
        // A point on P-384 is longer.
        Algorithm::Es256 => DecodingKey::from_ec_pem(pem).ok().filter(|key| has_length(key, 65)),
        Algorithm::EdDsa => DecodingKey::from_ed_pem(pem).ok().filter(|key| has_length(key, 32)),
    }
}

fn has_length(key: &DecodingKey, length: usize) -> bool {
    key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == length)
}

impl JwtKey {
    /// A key of a JWKS; `None` for one that checks no signature, by no algorithm that is taken here, or is
    /// a secret, which has no place in a JWKS.
    pub(super) fn of_jwks(jwk: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::Rs256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDsa
            }
            _ => return None,
        };
        let common = &jwk.common;
        let is_for_it = common.key_algorithm.is_none_or(|named| named == algorithm.name().into());
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|public_key_use| *public_key_use == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !is_for_it || !is_for_signatures {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { kid: jwk.common.key_id, algorithm, key })
    }

    /// The key of this algorithm with this `kid`; for a token that names none, the only key of it.
    pub(super) fn pick<'a>(
        keys: &'a [Self],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Option<&'a DecodingKey> {
        let is_fit = |key: &&Self| {
            key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid)
        };
        let mut fit = keys.iter().filter(is_fit);
        let first = fit.next()?;
        (kid.is_some() || fit.next().is_none()).then_some(&first.key)
    }
}
