//! What was read back of one user.

use super::book::Seen;
use crate::wire::Line;

/// What a user has in the end, read back in the order of the timeline, with the numbers where there are
/// such. One a user.
///
/// It has everything after the cursor at which the first book of the user began: chats of other runs
/// too, and with [`Key::UNREADABLE`](super::Key::UNREADABLE) what has no key, since a number that is left out is a gap. What
/// stands before that cursor may be there or not. Chats of other runs are not judged, but phones that
/// were up have been shown them.
///
/// It is as it was when the load was over: what was recalled before says nothing, unless it is early.
#[derive(Debug, Default)]
pub struct Timeline {
    pub user: i64,
    pub events: Vec<(Option<i64>, Seen)>,
    /// What its [`Key::LINE`](super::Key::LINE)s say.
    pub lines: Vec<Line>,
    /// How many of the events were read while the load went on. Whoever left before a recall is not told of it, so these
    /// may have the words of what was recalled after they were read.
    pub early: usize,
}
