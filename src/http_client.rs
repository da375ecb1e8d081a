//! The HTTP clients for calls to other services, and what is read of their answers.

use std::error::Error;

use reqwest::{ClientBuilder, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use crate::public_addresses::{NotPublic, PublicResolver, check_literal};

/// A client that follows no redirects, since a query may hold a secret, and uses no proxy that the
/// environment names.
///
/// It trusts the certificate authorities of the machine. Without any it cannot be built, so a service that
/// calls nobody builds none. Makes `ring` the process's TLS provider if it has none.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    builder().build()
}

fn builder() -> ClientBuilder {
    // An error means that the process has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy()
}

/// A client like [`http_client`] for URLs that lead out of one's own network. Clones share their connections.
#[derive(Clone, Debug)]
pub struct OutboundClient {
    client: reqwest::Client,
    allow_private: bool,
}

impl OutboundClient {
    /// Asks public addresses only, unless it may ask others.
    pub fn new(allow_private: bool) -> Result<Self, reqwest::Error> {
        let builder =
            if allow_private { builder() } else { builder().dns_resolver(PublicResolver) };
        Ok(Self { client: builder.build()?, allow_private })
    }

    /// A request to a URL. A name that has no public address fails when it is sent.
    pub fn post(&self, url: &Url) -> Result<RequestBuilder, NotPublic> {
        if !self.allow_private {
            check_literal(url)?;
        }
        Ok(self.client.post(url.clone()))
    }
}

/// Why there was no answer, in words that hold neither the URL nor anything of the answer.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No connection, or none that held until the end or the time-out.
    #[error("no exchange: {0}")]
    Exchange(String),
    /// Another status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A body over the limit, which is not read any further.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    /// A body of another form.
    #[error("an answer that is not the JSON expected")]
    NotJson,
}

impl Problem {
    fn exchange(error: reqwest::Error) -> Self {
        // A URL may hold a secret.
        let error = error.without_url();
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            words.push_str(": ");
            words.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Exchange(words)
    }
}

/// Sends a request and reads the answer, of which at most `max_bytes` come into memory. The request has a
/// time-out of its own, which counts to the end of the answer.
pub async fn json_answer<T: DeserializeOwned>(
    request: RequestBuilder,
    max_bytes: usize,
) -> Result<T, Problem> {
    let mut response = request.send().await.map_err(Problem::exchange)?;
    if response.status() != StatusCode::OK {
        return Err(Problem::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Problem::exchange)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(Problem::TooLong(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    // As bytes, whatever the content type: WeChat sends JSON as text/plain. The parser's own error is left
    // out, since it may quote the answer.
    serde_json::from_slice(&body).map_err(|_| Problem::NotJson)
}
