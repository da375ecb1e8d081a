//! Lists as the arrays that statements take.

/// Ids as one parameter.
pub(super) fn ids<'a, T: Copy + Into<i64> + 'a>(ids: impl IntoIterator<Item = &'a T>) -> Vec<i64> {
    ids.into_iter().map(|&id| id.into()).collect()
}
