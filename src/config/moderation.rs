//! Settings of the machines that check what people write.

use std::path::PathBuf;

use serde::Deserialize;

use super::values::list;

/// Machines that check what people write.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// Files with words that must not be shown.
    #[serde(deserialize_with = "list")]
    pub words: Vec<PathBuf>,
}
