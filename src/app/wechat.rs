//! The way to WeChat, and what comes from there.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::subscribe::Subscribe;
use crate::{
    admission::CheckedMedia,
    clock::Clock,
    config::{Settings, WechatApp, WechatMedia},
    http_client::http_client,
    jobs::{self, Job},
    media::MediaLibrary,
    media_checks::{CheckPolicy, MediaAnswers, MediaCheckWork},
    moderation::Moderation,
    store::Store,
    wechat::{
        Addresses, MiniProgram, Wechat,
        push::{AesKey, PushKeys},
    },
    wechat_events::{EventHandler, Forward, WechatPush, WechatWork},
    wechat_subscribe::SubscribeEvents,
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

fn push_keys(settings: &Settings) -> anyhow::Result<Option<PushKeys>> {
    let config = &settings.wechat;
    if config.push_token.is_empty() {
        return Ok(None);
    }
    let aes = Some(config.push_aes_key.reveal()).filter(|key| !key.is_empty());
    let aes = aes.map(AesKey::parse).transpose()?;
    let apps = config.mini_programs().into_iter().map(|app| app.appid);
    Ok(Some(PushKeys::new(config.push_token.clone(), aes, apps)))
}

/// The way in for pushes.
pub(super) fn push(settings: &Settings, store: &Arc<dyn Store>) -> anyhow::Result<WechatPush> {
    let forwards = settings.wechat.forward_url.is_some();
    Ok(WechatPush::new(Arc::clone(store), push_keys(settings)?, forwards))
}

/// The rule about pictures and voice messages, if the settings say that WeChat checks them.
pub(super) fn checked_media(settings: &Settings, store: &Arc<dyn Store>) -> Option<CheckedMedia> {
    let config = &settings.moderation;
    let holds = config.wechat_media == WechatMedia::Hold;
    let is_on = config.wechat_media != WechatMedia::Off;
    is_on.then(|| CheckedMedia::new(Arc::clone(store), holds, config.on_unchecked))
}

/// What asks WeChat about pictures and voice messages, and does what follows.
pub(super) fn check_work(
    settings: &Settings,
    clock: &Clock,
    wechat: Wechat,
    media: &MediaLibrary,
    moderation: &Moderation,
    store: &Arc<dyn Store>,
) -> Option<BoxFuture<'static, ()>> {
    let config = &settings.moderation;
    if config.wechat_media == WechatMedia::Off {
        return None;
    }
    if settings.server.public_url.is_none() {
        tracing::warn!(
            "WeChat may not reach the pictures and voice messages that it is to check; set \
             server.public_url"
        );
    }
    let (store, clock) = (Arc::clone(store), clock.clone());
    let job = Job::new(Arc::clone(&store), "media.check", jobs::LEASE);
    let policy = CheckPolicy { on_unchecked: config.on_unchecked, on_failure: config.on_failure };
    let (links, moderation) = (media.links().clone(), moderation.clone());
    let work = MediaCheckWork { store, wechat, links, moderation, policy, clock };
    Some(Box::pin(work.run(job)))
}

/// What handles pushes. Without a mini program there are none.
pub(super) fn push_work(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &Clock,
    subscribe: &Subscribe,
) -> anyhow::Result<Option<BoxFuture<'static, ()>>> {
    if settings.wechat.mini_programs().is_empty() {
        return Ok(None);
    }
    let forward = match (settings.wechat.forward_url.clone(), push_keys(settings)?) {
        (Some(url), Some(keys)) => {
            Some(Forward { http: http_client()?, url, keys, clock: clock.clone() })
        }
        _ => None,
    };
    // Also where media are not checked any more: answers may be on their way.
    let mut handlers: Vec<Arc<dyn EventHandler>> = vec![Arc::new(MediaAnswers(Arc::clone(store)))];
    let main = settings.wechat.mini_programs().into_iter().next();
    if let Some((subscriptions, main)) = subscribe.subscriptions.clone().zip(main) {
        handlers.push(Arc::new(SubscribeEvents { subscriptions, main_appid: main.appid }));
    }
    let (store, clock) = (Arc::clone(store), clock.clone());
    let job = Job::new(Arc::clone(&store), "wechat.events", jobs::LEASE);
    let work = WechatWork { store, handlers, forward, clock };
    Ok(Some(Box::pin(work.run(job))))
}
