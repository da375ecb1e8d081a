//! By which names the service may be reached.
//!
//! On a loopback address it trusts what comes from this machine. A page of the open web gets there too,
//! once its own name resolves to 127.0.0.1 (DNS rebinding): browsers take it for the page's own server,
//! and only `Host` tells that it is not meant.

use axum::http::{HeaderMap, Uri, header};
use url::{Host, Url};

/// Decides by the host that a request names.
#[derive(Clone, Debug)]
pub struct HostPolicy {
    at_home: bool,
    public: Option<Host<String>>,
}

impl HostPolicy {
    /// `at_home`, on a loopback address: only names of this machine, and that of `public_url`. Elsewhere
    /// any name.
    pub fn new(at_home: bool, public_url: Option<&Url>) -> Self {
        let public = public_url.and_then(Url::host).map(|host| host.to_owned());
        Self { at_home, public }
    }

    /// Whether the service may be reached by the hosts that a request names: in its `Host`, of which
    /// there is one at most, and in its target, if that is a whole URL. Browsers always name one, so
    /// whoever names none is no page.
    pub fn admits(&self, target: &Uri, headers: &HeaderMap) -> bool {
        if !self.at_home {
            return true;
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next();
        hosts.next().is_none()
            && host.is_none_or(|host| host.to_str().is_ok_and(|host| self.is_known(host)))
            && target.authority().is_none_or(|authority| self.is_known(authority.as_str()))
    }

    fn is_known(&self, authority: &str) -> bool {
        host_of(authority)
            .is_some_and(|host| is_loopback(&host) || self.public.as_ref() == Some(&host))
    }
}

/// Whether `host[:port]` names this machine, as a browser would read it.
pub(super) fn is_loopback_authority(authority: &str) -> bool {
    host_of(authority).is_some_and(|host| is_loopback(&host))
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        // Browsers and systems never ask the net for these: RFC 6761.
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
    }
}

/// The host of `host[:port]`.
fn host_of(authority: &str) -> Option<Host<String>> {
    Some(url_of("http", authority)?.host()?.to_owned())
}

/// The URL `scheme://host[:port]/`, if the authority is no more than that.
pub(super) fn url_of(scheme: &str, authority: &str) -> Option<Url> {
    if authority.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    Url::parse(&format!("{scheme}://{authority}/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(policy: &HostPolicy, target: &str, hosts: &[&str]) -> bool {
        let hosts = hosts.iter().map(|host| (header::HOST, host.parse().unwrap()));
        policy.admits(&target.parse().unwrap(), &hosts.collect())
    }

    #[test]
    fn at_home_only_names_of_this_machine_and_the_public_one_are_taken() {
        let public = Url::parse("https://chat.example.com:8443/im/").unwrap();
        let policy = HostPolicy::new(true, Some(&public));
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "app.localhost:3000",
            "127.0.0.1:8080",
            "127.8.9.1",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "chat.example.com",
            "Chat.Example.com:443",
        ] {
            assert!(admits(&policy, "/", &[host]), "{host}");
        }
        for host in [
            "",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "evil.example@127.0.0.1",
            "127.0.0.1/x",
            "192.168.1.2",
            "0.0.0.0",
            "www.chat.example.com",
            "localhost:port",
        ] {
            assert!(!admits(&policy, "/", &[host]), "{host}");
        }
        assert!(admits(&policy, "/", &[]));
        assert!(!admits(&policy, "http://evil.example/", &[]));
        assert!(!admits(&policy, "/", &["localhost", "localhost"]));
        assert!(!admits(&policy, "http://evil.example/", &["localhost"]));
        assert!(!admits(&policy, "http://localhost/", &["evil.example"]));
        assert!(admits(&policy, "http://localhost/", &["127.0.0.1:8080"]));
    }

    #[test]
    fn elsewhere_every_name_is_taken() {
        let policy = HostPolicy::new(false, None);
        assert!(admits(&policy, "/", &["chat.example.com"]) && admits(&policy, "/", &[]));
    }
}
