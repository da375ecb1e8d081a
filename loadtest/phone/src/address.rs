//! Whom a chat goes to, as one number: a user's id, or that of a group's conversation made negative. So a
//! book's entry stays as small as it is.

/// A group as a target.
pub fn of_group(conversation: i64) -> i64 {
    conversation.wrapping_neg()
}

/// The conversation of a group; `None` if the target is a user.
pub fn group_of(target: i64) -> Option<i64> {
    (target < 0).then(|| target.wrapping_neg())
}
