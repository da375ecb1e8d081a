//! Which settings cannot work together.

use super::{BusKind, ConfigError, DatabaseUrl, Settings};

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
        if self.wechat.secret.is_empty() != self.wechat.appid.is_empty() {
            return Err(ConfigError::new(
                "wechat.appid",
                "`wechat.appid` and `wechat.secret` belong together; set both or none",
            ));
        }
        Ok(())
    }
}
