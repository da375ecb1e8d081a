//! What WeChat calls a user, within one mini program.

use std::{fmt, sync::Arc};

/// Who somebody is to WeChat, within one mini program. Never leaves the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OpenId(Box<str>);

impl OpenId {
    /// This id, as WeChat or the database has it.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ids of people never reach a log.
impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenId")
    }
}

/// A user of a mini program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WechatUser {
    /// The mini program; `None` for users of a version that knew one alone, and did not note which.
    pub appid: Option<Arc<str>>,
    /// The user in it.
    pub openid: OpenId,
}
