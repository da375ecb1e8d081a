//! Message push: what WeChat tells a mini program's back end by itself. Who may tell, and what was told.

mod crypt;
mod event;

use std::{fmt, sync::Arc};

use ring::digest;
use serde::Deserialize;

use crate::secret::Secret;

pub use crypt::{AesKey, InvalidAesKey};
pub use event::{Event, SentMessage, TemplateAnswer, read_event};

/// The longest echo that is sent back, in bytes. Real ones have some 20.
const MAX_ECHO_BYTES: usize = 256;

/// Why a push is not taken. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Whoever sent it does not know the token.
    #[error("the signature is wrong")]
    Signature,
    /// It is not encrypted, and a key is set; or it is, and none is.
    #[error("the settings say another mode than WeChat's console; see wechat.push_aes_key")]
    Mode,
    /// It is encrypted with another key, or broken.
    #[error("it cannot be decrypted")]
    Encryption,
    /// It is for a mini program that this service does not know.
    #[error("it is for another mini program")]
    App,
    /// It is XML.
    #[error("it is XML; choose JSON in WeChat's console")]
    Xml,
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NotJson,
}

/// What the query of a push says.
#[derive(Clone, Default)]
pub struct PushQuery {
    /// Of a push in plain form, and of an echo.
    pub signature: String,
    /// Of an encrypted push.
    pub msg_signature: String,
    /// Part of what is signed.
    pub timestamp: String,
    /// Part of what is signed.
    pub nonce: String,
}

/// Signatures and openids never reach a log.
impl fmt::Debug for PushQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushQuery")
    }
}

/// A push that WeChat has sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Pushed {
    /// For which mini program, where WeChat says so: in an encrypted push.
    pub appid: Option<Arc<str>>,
    /// The JSON object.
    pub json: String,
}

/// It names users, and may hold what they wrote.
impl fmt::Debug for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pushed({} bytes)", self.json.len())
    }
}

/// What pushes are signed and encrypted with, as WeChat's console has it.
#[derive(Clone, Debug)]
pub struct PushKeys {
    token: Secret,
    aes: Option<AesKey>,
    /// The mini programs whose encrypted pushes are taken.
    apps: Arc<[Arc<str>]>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Encrypt")]
    encrypt: Option<String>,
    #[serde(rename = "MsgType")]
    msg_type: Option<serde::de::IgnoredAny>,
}

impl PushKeys {
    /// These keys. With an AES key nothing is taken that is not encrypted: the signature of a plain push does not
    /// cover its body, so whoever has seen one could send anything.
    pub fn new(token: Secret, aes: Option<AesKey>, apps: impl IntoIterator<Item = String>) -> Self {
        Self { token, aes, apps: apps.into_iter().map(Into::into).collect() }
    }

    /// The signature of a plain push at this time.
    pub fn sign(&self, timestamp: &str, nonce: &str) -> String {
        signature([self.token.reveal(), timestamp, nonce])
    }

    /// What is sent back to WeChat when it asks whether somebody is there who knows the token.
    pub fn echo<'a>(&self, query: &PushQuery, echo: &'a str) -> Result<&'a str, PushError> {
        let is_signed = is_same(&self.sign(&query.timestamp, &query.nonce), &query.signature);
        if is_signed && echo.len() <= MAX_ECHO_BYTES { Ok(echo) } else { Err(PushError::Signature) }
    }

    /// What a push says, if it is WeChat's.
    pub fn open(&self, query: &PushQuery, body: &[u8]) -> Result<Pushed, PushError> {
        let envelope = parse::<Envelope>(body);
        let Some(aes) = &self.aes else {
            self.echo(query, "")?;
            return match envelope? {
                Envelope { msg_type: None, encrypt: Some(_) } => Err(PushError::Mode),
                _ => pushed(None, body.to_vec()),
            };
        };
        let encrypt = envelope.and_then(|envelope| envelope.encrypt.ok_or(PushError::Mode));
        // Whoever does not know the token is told nothing of the settings.
        let encrypt = encrypt.or_else(|error| self.echo(query, "").and(Err(error)))?;
        let parts = [self.token.reveal(), &query.timestamp, &query.nonce, &encrypt];
        if !is_same(&signature(parts), &query.msg_signature) {
            return Err(PushError::Signature);
        }
        let (message, appid) = aes.decrypt(&encrypt).ok_or(PushError::Encryption)?;
        let app = self.apps.iter().find(|app| app.as_bytes() == appid).ok_or(PushError::App)?;
        pushed(Some(Arc::clone(app)), message)
    }
}

/// A push as it was opened, or as somebody who opened it passed it on.
pub fn pushed(appid: Option<Arc<str>>, json: Vec<u8>) -> Result<Pushed, PushError> {
    parse::<serde_json::Map<String, serde_json::Value>>(&json)?;
    let json = String::from_utf8(json).map_err(|_| PushError::NotJson)?;
    Ok(Pushed { appid, json })
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, PushError> {
    serde_json::from_slice(json).map_err(|_| {
        let is_xml = json.trim_ascii_start().starts_with(b"<");
        if is_xml { PushError::Xml } else { PushError::NotJson }
    })
}

/// SHA-1, as WeChat has it, of these in their order.
fn signature<const N: usize>(mut parts: [&str; N]) -> String {
    parts.sort_unstable();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    let digits: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Takes the same time wherever they differ.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_the_parts_in_their_order() {
        // printf 1714112445415670AAAAA | sha1sum
        let keys = PushKeys::new(Secret::new("AAAAA"), None, []);
        let signed = keys.sign("1714112445", "415670");
        assert_eq!(signed, "c82c8f355affb953629236e387582d7a3eec6a97");
        let query = |signature: &str| PushQuery {
            signature: signature.to_owned(),
            timestamp: "1714112445".to_owned(),
            nonce: "415670".to_owned(),
            ..PushQuery::default()
        };
        assert_eq!(keys.echo(&query(&signed), "4375120948345356249"), Ok("4375120948345356249"));
        for wrong in ["", "0", &signed[1..], &signed.to_uppercase()] {
            assert_eq!(keys.echo(&query(wrong), "x"), Err(PushError::Signature), "{wrong}");
        }
    }
}
