//! Logins by tokens of a company's own back end.

mod attacks;
mod jwks;
mod jwt;
mod login;
mod usersig;

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use imserver::{
    clock::{Clock, Timestamp},
    identity::{Algorithm, Jwks, JwtKey, JwtRules, JwtVerifier, TokenError, TokenVerifier},
};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

const ISSUER: &str = "https://shop.example";
const AUDIENCE: &str = "chat";

/// When tests of the verifier begin, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// Tokens and keys that programs made which share nothing with this one.
const FOREIGN: &str = include_str!("fixtures/foreign.json");

/// A back end's key, by which it signs tokens.
struct Signer {
    kid: String,
    pair: Pair,
}

enum Pair {
    Hs256(Vec<u8>),
    Rs256(rsa::KeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    fn new(kid: &str, pair: Pair) -> Self {
        Self { kid: kid.to_owned(), pair }
    }

    fn hs256(kid: &str) -> Self {
        Self::new(kid, Pair::Hs256(b"0123456789abcdef0123456789abcdef".to_vec()))
    }

    /// Always the same key: `ring` makes none.
    fn rs256(kid: &str) -> Self {
        let pkcs8 = include_bytes!("fixtures/test-only-rsa.pk8");
        Self::new(kid, Pair::Rs256(rsa::KeyPair::from_pkcs8(pkcs8).unwrap()))
    }

    /// A new key.
    fn es256(kid: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self::new(kid, Pair::Es256(pair))
    }

    /// A new key.
    fn eddsa(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::new(kid, Pair::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()))
    }

    /// One of each algorithm, with kids of their own.
    fn all() -> [Self; 4] {
        [Self::hs256("h"), Self::rs256("r"), Self::es256("e"), Self::eddsa("d")]
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Hs256(_) => "HS256",
            Pair::Rs256(_) => "RS256",
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Hs256(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn header(&self) -> Value {
        json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid})
    }

    /// A token with this header and these claims as they are.
    fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header().to_string(), &claims.to_string())
    }

    /// The public key as `ring` gives it, or the secret.
    fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Hs256(secret) => secret.clone(),
            Pair::Rs256(pair) => pair.public().as_ref().to_vec(),
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// What stands in the settings.
    fn key(&self) -> String {
        // The heads of SubjectPublicKeyInfo.
        let head: &[u8] = match self.pair {
            Pair::Hs256(_) => return String::from_utf8(self.public()).unwrap(),
            Pair::Rs256(_) => {
                b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00"
            }
            Pair::Es256(_) => {
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"
            }
            Pair::EdDsa(_) => b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
        };
        pem("PUBLIC KEY", &[head, &self.public()].concat())
    }

    /// The table of the settings.
    fn setting(&self) -> Value {
        json!({"kid": self.kid, "algorithm": self.algorithm(), "key": self.key()})
    }

    /// The key as a JWKS has it.
    fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.public();
        let mut jwk = match &self.pair {
            Pair::Hs256(secret) => json!({"kty": "oct", "k": text(secret)}),
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"kty": "RSA", "n": text(&n), "e": text(&e)})
            }
            Pair::Es256(_) => {
                let (x, y) = public[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Pair::EdDsa(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(&public)}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }
}

fn encoded(part: &str) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What is in a good token, an hour before it expires.
fn claims(sub: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": NOW + 3_600, "iat": NOW})
}

/// The same with one claim another, or without it.
fn claims_with(key: &str, value: Value) -> Value {
    let mut claims = claims("4711");
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(key);
    } else {
        claims[key] = value;
    }
    claims
}

fn clock() -> Clock {
    let now = Duration::from_secs(NOW).as_millis();
    Clock::manual(Timestamp::from_millis(i64::try_from(now).unwrap()))
}

fn keys(signers: &[Signer]) -> Vec<JwtKey> {
    let keys = signers.iter().map(Signer::setting);
    keys.map(|key| serde_json::from_value(key).unwrap()).collect()
}

/// A verifier with these keys and algorithms.
fn verifier(
    keys: Vec<JwtKey>,
    algorithms: &[Algorithm],
    jwks: Option<Jwks>,
    clock: &Clock,
) -> TokenVerifier {
    let rules = JwtRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: algorithms.to_vec(),
        keys,
    };
    TokenVerifier { jwt: Some(JwtVerifier::new(rules, jwks, clock.clone())), usersig: None }
}

const ALL: [Algorithm; 4] =
    [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// Whom the token names, or why nobody.
async fn subject(verifier: &TokenVerifier, token: &str) -> Result<String, TokenError> {
    verifier.verify(token).await.map(|vouched| vouched.external_id.as_str().to_owned())
}

/// Asserts that the token is refused for what it is; returns the reason.
async fn assert_invalid(verifier: &TokenVerifier, token: &str, what: &str) -> &'static str {
    match subject(verifier, token).await {
        Err(TokenError::Invalid(reason)) => reason,
        other => panic!("{what}: {other:?}"),
    }
}
