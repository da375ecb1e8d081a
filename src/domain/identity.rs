//! Who somebody is to whoever vouches for them: what a login is found by.

use std::{fmt, sync::Arc};

use super::{ExternalId, UserName};

/// Who vouches for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Nobody: a demo user is taken at their word.
    Demo,
    /// The company's own back end, by the server API or by a token.
    External,
    /// WeChat, to the mini program with this appid: another one gets other openids.
    Wechat(Arc<str>),
}

/// As it is stored.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demo => f.write_str("demo"),
            Self::External => f.write_str("external"),
            Self::Wechat(appid) => write!(f, "wechat:{appid}"),
        }
    }
}

/// What a [`Provider`] calls somebody. It leads to one user at most; a user may have several.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    provider: Provider,
    subject: Box<str>,
    unionid: Option<Box<str>>,
}

impl Identity {
    /// The demo user who first came by this name, whatever that user is called since.
    pub fn demo(name: &UserName) -> Self {
        Self::of(Provider::Demo, name.as_str())
    }

    /// The WeChat user with this openid in this mini program.
    pub fn wechat(appid: Arc<str>, openid: &str) -> Self {
        Self::of(Provider::Wechat(appid), openid)
    }

    /// The user whom the company's own back end calls so.
    pub fn external(id: &ExternalId) -> Self {
        Self::of(Provider::External, id.as_str())
    }

    fn of(provider: Provider, subject: &str) -> Self {
        Self { provider, subject: subject.into(), unionid: None }
    }

    /// The same with what WeChat calls them in all mini programs of one owner.
    #[must_use]
    pub fn with_unionid(self, unionid: Option<&str>) -> Self {
        Self { unionid: unionid.map(Into::into), ..self }
    }

    /// Who vouches.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What the provider calls them. Never leaves the server.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What WeChat calls them in all mini programs of one owner, if it says that. Never leaves the server.
    pub fn unionid(&self) -> Option<&str> {
        self.unionid.as_deref()
    }
}

/// Subjects, such as openids, never reach a log.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_not_shown() {
        let wechat = Identity::wechat("wx1".into(), "oA-b_1").with_unionid(Some("uA"));
        assert_eq!(format!("{wechat:?}"), "Identity(wechat:wx1)");
        let demo = Identity::demo(&UserName::parse("张三").unwrap());
        assert_eq!(format!("{demo:?}"), "Identity(demo)");
        let external = Identity::external(&ExternalId::parse("4711").unwrap());
        assert_eq!(format!("{external:?}"), "Identity(external)");
    }
}
