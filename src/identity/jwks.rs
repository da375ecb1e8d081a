//! The keys at a URL, which the issuer may change at any time.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::DecodingKey;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    TokenError,
    keys::{Algorithm, JwtKey},
};
use crate::http_client::json_answer;

/// The longest answer that is read, in bytes. A real one has some thousand.
const MAX_BYTES: usize = 256 * 1024;

/// Most keys that are taken of an answer.
const MAX_KEYS: usize = 100;

/// When the keys are fetched.
#[derive(Clone, Copy, Debug)]
pub struct JwksTimes {
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// The pause between two fetches that no token asks for: so long a key is good that has been taken out.
    pub refresh: Duration,
    /// The shortest pause between two fetches for the sake of tokens with keys that are not known. So often
    /// it is tried again while the URL does not answer, too.
    pub refetch: Duration,
}

impl Default for JwksTimes {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            refresh: Duration::from_mins(5),
            refetch: Duration::from_secs(30),
        }
    }
}

/// The keys of a JWKS. Clones share them.
#[derive(Clone, Debug)]
pub struct Jwks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    url: Url,
    times: JwksTimes,
    /// What the last good answer had; `None` before the first one.
    known: RwLock<Option<Vec<JwtKey>>>,
    /// When a token last made a fetch. Locked while that runs.
    refetched: Mutex<Option<Instant>>,
}

/// The answer. Keys of kinds that nobody knows here are no fault.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// The keys at this URL, none of which is known yet.
    pub fn new(http: reqwest::Client, url: Url, times: JwksTimes) -> Self {
        let (known, refetched) = (RwLock::default(), Mutex::default());
        Self(Arc::new(Shared { http, url, times, known, refetched }))
    }

    /// Fetches the keys, again and again.
    pub async fn keep_fresh(self) {
        loop {
            let is_fetched = self.0.fetch().await;
            let times = &self.0.times;
            tokio::time::sleep(if is_fetched { times.refresh } else { times.refetch }).await;
        }
    }

    /// The key that a token names. One that is not known is looked for at the URL, unless that has just
    /// been done for another one.
    pub(super) async fn key(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<DecodingKey, TokenError> {
        if let Some(key) = self.0.pick(algorithm, kid) {
            return Ok(key);
        }
        let shared = Arc::clone(&self.0);
        // In a task of its own: a client that leaves must not use the attempt up.
        if let Err(error) = tokio::spawn(async move { shared.refetch().await }).await {
            tracing::error!(%error, "the fetch of keys has ended");
        }
        self.0.pick(algorithm, kid).ok_or_else(|| match *self.0.known.read() {
            Some(_) => TokenError::Invalid("its key is not known"),
            None => TokenError::Unavailable,
        })
    }
}

impl Shared {
    fn pick(&self, algorithm: Algorithm, kid: Option<&str>) -> Option<DecodingKey> {
        JwtKey::pick(self.known.read().as_deref()?, algorithm, kid).cloned()
    }

    /// Fetches the keys, or waits for the fetch that runs. Does nothing soon after the last one.
    async fn refetch(&self) {
        let mut refetched = self.refetched.lock().await;
        if refetched.is_none_or(|at| at.elapsed() >= self.times.refetch) {
            self.fetch().await;
            *refetched = Some(Instant::now());
        }
    }

    /// Whether there was a good answer. Otherwise what is known stays good.
    async fn fetch(&self) -> bool {
        let request = self.http.get(self.url.clone()).timeout(self.times.timeout);
        match json_answer::<KeySet>(request, MAX_BYTES).await {
            Ok(KeySet { keys }) => {
                let keys = keys.into_iter().take(MAX_KEYS).filter_map(JwtKey::of_jwks);
                *self.known.write() = Some(keys.collect());
                true
            }
            Err(problem) => {
                tracing::warn!(%problem, "auth.jwt.jwks_url gave no keys; known ones stay good");
                false
            }
        }
    }
}
