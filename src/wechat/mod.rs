//! WeChat's server side, for each mini program: logins, checks, subscribe messages, and what it pushes.
//!
//! What of it is a secret, a token or an openid reaches no log and no error.

mod calls;
mod login;
mod media_check;
pub mod push;
mod subscribe;
mod text_check;
mod token;

use std::{fmt, sync::Arc, time::Duration};

use url::Url;

use self::{calls::Faults, token::TokenSource};
use crate::{domain::WechatUser, secret::Secret};

pub use calls::CallError;
pub use login::{Login, LoginError};
pub use subscribe::{SendError, SubscribeMessage};
pub use text_check::{MAX_TEXT_CHARS, Scene, TEXT_CHECK_WAIT};

/// How long a login, a token or a message may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes. A real one has some 200, and a check of a text 2,000.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where WeChat is asked.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// What the paths of its calls are appended to; may have a path itself.
    pub base_url: Url,
    /// A company's own service of tokens, asked in place of WeChat's.
    pub token_url: Option<Url>,
}

/// One mini program, in whose name WeChat is asked. Clones share the token.
#[derive(Clone)]
pub struct MiniProgram {
    http: reqwest::Client,
    base_url: Url,
    appid: Arc<str>,
    secret: Secret,
    timeout: Duration,
    tokens: Arc<TokenSource>,
    faults: Arc<Faults>,
}

impl fmt::Debug for MiniProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MiniProgram({})", self.appid)
    }
}

impl MiniProgram {
    /// The mini program `appid`.
    pub fn new(http: reqwest::Client, at: &Addresses, appid: &str, secret: Secret) -> Self {
        Self::with_timeout(http, at, appid, secret, TIMEOUT)
    }

    /// The same with another limit to how long a login, a token or a message may take.
    pub fn with_timeout(
        http: reqwest::Client,
        at: &Addresses,
        appid: &str,
        secret: Secret,
        timeout: Duration,
    ) -> Self {
        let appid: Arc<str> = appid.into();
        let (asked_with, app) = (secret.clone(), Arc::clone(&appid));
        let tokens = TokenSource::new(http.clone(), at, app, asked_with, timeout);
        Self {
            http,
            base_url: at.base_url.clone(),
            appid,
            secret,
            timeout,
            tokens: Arc::new(tokens),
            faults: Arc::default(),
        }
    }

    /// What WeChat calls it.
    pub fn appid(&self) -> &str {
        &self.appid
    }
}

/// All mini programs. Clones share their tokens.
#[derive(Clone, Debug)]
pub struct Wechat(Arc<[MiniProgram]>);

impl Wechat {
    /// These mini programs; the first one is the main one.
    pub fn new(programs: Vec<MiniProgram>) -> Self {
        Self(programs.into())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mini program of this name, or the main one. `None`: there is none.
    pub fn program(&self, appid: Option<&str>) -> Option<&MiniProgram> {
        match appid {
            Some(appid) => self.0.iter().find(|program| program.appid() == appid),
            None => self.0.first(),
        }
    }

    /// The mini program that knows this user.
    fn program_of(&self, user: &WechatUser) -> Option<&MiniProgram> {
        self.program(user.appid.as_deref())
    }
}

/// A URL of WeChat: `base` with this path behind its own.
fn endpoint(base: &Url, path: &str) -> Url {
    let mut endpoint = base.clone();
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    // Only a URL without a host, such as `mailto:`, has no path to extend; no request gets through to one
    // anyway.
    if let Ok(mut segments) = endpoint.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    endpoint
}
