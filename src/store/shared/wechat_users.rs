//! What WeChat calls the users.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::Db;
use crate::{
    domain::{OpenId, UserId, WechatUser},
    store::{StoreError, WechatUsers},
};

#[async_trait]
impl WechatUsers for Db {
    async fn wechat_users(&self, user: UserId) -> Result<Vec<WechatUser>, StoreError> {
        let query = sqlx::query_as(
            "SELECT provider, subject FROM identities
             WHERE user_id = $1 AND (provider = 'wechat' OR provider LIKE 'wechat:%')",
        )
        .bind(user);
        let rows: Vec<(String, String)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        let users = rows.iter().map(|(provider, subject)| WechatUser {
            appid: provider.strip_prefix("wechat:").map(Into::into),
            openid: OpenId::new(subject),
        });
        Ok(users.collect())
    }
}
