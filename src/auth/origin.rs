//! Which web pages may use the service, and which requests come from this machine.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use url::{Host, Url};

/// Where WeChat's tools and phones say that mini programs live.
const WECHAT: &str = "https://servicewechat.com";

/// Headers that a proxy adds. `X-Forwarded-*` are told by their prefix.
const FORWARDING: [HeaderName; 3] =
    [header::FORWARDED, HeaderName::from_static("x-real-ip"), header::VIA];

/// Decides by the `Origin` and `Host` of a request.
///
/// There are no cookies: what a page could abuse is only what a request may do without a token.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    allowed: Vec<String>,
    at_home: bool,
}

impl OriginPolicy {
    /// Allows these origins besides the service's own and WeChat's; `at_home`, on a loopback
    /// address, also those of this machine's pages.
    pub fn new(allowed: Vec<String>, at_home: bool) -> Self {
        Self { allowed, at_home }
    }

    /// Whether a page of this origin may use the service, which was reached as `headers` say.
    pub fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        self.allowed.iter().any(|allowed| allowed == origin)
            || origin == WECHAT
            || is_own(origin, headers)
            || (self.at_home && is_loopback_origin(origin))
    }

    /// Whether the request's origin, if it names one, is allowed. `has_token`: a bearer token was
    /// presented, which a page cannot do unless it was given one; then only a list that the
    /// operator wrote is enforced.
    pub fn admits(&self, headers: &HeaderMap, has_token: bool) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        if has_token && self.allowed.is_empty() {
            return true;
        }
        origin.to_str().is_ok_and(|origin| self.allows(origin, headers))
    }

    /// Whether a request without a token comes from this machine and from no page of the open web:
    /// to a loopback `Host`, through no proxy, from an origin that may.
    pub fn is_local(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let forwarded = headers
            .keys()
            .any(|name| FORWARDING.contains(name) || name.as_str().starts_with("x-forwarded-"));
        // Some requests of a page carry no origin, an image's for one; browsers mark these.
        let of_foreign_page = !headers.contains_key(header::ORIGIN)
            && headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        hosts.next().is_none()
            && host.is_some_and(is_loopback_authority)
            && !forwarded
            && !of_foreign_page
            && self.admits(headers, false)
    }
}

/// Whether the origin is the very address under which the service was reached.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

fn is_loopback_origin(origin: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(is_loopback_authority)
}

/// Whether `host[:port]` names this machine, as a browser would read it.
fn is_loopback_authority(authority: &str) -> bool {
    if authority.contains(['/', '@', '?', '#', '\\']) {
        return false;
    }
    let Ok(url) = Url::parse(&format!("http://{authority}/")) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_this_machine_is_local() {
        let policy = OriginPolicy::new(vec!["https://ok.example".into()], true);
        for local in [
            &[("host", "127.0.0.1:8080")][..],
            &[("host", "localhost")],
            &[("host", "[::1]:8080")],
            &[("host", "127.8.0.1"), ("origin", "http://localhost:3000")],
            &[("host", "127.0.0.1"), ("origin", "https://servicewechat.com")],
            &[("host", "127.0.0.1"), ("origin", "https://ok.example")],
        ] {
            assert!(policy.is_local(&headers(local)), "{local:?}");
        }
        for foreign in [
            &[][..],
            &[("host", "chat.example")],
            &[("host", "127.0.0.1.evil.example")],
            &[("host", "localhost.evil.example")],
            &[("host", "evil.example@127.0.0.1")],
            &[("host", "192.168.1.2")],
            &[("host", "127.0.0.1"), ("origin", "https://evil.example")],
            &[("host", "127.0.0.1"), ("origin", "null")],
            &[("host", "127.0.0.1"), ("origin", "http://localhost.evil.example")],
            &[("host", "127.0.0.1"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1"), ("forwarded", "for=1.2.3.4")],
            &[("host", "127.0.0.1"), ("x-forwarded-for", "127.0.0.1")],
            &[("host", "127.0.0.1"), ("x-forwarded-proto", "https")],
            &[("host", "127.0.0.1"), ("x-real-ip", "127.0.0.1")],
            &[("host", "127.0.0.1"), ("via", "1.1 proxy")],
        ] {
            assert!(!policy.is_local(&headers(foreign)), "{foreign:?}");
        }
    }

    #[test]
    fn a_token_frees_from_the_origin_unless_a_list_is_written() {
        let evil = headers(&[("host", "chat.example"), ("origin", "https://evil.example")]);
        let own = headers(&[("host", "chat.example"), ("origin", "https://chat.example")]);
        let open = OriginPolicy::new(Vec::new(), false);
        assert!(open.admits(&evil, true) && !open.admits(&evil, false));
        assert!(open.admits(&own, false));
        let strict = OriginPolicy::new(vec!["https://ok.example".into()], false);
        assert!(!strict.admits(&evil, true) && strict.admits(&own, true));
        let loopback = headers(&[("host", "chat.example"), ("origin", "http://127.0.0.1:3000")]);
        assert!(!open.admits(&loopback, false));
    }
}
