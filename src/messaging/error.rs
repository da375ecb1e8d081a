//! Errors of the use cases, and what clients are told of them.

use crate::{
    presence::PresenceError,
    protocol::fault::{ApiError, ErrorCode},
    store::{StoreError, batcher::AppendError},
};

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused, for good or for now.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chat was not committed, or whether it was is not known.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The register of who is online failed.
    #[error(transparent)]
    Presence(#[from] PresenceError),
}

/// What the client is told. Logs the rest: this is where such errors end.
impl From<Error> for ApiError {
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

/// There is no such user.
pub fn user_not_found() -> ApiError {
    ApiError::new(ErrorCode::UserNotFound, "there is no user with this id")
}

/// There is no such conversation, or it is not the user's: the answer is the same.
pub fn conversation_not_found() -> ApiError {
    ApiError::new(ErrorCode::ConversationNotFound, "you have no conversation with this id")
}
