//! The contract about what WeChat calls the users.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{UserId, WechatUser};

/// What WeChat calls the users.
#[async_trait]
pub trait WechatUsers {
    /// What it calls this user in each mini program where the user has logged in, in no order; nothing of a user
    /// who does not exist.
    async fn wechat_users(&self, user: UserId) -> Result<Vec<WechatUser>, StoreError>;
}
