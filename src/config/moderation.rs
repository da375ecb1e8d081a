//! Settings of the machines that check what people write.

use std::path::PathBuf;

use serde::Deserialize;

use super::values::{list, within};
use crate::domain::{OnFailure, OnReview};

/// Machines that check what people write.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// Files with words that must not be shown.
    #[serde(deserialize_with = "list")]
    pub words: Vec<PathBuf>,
    /// Whether WeChat checks texts.
    pub wechat_text: bool,
    /// What becomes of a text that somebody is to look at.
    pub on_review: OnReview,
    /// What becomes of a text that cannot be checked.
    pub on_unchecked: OnFailure,
    /// What becomes of a text about which there is no answer.
    pub on_failure: OnFailure,
    /// Most questions of a replica in a minute.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub wechat_per_min: u32,
    /// Whether WeChat checks pictures and voice messages.
    pub wechat_media: WechatMedia,
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
