//! Settings of what is checked before it is shown, or after.

use serde::Deserialize;

use crate::domain::OnFailure;

/// Checks of what people send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// Whether WeChat checks pictures and voice messages.
    pub wechat_media: WechatMedia,
    /// What becomes of what WeChat cannot check.
    pub on_unchecked: OnFailure,
    /// What becomes of what WeChat says nothing about.
    pub on_failure: OnFailure,
}

/// Whether WeChat checks pictures and voice messages, and when they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WechatMedia {
    /// It does not.
    Off,
    /// They are shown at once, and recalled if they are risky.
    Recall,
    /// They are held back until they have passed.
    Hold,
}
