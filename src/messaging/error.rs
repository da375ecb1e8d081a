//! Errors of the use cases.

use crate::{
    limits::Refused,
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
    /// It was done too often.
    #[error(transparent)]
    Limited(#[from] Refused),
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

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(fault) => fault,
            Error::Store(error) => error.into(),
            Error::Limited(refused) => refused.into(),
            Error::Append(error) => error.into(),
            Error::Presence(error) => error.into(),
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
