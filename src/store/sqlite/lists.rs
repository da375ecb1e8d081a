//! Lists as one parameter.

use serde_json::Value;

/// Ids as one parameter, which statements unfold with `json_each`: SQLite has no arrays, and a
/// statement for each element is a trip to the connection's thread for each.
pub(super) fn ids<'a, T: Copy + Into<i64> + 'a>(ids: impl IntoIterator<Item = &'a T>) -> String {
    list(ids.into_iter().map(|&id| Value::from(id.into())))
}

/// Tuples or other values as one parameter. JSON carries every text without U+0000 unchanged.
pub(super) fn list(values: impl Iterator<Item = Value>) -> String {
    Value::Array(values.collect()).to_string()
}
