//! Settings of WeChat and of its mini programs.

use serde::Deserialize;
use url::Url;

use super::{
    subscribe::Subscribe,
    values::{http_url, optional_http_url},
};
use crate::secret::Secret;

/// WeChat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wechat {
    /// Where WeChat's server API is.
    #[serde(deserialize_with = "http_url")]
    pub base_url: Url,
    /// A company's own service of tokens; `None`: WeChat's.
    #[serde(deserialize_with = "optional_http_url")]
    pub token_url: Option<Url>,
    /// The mini program.
    pub appid: String,
    /// Its secret; empty: there is none.
    pub secret: Secret,
    /// What pushes are signed with; empty: WeChat pushes nothing here.
    pub push_token: Secret,
    /// What they are encrypted with; empty: they are not.
    pub push_aes_key: Secret,
    /// Who is told of the pushes that nobody here wants.
    #[serde(deserialize_with = "optional_http_url")]
    pub forward_url: Option<Url>,
    /// Further mini programs.
    pub apps: Vec<WechatApp>,
    /// Messages to whoever is away.
    pub subscribe: Subscribe,
}

/// A mini program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatApp {
    /// Its name to WeChat.
    pub appid: String,
    /// What proves to WeChat that this service is its back end.
    pub secret: Secret,
}

impl Wechat {
    /// All mini programs; the first one is that of logins which name none. None: no login by WeChat.
    pub fn mini_programs(&self) -> Vec<WechatApp> {
        let one = WechatApp { appid: self.appid.clone(), secret: self.secret.clone() };
        let one = (!self.secret.is_empty()).then_some(one);
        one.into_iter().chain(self.apps.iter().cloned()).collect()
    }
}
