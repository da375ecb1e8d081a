//! What the settings build: limits, media, logins, and the door for sends.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use crate::{
    accounts::{Accounts, LoginRules},
    admission::{
        BeforeSend, CheckedMedia, Decided, Decider, Deciders, Door, HookClient, MayWrite, Rule,
        SendLimit, ShownMedia, Strangers,
    },
    auth::{Auth, host::HostPolicy, origin::OriginPolicy},
    checks::names::Names,
    clock::Clock,
    config::{self, DatabaseUrl, Settings, VisibleTo},
    http_client::http_client,
    identity::{Jwks, JwksTimes, JwtRules, JwtVerifier, TokenVerifier, UserSigVerifier},
    limits::{HandshakeGate, Limiter, Limits, Rate, Rates},
    media::{MediaLibrary, MediaLinks, Storage, Worker},
    messaging,
    signing::SigningKey,
    standing::Standings,
    store::{Acquaintance, Store, batcher},
    wechat::Wechat,
};

/// How long batches linger under load. A process that has its database for itself has no use for it:
/// nobody divides its batches, and a commit takes it longer than to gather the next batch.
pub(super) fn linger(settings: &Settings) -> Duration {
    match settings.database.url {
        DatabaseUrl::Sqlite(_) => Duration::ZERO,
        DatabaseUrl::Postgres(_) => batcher::LINGER,
    }
}

/// To whom it is shown that somebody is there.
fn visible(settings: &Settings) -> Acquaintance {
    match settings.presence.visible_to {
        VisibleTo::Conversations => Acquaintance::Conversation,
        VisibleTo::BothWrote => Acquaintance::BothWrote,
    }
}

/// The rules of all conversations.
pub(super) fn conversation_rules(settings: &Settings, names: Names) -> messaging::Rules {
    messaging::Rules {
        visible: visible(settings),
        replay_limit: settings.delivery.replay_limit,
        who_may_write: settings.chat.who_may_write,
        recall_window: settings.chat.recall,
        groups: settings.groups.rules(),
        names,
    }
}

/// The rate limits, if there are any. This limiter counts what all replicas count together.
pub(super) fn limits(settings: &Settings, limiter: Arc<dyn Limiter>) -> Limits {
    let limits = &settings.limits;
    if !limits.enabled {
        return Limits::none();
    }
    let rates = Rates {
        send: Rate::per_sec(limits.sends_per_sec, limits.send_burst),
        new_conversation: Rate::per_day(limits.new_conversations_per_day),
        history: Rate::per_sec(limits.history_per_sec, limits.history_burst),
        presence: Rate::per_sec(limits.presence_per_sec, limits.presence_burst),
        write: Rate::per_sec(limits.writes_per_sec, limits.write_burst),
        avatar: Rate::per_min(limits.avatars_per_min),
        upload: Rate::per_day(limits.upload_mb_per_day * 1024),
        login: Rate::per_min(limits.logins_per_min),
        handshake: Rate::per_min(limits.handshakes_per_min),
        failure: Rate::per_min(limits.failures_per_min),
    };
    Limits::new(limiter, rates)
}

/// What the URLs of media begin with: where clients reach the service, as far as that is known.
fn media_base(settings: &Settings, listener: &TcpListener) -> anyhow::Result<String> {
    if let Some(url) = &settings.server.public_url {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    let address = listener.local_addr()?;
    if address.ip().is_loopback() {
        return Ok(format!("http://{address}"));
    }
    tracing::warn!(
        "the URLs of pictures, voice and files begin with no host; set server.public_url"
    );
    Ok(String::new())
}

/// Pictures, voice and files.
pub(super) async fn media(
    settings: &Settings,
    clock: &Clock,
    listener: &TcpListener,
    store: Arc<dyn Store>,
    storage: Storage,
    limits: Limits,
) -> anyhow::Result<MediaLibrary> {
    let links = MediaLinks::new(media_base(settings, listener)?, clock.clone());
    Ok(MediaLibrary::open(store, storage, Worker::start()?, links, limits).await?)
}

/// What checks tokens of a company's own back end; and what fetches their keys, if they are at a URL.
pub(super) fn token_logins(
    settings: &Settings,
    clock: &Clock,
) -> anyhow::Result<(TokenVerifier, Option<BoxFuture<'static, ()>>)> {
    let config::Jwt { issuer, audience, algorithms, jwks_url, keys } = settings.auth.jwt.clone();
    let jwks = match jwks_url {
        Some(url) => Some(Jwks::new(http_client()?, url, JwksTimes::default())),
        None => None,
    };
    let fresh_keys = jwks.clone().map(|jwks| Box::pin(jwks.keep_fresh()) as BoxFuture<_>);
    let jwt = settings.jwt_login().then(|| {
        let rules = JwtRules { issuer, audience, algorithms, keys };
        JwtVerifier::new(rules, jwks, clock.clone())
    });
    let config::UserSig { app_id, secret } = &settings.auth.usersig;
    let usersig = app_id.map(|app_id| UserSigVerifier::new(app_id, secret, clock.clone()));
    Ok((TokenVerifier { jwt, usersig }, fresh_keys))
}

/// Logins, sessions and faces.
pub(super) fn accounts(
    store: &Arc<dyn Store>,
    auth: Auth,
    wechat: Wechat,
    tokens: TokenVerifier,
    standings: &Standings,
    logins: LoginRules,
    limits: &Limits,
) -> Accounts {
    let (store, standings, limits) = (Arc::clone(store), standings.clone(), limits.clone());
    Accounts::new(store, auth, wechat, tokens, standings, logins, limits)
}

/// How many handshakes are worked on at once.
pub(super) fn handshakes(settings: &Settings) -> HandshakeGate {
    let server = &settings.server;
    HandshakeGate::new(server.handshakes_at_once, server.handshakes_waiting)
}

/// By which names the main listener may be reached.
pub(super) fn hosts(settings: &Settings) -> HostPolicy {
    let server = &settings.server;
    HostPolicy::new(server.listen.ip().is_loopback(), server.public_url.as_ref())
}

/// Which pages may use the service.
pub(super) fn origins(settings: &Settings) -> OriginPolicy {
    let server = &settings.server;
    let (allowed, public_url) = (server.allowed_origins.clone(), server.public_url.as_ref());
    OriginPolicy::new(allowed, public_url, server.listen.ip().is_loopback())
}

/// The hook before a send, if there is one.
pub(super) fn before_send(
    settings: &Settings,
    links: &MediaLinks,
    clock: &Clock,
) -> anyhow::Result<Option<Box<dyn Decider>>> {
    let hook = &settings.hooks.before_send;
    let Some(url) = hook.url.clone() else { return Ok(None) };
    let key = SigningKey::parse(hook.secret.reveal());
    let key = key.context("setting `hooks.before_send.secret`")?;
    let client = HookClient::new(http_client()?, url, key, hook.timeout, clock.clone());
    let max_chars = settings.chat.max_content_chars;
    Ok(Some(Box::new(BeforeSend::new(client, links.clone(), hook.on_failure, max_chars))))
}

/// The door for sends: what was decided before, the service's rules, further ones, then who decides, and the check of
/// media, which releases nothing that another rule holds back. And the work
/// that its rules need.
pub(super) fn door(
    settings: &Settings,
    store: &Arc<dyn Store>,
    limits: &Limits,
    standings: &Standings,
    deciders: Vec<Box<dyn Decider>>,
    further: Vec<Arc<dyn Rule>>,
    checked: Option<CheckedMedia>,
) -> (Door, Option<BoxFuture<'static, ()>>) {
    let who = settings.chat.who_may_write;
    let deciders = (!deciders.is_empty())
        .then(|| Arc::new(Deciders::new(Arc::clone(store), deciders)) as Arc<dyn Rule>);
    let own: [Arc<dyn Rule>; 4] = [
        Arc::new(SendLimit::new(limits.clone())),
        Arc::new(MayWrite::new(standings.clone(), Arc::clone(store), who)),
        Arc::new(Strangers::new(Arc::clone(store), limits.clone())),
        Arc::new(ShownMedia::new(Arc::clone(store))),
    ];
    // They know what was decided.
    let decided = deciders.is_none().then(|| Decided::new(Arc::clone(store)));
    let following = decided.clone().map(|decided| Box::pin(decided.follow()) as _);
    let decided = decided.map(|decided| Arc::new(decided) as Arc<dyn Rule>);
    let checked = checked.map(|checked| Arc::new(checked) as Arc<dyn Rule>);
    let rules = decided.into_iter().chain(own).chain(further).chain(deciders).chain(checked);
    (Door::new(rules), following)
}
