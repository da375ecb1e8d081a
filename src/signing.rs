//! Signatures of what the service sends to a company's own back end, by Standard Webhooks
//! (<https://www.standardwebhooks.com>), version 1: HMAC-SHA256 over id, time and body.

use std::{fmt, ops::RangeInclusive};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

/// What a secret may begin with.
const PREFIX: &str = "whsec_";

/// The lengths of a key, in bytes.
const LENGTHS: RangeInclusive<usize> = 24..=64;

/// A secret that nothing can be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` and 24 to 64 bytes in base64: echo whsec_$(openssl rand -base64 32)")]
pub struct InvalidSecret;

/// What bodies are signed with.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// The headers of a signed request, by their names.
pub type SignedHeaders = [(&'static str, String); 3];

impl SigningKey {
    /// Reads a secret: base64, with or without `whsec_` before it.
    pub fn parse(secret: &str) -> Result<Self, InvalidSecret> {
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret));
        let bytes = bytes.ok().filter(|bytes| LENGTHS.contains(&bytes.len()));
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes.ok_or(InvalidSecret)?)))
    }

    /// The headers that sign a body which is sent under this id. `seconds`: since 1970.
    pub fn headers(&self, id: &str, seconds: i64, body: &str) -> SignedHeaders {
        let signature = hmac::sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(signature))),
        ]
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `miniprogram/test/webhooks/signature.test.ts` has the official library verify.
    const SIGNED: &str = include_str!("../tests/it/api/fixtures/webhook.json");

    #[test]
    fn a_signature_is_that_of_the_official_library() {
        let signed: serde_json::Value = serde_json::from_str(SIGNED).unwrap();
        let text = |key: &str| signed[key].as_str().unwrap();
        let secret = text("secret");
        for secret in [secret, secret.strip_prefix(PREFIX).unwrap()] {
            let key = SigningKey::parse(secret).unwrap();
            let seconds = text("timestamp").parse().unwrap();
            let headers = key.headers(text("id"), seconds, text("body"));
            let expected = [
                ("webhook-id", text("id")),
                ("webhook-timestamp", text("timestamp")),
                ("webhook-signature", text("signature")),
            ];
            assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
        }
    }

    #[test]
    fn a_secret_has_some_length_and_is_not_shown() {
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!([24, 64].iter().all(|bytes| SigningKey::parse(&secret(*bytes)).is_ok()));
        for wrong in ["", "whsec_", "whsec_???", &secret(23), &secret(65)] {
            assert!(SigningKey::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", SigningKey::parse(&secret(24)).unwrap()), "SigningKey");
    }
}
