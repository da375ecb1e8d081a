//! Checks of what users write and send: what a checker may say, whoever it is.

pub mod names;
pub mod notes;
pub mod texts;
pub mod words;

use std::fmt;

use async_trait::async_trait;

use crate::domain::UserId;

/// What a checker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// It may be shown.
    Pass,
    /// Somebody is to look at it.
    Review,
    /// It must not be shown.
    Risky,
}

/// Why a checker said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchecked {
    /// It cannot check this: it does not know the user, or not the format.
    #[error("the checker cannot check this")]
    Unable,
    /// It may be asked no more for a while.
    #[error("the checker may be asked no more for a while")]
    OutOfQuota,
    /// It did not answer in time, or answered what nobody understands.
    #[error("the checker did not answer")]
    Failed,
}

/// Where a text will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A chat, with the text of a card.
    Chat,
    /// The name of a user.
    Name,
    /// The title of a group.
    Title,
}

/// A text to be checked.
#[derive(Clone)]
pub struct Text {
    /// Who wrote it.
    pub author: UserId,
    /// Where it will stand.
    pub place: Place,
    /// The words.
    pub words: String,
}

/// What people write never reaches a log.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("author", &self.author).finish_non_exhaustive()
    }
}

/// Checks texts before anybody else reads them.
///
/// - **Time.** Whoever calls waits for 1.5 s at most, and then drops the call.
/// - **Size.** A text has [`texts::MAX_CHARS`] at most.
/// - **Concurrency.** May be called many times at once; whoever calls bounds that, and how often in a minute
///   ([`texts::TextChecks`]).
/// - **Repeats.** It remembers nothing: whoever calls asks once for each chat.
/// - **Cancellation.** May be dropped at any time.
#[async_trait]
pub trait TextCheck: Send + Sync {
    /// What is to be thought of a text.
    async fn check(&self, text: &Text) -> Result<Suggestion, Unchecked>;
}
