//! UserSigs: the tokens that back ends of Tencent's chat service make for their users (TLSSigAPIv2).

use std::{fmt::Write, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use ring::hmac;
use serde::Deserialize;

use super::{TokenError, Vouched, jwt::LEEWAY};
use crate::{
    clock::{Clock, Timestamp},
    domain::ExternalId,
    secret::Secret,
};

/// The longest text that a token may be inflated to, in bytes. Real ones have some 300, and some 100 more
/// with a `userbuf`.
const MAX_INFLATED: usize = 16 * 1024;

/// Checks UserSigs of one app.
#[derive(Clone, Debug)]
pub struct UserSigVerifier {
    app_id: u64,
    key: hmac::Key,
    clock: Clock,
}

/// What a token has, once it is inflated.
#[derive(Deserialize)]
struct Ticket {
    #[serde(rename = "TLS.identifier")]
    identifier: String,
    #[serde(rename = "TLS.sdkappid")]
    app_id: u64,
    /// When it was made, in seconds since 1970.
    #[serde(rename = "TLS.time")]
    time: u64,
    /// For how many seconds it is good.
    #[serde(rename = "TLS.expire")]
    expire: u64,
    /// What else is signed: rights in a room of theirs, which mean nothing here.
    #[serde(rename = "TLS.userbuf")]
    userbuf: Option<String>,
    #[serde(rename = "TLS.sig")]
    signature: String,
}

impl UserSigVerifier {
    /// A verifier of tokens for the app with this `SDKAppID` and its secret.
    pub fn new(app_id: u64, secret: &Secret, clock: Clock) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        Self { app_id, key, clock }
    }

    /// Whom the token names, if it is good.
    pub(super) fn verify(&self, token: &str) -> Result<Vouched, TokenError> {
        let ticket = unpack(token).ok_or(TokenError::Invalid("it is no JWT and no UserSig"))?;
        if ticket.app_id != self.app_id {
            return Err(TokenError::Invalid("its SDKAppID is not auth.usersig.app_id"));
        }
        let signature = STANDARD.decode(&ticket.signature);
        let signature = signature.map_err(|_| TokenError::Invalid("its signature is wrong"))?;
        hmac::verify(&self.key, ticket.signed().as_bytes(), &signature)
            .map_err(|_| TokenError::Invalid("its signature is wrong"))?;
        let now = self.clock.now();
        if now >= after_epoch(ticket.time.saturating_add(ticket.expire)).after(LEEWAY) {
            return Err(TokenError::Expired);
        }
        if now.after(LEEWAY) < after_epoch(ticket.time) {
            return Err(TokenError::Invalid("it is not valid yet"));
        }
        let external_id = ExternalId::parse(&ticket.identifier)
            .map_err(|_| TokenError::Invalid("its identifier can be nobody's id"))?;
        Ok(Vouched { external_id, name: None, avatar_url: None })
    }
}

/// Base64 in which `*`, `-` and `_` stand for `+`, `/` and `=`, of JSON that zlib has deflated.
fn unpack(token: &str) -> Option<Ticket> {
    let base64 = token.replace('*', "+").replace('-', "/").replace('_', "=");
    let deflated = STANDARD.decode(base64).ok()?;
    let json = decompress_to_vec_zlib_with_limit(&deflated, MAX_INFLATED).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Ticket {
    /// The text that is signed.
    fn signed(&self) -> String {
        let Self { identifier, app_id, time, expire, .. } = self;
        let mut signed = format!(
            "TLS.identifier:{identifier}\nTLS.sdkappid:{app_id}\nTLS.time:{time}\nTLS.expire:{expire}\n"
        );
        if let Some(userbuf) = &self.userbuf {
            // Writing to a string cannot fail.
            let _ = writeln!(signed, "TLS.userbuf:{userbuf}");
        }
        signed
    }
}

/// So many seconds after 1970, or the end of time.
fn after_epoch(seconds: u64) -> Timestamp {
    Timestamp::from_millis(0).after(Duration::from_secs(seconds))
}
