//! What sends a message.

use std::fmt;

use async_trait::async_trait;

use crate::domain::{TemplateId, WechatUser};

/// A message to one user.
pub struct SubscribeMessage {
    /// The user, in the mini program whose template it is.
    pub user: WechatUser,
    /// Which template it fills in.
    pub template: TemplateId,
    /// The page that it opens, with its query.
    pub page: String,
    /// The fields of the template with their values.
    pub data: Vec<(String, String)>,
}

/// What people write never reaches a log.
impl fmt::Debug for SubscribeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeMessage").field("template", &self.template).finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// The user lets nothing be sent, or nothing more.
    #[error("the user takes no such message")]
    Refused,
    /// The mini program has no such user.
    #[error("the mini program has no such user")]
    UserUnknown,
    /// The template, one of its fields or the page is not as the settings say.
    #[error("WeChat refuses the template, a field or the page; see wechat.subscribe")]
    BadTemplate,
    /// WeChat takes no more messages for a while.
    #[error("WeChat takes no more messages for a while")]
    Quota,
    /// WeChat was not reached, or has said that it has not sent it.
    #[error("WeChat was not reached")]
    NotSent,
    /// WeChat has not answered. It may have been sent.
    #[error("WeChat has not answered")]
    Unclear,
}

/// Sends messages.
#[async_trait]
pub trait SubscribeSender: Send + Sync {
    /// Sends a message once: it does not try again after [`SendFault::Unclear`].
    async fn send(&self, message: &SubscribeMessage) -> Result<(), SendFault>;
}
