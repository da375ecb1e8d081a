//! The way to WeChat.

use crate::{
    config::{Settings, WechatApp},
    http_client::http_client,
    wechat::{Addresses, MiniProgram, Wechat},
};

/// The mini programs of the settings. The client is made only where there is one.
pub(super) fn wechat(settings: &Settings) -> anyhow::Result<Wechat> {
    let at = Addresses {
        base_url: settings.wechat.base_url.clone(),
        token_url: settings.wechat.token_url.clone(),
    };
    let program =
        |WechatApp { appid, secret }| Ok(MiniProgram::new(http_client()?, &at, &appid, secret));
    let programs = settings.wechat.mini_programs().into_iter().map(program);
    Ok(Wechat::new(programs.collect::<anyhow::Result<_>>()?))
}
