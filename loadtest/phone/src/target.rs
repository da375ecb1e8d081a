//! Where a server is.

use std::net::{SocketAddr, ToSocketAddrs};

use url::Url;

/// A replica, a load balancer or a peer.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: Url,
    /// The first address of its name.
    pub addr: SocketAddr,
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the target {url}: {reason}")]
pub struct BadTarget {
    url: Url,
    reason: String,
}

impl Target {
    /// Looks the name up.
    pub fn find(url: &Url) -> Result<Self, BadTarget> {
        let bad = |reason: String| BadTarget { url: url.clone(), reason };
        if url.scheme() != "http" {
            return Err(bad("say http://HOST:PORT; TLS is not spoken".to_owned()));
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let mut found = (host, port).to_socket_addrs().map_err(|error| bad(error.to_string()))?;
        let addr = found.next().ok_or_else(|| bad("its name has no address".to_owned()))?;
        Ok(Self { url: url.clone(), addr })
    }

    /// The URL of a path there; a whole URL is itself.
    pub fn at(&self, path: &str) -> String {
        if path.starts_with("http://") {
            return path.to_owned();
        }
        format!("{}{path}", self.url.as_str().trim_end_matches('/'))
    }
}
