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
}
