//! The endpoints of webhooks, and how they are read.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{secret::Secret, signing::SigningKey, store::OUTBOX_KINDS};

/// The most endpoints of webhooks.
const MAX_ENDPOINTS: usize = 32;

/// Somebody who is told what happens.
#[derive(Clone)]
pub struct Endpoint {
    /// What it is called. Its place in the outbox goes by this.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// What deliveries are signed with.
    pub key: SigningKey,
    /// The kinds of events that it receives; empty: all.
    pub kinds: Vec<String>,
}

/// A URL may hold a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.name)
    }
}

impl Endpoint {
    /// Whether it receives events of this kind.
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }

    /// Stands for its URL, which may hold a secret.
    pub fn url_digest(&self) -> String {
        Sha256::digest(self.url.as_str()).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    }
}

/// An endpoint as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEndpoint {
    name: String,
    url: String,
    secret: Secret,
    #[serde(default)]
    kinds: Vec<String>,
}

impl WrittenEndpoint {
    /// Reads it. What is wrong is said without what is secret.
    fn read(self) -> Result<Endpoint, String> {
        let Self { name, url, secret, kinds } = self;
        let is_fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_fit) {
            return Err("a `name` must be 1 to 32 of a to z, digits, `-` and `_`".to_owned());
        }
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let url = url.ok_or_else(|| {
            format!("the `url` of {name} must be an http or https URL without a user")
        })?;
        let key = SigningKey::parse(secret.reveal());
        let key = key.map_err(|error| format!("the `secret` of {name} {error}"))?;
        if let Some(kind) = kinds.iter().find(|kind| !OUTBOX_KINDS.contains(&kind.as_str())) {
            let known = OUTBOX_KINDS.join(", ");
            return Err(format!("`{kind}` of {name} is no kind; there are {known}"));
        }
        Ok(Endpoint { name, url, key, kinds })
    }
}

/// Endpoints of webhooks: a list of tables, or the same as JSON in a string, as the environment has it.
pub(super) fn endpoints<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Endpoint>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<WrittenEndpoint>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of tables with name, url, secret and kinds, or such a list in JSON")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.is_empty() {
                return Ok(Vec::new());
            }
            serde_json::from_str(text).map_err(|_| {
                E::custom("must be a JSON list of objects with name, url, secret and kinds")
            })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    let written = d.deserialize_any(List)?;
    let read = written.into_iter().map(WrittenEndpoint::read).collect::<Result<Vec<_>, _>>();
    let endpoints = read.map_err(D::Error::custom)?;
    let names: BTreeSet<_> = endpoints.iter().map(|endpoint| &endpoint.name).collect();
    if names.len() < endpoints.len() {
        return Err(D::Error::custom("two endpoints have the same `name`"));
    }
    if endpoints.len() > MAX_ENDPOINTS {
        return Err(D::Error::custom(format!("there are more than {MAX_ENDPOINTS} endpoints")));
    }
    Ok(endpoints)
}
