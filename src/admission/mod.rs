//! Whether a chat may be sent: the one door that every send goes through, and its rules.
//!
//! The [`Door`] asks its rules about a chat. A chat that passes all of them becomes an [`Admitted`],
//! which only the door can make, and `messaging` commits nothing else.

mod checked_media;
mod decided;
mod deciders;
mod door;
mod limits;
mod may_write;
mod media;
mod strangers;
mod words;

use async_trait::async_trait;

use crate::{protocol::fault::ApiError, store::NewChat};

pub use checked_media::{CheckedMedia, NOT_SHOWN};
pub use decided::Decided;
pub use deciders::{BeforeSend, Decider, Deciders, HookClient, Opinion, TextDecider};
pub use door::{ADMISSION_WAIT, Admitted, Door};
pub use limits::SendLimit;
pub use may_write::MayWrite;
pub use media::ShownMedia;
pub use strangers::Strangers;
pub use words::Words;

/// A rule about chats, asked before one is committed.
///
/// - **Order.** A door asks its rules one after another, in the order of its list. The first refusal
///   is the answer, and the rules after it are not asked. So cheap rules stand before dear ones.
/// - **At once.** [`Door::admit`] asks before it returns, up to the first rule that must wait. What the
///   first rule does before its first await, it does in the order in which `admit` is called: on a
///   socket, the order of the frames. The rules after one that waits are asked when it has answered,
///   in no order among chats.
/// - **Concurrency.** A rule is asked about other chats while it waits for one, chats of the same sender
///   included. A socket commits its chats in the order of their frames all the same: a chat that
///   waits holds up the later chats of its socket, and nothing else.
/// - **Time.** A rule may wait. All rules together have [`ADMISSION_WAIT`] for one chat; then the door
///   drops the future and refuses the chat as `unavailable`. The future is dropped too when the client
///   of an HTTP request goes away. What must not stop halfway, such as a read of the database, runs in
///   a task of its own.
/// - **Refusal.** The client is told the fault. Nothing of a refused chat is stored, and its key is
///   free: it may be sent again with this chat or another one, and all rules are asked anew. What a
///   rule has counted stays counted.
/// - **Change.** A rule may fill in a chat or change it; the rules after it are asked about what it has left.
///   It notes first what the sender asked for, in [`NewChat::asked`]: a repeat is known by that.
/// - **Duplicates.** A rule is asked about every send, also where a chat with this key was committed
///   before.
/// - **Hold.** A rule may have a chat held back, by [`NewChat::hold`]. The rules after it are asked all the same,
///   and may refuse it. When it is released, those rules are asked whose answer may be another by then
///   ([`Rule::asks_again`]).
#[async_trait]
pub trait Rule: Send + Sync {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// Whether the release of a held chat checks this rule again.
    fn asks_again(&self) -> bool {
        false
    }

    /// Lets the chat pass, or says why not.
    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError>;
}
