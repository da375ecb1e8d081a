//! WeChat's server side: whose login code this is.

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use url::Url;

use crate::{
    domain::Identity,
    http_client::{Problem, json_answer},
    secret::Secret,
};

/// How long the whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes. A real one has some 200.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest code that is passed on, in bytes. Real ones have some 32; a client that sends pages
/// must not look like an outage.
const MAX_CODE_BYTES: usize = 512;

/// The longest openid or unionid that is taken, in bytes. Real ones have 28.
const MAX_ID_BYTES: usize = 256;

/// Why a code gave no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WechatError {
    /// The code is wrong, used already or too old (5 minutes); the client must get another one.
    #[error("WeChat does not know this login code")]
    CodeInvalid,
    /// WeChat takes the user for a risk and lets nobody log in as them.
    #[error("WeChat has blocked this user")]
    UserBlocked,
    /// The user has logged in too often: more than 100 times in a minute.
    #[error("WeChat limits how often this user may log in")]
    RateLimited,
    /// WeChat was busy, did not answer in time, or answered what nobody understands. Also a wrong
    /// `wechat.appid` or `wechat.secret`: the log tells.
    #[error("WeChat is not available")]
    Unavailable,
}

/// Who somebody is to WeChat, within one mini program. Never leaves the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OpenId {
    id: Box<str>,
    /// Who they are within all mini programs of one owner, where WeChat says it.
    unionid: Option<Box<str>>,
}

impl OpenId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

/// Ids of people never reach a log.
impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenId")
    }
}

/// Asks WeChat in the name of one mini program.
#[derive(Clone, Debug)]
pub struct WechatClient {
    http: reqwest::Client,
    endpoint: Url,
    appid: Arc<str>,
    secret: Secret,
    timeout: Duration,
}

impl WechatClient {
    /// A client of the mini program `appid`. Paths are appended to `base_url`, which may have one.
    pub fn new(http: reqwest::Client, base_url: Url, appid: String, secret: Secret) -> Self {
        Self::with_timeout(http, base_url, appid, secret, TIMEOUT)
    }

    /// The same with another limit to how long the whole exchange may take.
    pub fn with_timeout(
        http: reqwest::Client,
        base_url: Url,
        appid: String,
        secret: Secret,
        timeout: Duration,
    ) -> Self {
        let mut endpoint = base_url;
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        // Only a URL without a host, such as `mailto:`, has no path to extend; no request gets
        // through to one anyway.
        if let Ok(mut path) = endpoint.path_segments_mut() {
            path.pop_if_empty().extend(["sns", "jscode2session"]);
        }
        Self { http, endpoint, appid: appid.into(), secret, timeout }
    }

    /// Trades the code that `wx.login` gave for the user's openid. A code is good once.
    pub async fn openid(&self, code: &str) -> Result<OpenId, WechatError> {
        if code.is_empty() || code.len() > MAX_CODE_BYTES {
            return Err(WechatError::CodeInvalid);
        }
        let answer = self.ask(code).await.map_err(|problem| {
            tracing::warn!(problem = %problem, "WeChat login failed");
            WechatError::Unavailable
        })?;
        match answer.errcode.unwrap_or(0) {
            0 => {}
            40_029 | 40_163 | 41_008 => return Err(WechatError::CodeInvalid),
            40_226 => return Err(WechatError::UserBlocked),
            45_011 => return Err(WechatError::RateLimited),
            errcode => {
                tracing::warn!(
                    errcode,
                    "WeChat login failed; 40013 and 40125 mean a wrong wechat.appid or wechat.secret"
                );
                return Err(WechatError::Unavailable);
            }
        }
        match answer.openid {
            Some(id) if is_fit(&id) => {
                Ok(OpenId { id, unionid: answer.unionid.filter(|unionid| is_fit(unionid)) })
            }
            _ => {
                tracing::warn!(
                    "WeChat login failed: the answer has neither an openid nor an errcode"
                );
                Err(WechatError::Unavailable)
            }
        }
    }

    /// The mini program.
    pub fn appid(&self) -> &str {
        &self.appid
    }

    /// Who somebody with this openid is here.
    pub fn identity(&self, openid: &OpenId) -> Identity {
        Identity::wechat(Arc::clone(&self.appid), openid.as_str())
            .with_unionid(openid.unionid.as_deref())
    }

    async fn ask(&self, code: &str) -> Result<Answer, Problem> {
        let query = [
            ("appid", &*self.appid),
            ("secret", self.secret.reveal()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ];
        let request = self.http.get(self.endpoint.clone()).query(&query).timeout(self.timeout);
        json_answer(request, MAX_ANSWER_BYTES).await
    }
}

/// Whether it is a text that every database can hold and look up.
fn is_fit(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

/// What is read of an answer. The session key is not: what is not kept cannot leak.
#[derive(Deserialize)]
struct Answer {
    openid: Option<Box<str>>,
    unionid: Option<Box<str>>,
    errcode: Option<i64>,
}
