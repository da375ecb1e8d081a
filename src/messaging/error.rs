//! What can go wrong with what a user does, and what the user is told of it.

use crate::{
    presence::PresenceError,
    protocol::fault::{Code, Fault},
    store::{StoreError, batcher::AppendError},
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client is to blame, or to wait.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// The database is to blame.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chat was not committed, or it is not known.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The register of who is online is to blame.
    #[error(transparent)]
    Presence(#[from] PresenceError),
}

/// Tells the client, and logs what the client is not told: this is where such errors end.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(fault) => fault,
            Error::Store(error) => error.into(),
            Error::Append(AppendError::Overloaded) => {
                Self::unavailable("too many chats are waiting to be committed")
            }
            Error::Append(AppendError::Unavailable) => Self::unavailable(
                "whether the chat was committed is not known; repeat it with the same clientMsgId",
            ),
            Error::Append(error @ AppendError::Rejected) => {
                tracing::error!(%error, "chat refused by the database");
                Self::internal()
            }
            Error::Presence(error) => {
                tracing::warn!(%error, "answered as unavailable");
                Self::unavailable("presence is away")
            }
        }
    }
}

/// The fault of a user who is not there.
pub fn user_not_found() -> Fault {
    Fault::new(Code::UserNotFound, "there is no user with this id")
}

/// The fault of a conversation that is not there, or not one's own: no one can tell which.
pub fn conversation_not_found() -> Fault {
    Fault::new(Code::ConversationNotFound, "you have no conversation with this id")
}
