//! Whose login code this is.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use super::{MAX_ANSWER_BYTES, MiniProgram, endpoint};
use crate::{
    domain::{Identity, OpenId},
    http_client::{Problem, json_answer},
};

/// The longest code that is passed on, in bytes. Real ones have some 32; a client that sends pages
/// must not look like an outage.
const MAX_CODE_BYTES: usize = 512;

/// The longest openid or unionid that is taken, in bytes. Real ones have 28.
const MAX_ID_BYTES: usize = 256;

/// Why a code gave no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
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

/// Whose code it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user within the mini program.
    pub openid: OpenId,
    /// The user within all mini programs of one owner, where WeChat says it.
    pub unionid: Option<Box<str>>,
}

/// Ids of people never reach a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl MiniProgram {
    /// Trades the code that `wx.login` gave for its user. A code is good once.
    pub async fn log_in(&self, code: &str) -> Result<Login, LoginError> {
        if code.is_empty() || code.len() > MAX_CODE_BYTES {
            return Err(LoginError::CodeInvalid);
        }
        let answer = self.trade(code).await.map_err(|problem| {
            tracing::warn!(problem = %problem, "WeChat login failed");
            LoginError::Unavailable
        })?;
        match answer.errcode.unwrap_or(0) {
            0 => {}
            40_029 | 40_163 | 41_008 => return Err(LoginError::CodeInvalid),
            40_226 => return Err(LoginError::UserBlocked),
            45_011 => return Err(LoginError::RateLimited),
            errcode => {
                tracing::warn!(
                    errcode,
                    "WeChat login failed; 40013 and 40125 mean a wrong wechat.appid or wechat.secret"
                );
                return Err(LoginError::Unavailable);
            }
        }
        match answer.openid {
            Some(id) if is_fit(&id) => Ok(Login {
                openid: OpenId::new(&id),
                unionid: answer.unionid.filter(|unionid| is_fit(unionid)),
            }),
            _ => {
                tracing::warn!(
                    "WeChat login failed: the answer has neither an openid nor an errcode"
                );
                Err(LoginError::Unavailable)
            }
        }
    }

    /// Who it is here that has logged in.
    pub fn identity(&self, login: &Login) -> Identity {
        Identity::wechat(Arc::clone(&self.appid), login.openid.as_str())
            .with_unionid(login.unionid.as_deref())
    }

    async fn trade(&self, code: &str) -> Result<Answer, Problem> {
        let query = [
            ("appid", &*self.appid),
            ("secret", self.secret.reveal()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ];
        let at = endpoint(&self.base_url, "sns/jscode2session");
        let request = self.http.get(at).query(&query).timeout(self.timeout);
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
