//! Which web pages may use the service, and which requests come from this machine.

use axum::http::{HeaderMap, HeaderName, header};
use url::{Origin, Url};

use super::host::{is_loopback_authority, url_of};

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
    public: Option<Origin>,
    at_home: bool,
}

impl OriginPolicy {
    /// Allows these origins besides WeChat's and the service's own, which are that of `public_url` and
    /// the address by which it was reached; `at_home`, on a loopback address, also those of this
    /// machine's pages.
    pub fn new(allowed: Vec<String>, public_url: Option<&Url>, at_home: bool) -> Self {
        Self { allowed, public: public_url.map(Url::origin), at_home }
    }

    /// Whether a page of this origin may use the service, which was reached as `headers` say.
    pub fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        self.allowed.iter().any(|allowed| allowed == origin)
            || origin == WECHAT
            || self.is_own(origin, headers)
            || (self.at_home && split(origin).is_some_and(|(_, at)| is_loopback_authority(at)))
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

    /// Whether the origin is that of `server.public_url`, whatever `Host` a proxy passes on, or the very
    /// address by which the service was reached. A port that the scheme implies may be written or not.
    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let Some((scheme, authority)) = split(origin) else { return false };
        let Some(origin) = url_of(scheme, authority).map(|url| url.origin()) else { return false };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let reached = host.and_then(|host| url_of(scheme, host)).map(|url| url.origin());
        [&self.public, &reached].into_iter().any(|own| own.as_ref() == Some(&origin))
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

/// The scheme of an origin of the web, and its `host[:port]`.
fn split(origin: &str) -> Option<(&str, &str)> {
    origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
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
        let policy = OriginPolicy::new(vec!["https://ok.example".into()], None, true);
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
        let open = OriginPolicy::new(Vec::new(), None, false);
        assert!(open.admits(&evil, true) && !open.admits(&evil, false));
        assert!(open.admits(&own, false));
        let strict = OriginPolicy::new(vec!["https://ok.example".into()], None, false);
        assert!(!strict.admits(&evil, true) && strict.admits(&own, true));
        let loopback = headers(&[("host", "chat.example"), ("origin", "http://127.0.0.1:3000")]);
        assert!(!open.admits(&loopback, false));
    }

    #[test]
    fn the_public_origin_is_ones_own_whatever_host_is_passed_on() {
        let own = |public: &str, origin: &str, host: &str| {
            let policy = OriginPolicy::new(Vec::new(), Some(&Url::parse(public).unwrap()), false);
            policy.admits(&headers(&[("host", host), ("origin", origin)]), false)
        };
        for (public, origin, host) in [
            ("https://chat.example.com", "https://chat.example.com", "127.0.0.1:8080"),
            ("https://chat.example.com", "https://chat.example.com:443", "127.0.0.1:8080"),
            ("https://chat.example.com:443/im/", "https://chat.example.com", "backend"),
            ("http://chat.example.com:80", "http://chat.example.com", "backend"),
            ("https://chat.example.com:8443", "https://chat.example.com:8443", "backend"),
            ("https://other.example", "https://chat.example.com", "chat.example.com:443"),
            ("https://other.example", "https://chat.example.com:443", "Chat.example.com"),
            ("https://other.example", "http://chat.example.com", "chat.example.com:80"),
        ] {
            assert!(own(public, origin, host), "{public} {origin} {host}");
        }
        for (public, origin, host) in [
            ("https://chat.example.com", "http://chat.example.com", "backend"),
            ("https://chat.example.com", "https://chat.example.com:8443", "backend"),
            ("https://chat.example.com", "https://evil.example", "backend"),
            ("https://chat.example.com", "https://chat.example.com@evil.example", "backend"),
            ("https://chat.example.com", "https://chat.example.com/x", "backend"),
            ("https://other.example", "https://chat.example.com", "chat.example.com:80"),
            ("https://other.example", "null", "null"),
            ("https://other.example", "", ""),
        ] {
            assert!(!own(public, origin, host), "{public} {origin} {host}");
        }
    }
}
