//! Which settings cannot work together.

use super::{BusKind, ConfigError, DatabaseUrl, Jwt, Settings, WechatMedia};
use crate::{signing::SigningKey, wechat::push::AesKey};

impl Settings {
    /// Refuses what cannot work together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_local = self.bus.kind == BusKind::Local;
        if !is_local && matches!(self.database.url, DatabaseUrl::Sqlite(_)) {
            return Err(ConfigError::new(
                "bus.url",
                "Redis connects replicas, and the SQLite file of `database.url` cannot be shared by \
                 them; set `database.url` to postgres://…, or `bus.url` to memory://",
            ));
        }
        let is_alone = is_local && !self.bus.single_replica;
        if is_alone && matches!(self.database.url, DatabaseUrl::Postgres(_)) {
            return Err(ConfigError::new(
                "bus.url",
                "memory:// reaches one process, and `database.url` is a Postgres that replicas may \
                 share: chats would come late on the others; set `bus.url` to redis://…, or \
                 `bus.single_replica` to true if there is to be one replica only",
            ));
        }
        if self.auth.anonymous && !self.server.listen.ip().is_loopback() {
            return Err(ConfigError::new(
                "auth.anonymous",
                format!(
                    "true is for a loopback address only, and `server.listen` is {}: anybody in the \
                     network could speak as anybody; set it to false, or listen on 127.0.0.1",
                    self.server.listen
                ),
            ));
        }
        if self.outbox.enabled == Some(false) && self.reads_outbox() {
            return Err(ConfigError::new(
                "outbox.enabled",
                "false leaves nothing to read for `feed.enabled`, `webhooks.endpoints` and \
                 `wechat.subscribe.template_id`; leave it unset, or have none of them",
            ));
        }
        if self.wechat.secret.is_empty() != self.wechat.appid.is_empty() {
            return Err(ConfigError::new(
                "wechat.appid",
                "`wechat.appid` and `wechat.secret` belong together; set both or none",
            ));
        }
        self.check_jwt()?;
        if self.auth.usersig.app_id.is_some() == self.auth.usersig.secret.is_empty() {
            return Err(ConfigError::new(
                "auth.usersig.app_id",
                "`auth.usersig.app_id` and `auth.usersig.secret` belong together; set both or none",
            ));
        }
        let hook = &self.hooks.before_send;
        if hook.url.is_some() {
            SigningKey::parse(hook.secret.reveal())
                .map_err(|error| ConfigError::new("hooks.before_send.secret", error))?;
        }
        self.check_mini_programs()?;
        self.check_subscribe()?;
        self.check_push()
    }

    fn check_subscribe(&self) -> Result<(), ConfigError> {
        let subscribe = &self.wechat.subscribe;
        match (&subscribe.template_id, subscribe.fields.is_empty()) {
            (None, false) => Err(ConfigError::new(
                "wechat.subscribe.template_id",
                "`wechat.subscribe.fields` are those of a template; set its id, or have none",
            )),
            (Some(_), true) => Err(ConfigError::new(
                "wechat.subscribe.fields",
                "a template has fields, and WeChat refuses a message without them; say what they \
                 hold",
            )),
            (Some(_), false) if !self.wechat_login() => Err(ConfigError::new(
                "wechat.subscribe.template_id",
                "a template is one of a mini program; set `wechat.appid` and `wechat.secret`",
            )),
            _ => Ok(()),
        }
    }

    fn check_push(&self) -> Result<(), ConfigError> {
        let wechat = &self.wechat;
        let checks_media = self.moderation.wechat_media != WechatMedia::Off;
        if checks_media && wechat.mini_programs().is_empty() {
            let problem =
                "WeChat checks for mini programs alone; set `wechat.appid` and `wechat.secret`";
            return Err(ConfigError::new("moderation.wechat_media", problem));
        }
        if !wechat.push_aes_key.is_empty() {
            AesKey::parse(wechat.push_aes_key.reveal())
                .map_err(|error| ConfigError::new("wechat.push_aes_key", error))?;
        }
        if !wechat.push_token.is_empty() && wechat.mini_programs().is_empty() {
            let problem = "there is no mini program to push anything; set `wechat.appid`";
            return Err(ConfigError::new("wechat.push_token", problem));
        }
        for (key, is_set) in [
            ("wechat.push_aes_key", !wechat.push_aes_key.is_empty()),
            ("wechat.forward_url", wechat.forward_url.is_some()),
        ] {
            if is_set && wechat.push_token.is_empty() {
                let problem = "it needs the token of the message push; set `wechat.push_token`";
                return Err(ConfigError::new(key, problem));
            }
        }
        Ok(())
    }

    fn check_jwt(&self) -> Result<(), ConfigError> {
        let Jwt { issuer, audience, algorithms, jwks_url, keys } = &self.auth.jwt;
        let has_keys = jwks_url.is_some() || !keys.is_empty();
        let parts = [
            ("auth.jwt.issuer", !issuer.is_empty()),
            ("auth.jwt.audience", !audience.is_empty()),
            ("auth.jwt.algorithms", !algorithms.is_empty()),
            ("auth.jwt.jwks_url", has_keys),
        ];
        if parts.iter().any(|(_, is_set)| *is_set)
            && let Some((key, _)) = parts.iter().find(|(_, is_set)| !is_set)
        {
            return Err(ConfigError::new(
                key,
                "`auth.jwt` needs all of `issuer`, `audience`, `algorithms`, and `keys` or \
                 `jwks_url`; set them all or none",
            ));
        }
        Ok(())
    }

    fn check_mini_programs(&self) -> Result<(), ConfigError> {
        let apps = self.wechat.mini_programs();
        for (place, app) in apps.iter().enumerate() {
            if app.appid.is_empty() || app.secret.is_empty() {
                let problem = "a mini program has no appid or no secret; set both of each";
                return Err(ConfigError::new("wechat.apps", problem));
            }
            if apps[..place].iter().any(|before| before.appid == app.appid) {
                let problem = format!("the mini program {} stands twice; set it once", app.appid);
                return Err(ConfigError::new("wechat.apps", problem));
            }
        }
        Ok(())
    }
}
