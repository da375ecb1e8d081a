//! What an error of a driver means to a caller of the store, as far as all databases agree, and what a
//! client is told of it.

use sqlx::{Error as E, error::DatabaseError};

use super::StoreError;
use crate::{domain::UserId, protocol::fault::Fault};

/// What a database means by an error of its own.
pub(super) enum Meaning {
    /// It does not take a value.
    Refusal,
    /// It does not hold what it should.
    Damage,
    /// It could not do it now.
    Trouble,
}

/// Sorts an error; `meaning` sorts those of the database itself.
///
/// What is kept of a refusal is its message and code. The rest of it may quote the row.
pub(super) fn classify(
    error: sqlx::Error,
    meaning: impl FnOnce(&dyn DatabaseError) -> Meaning,
) -> StoreError {
    match error {
        E::Database(cause) => match meaning(cause.as_ref()) {
            Meaning::Refusal => {
                let code = cause.code().unwrap_or_default();
                let what = format!("{} ({code})", cause.message());
                StoreError::Rejected(E::InvalidArgument(what))
            }
            Meaning::Damage => StoreError::Corrupt(cause.message().to_owned()),
            Meaning::Trouble => StoreError::Unavailable(E::Database(cause)),
        },
        E::Encode(_) | E::InvalidArgument(_) => StoreError::Rejected(error),
        E::Decode(cause) => StoreError::Corrupt(cause.to_string()),
        E::ColumnDecode { .. }
        | E::ColumnNotFound(_)
        | E::ColumnIndexOutOfBounds { .. }
        | E::TypeNotFound { .. }
        | E::RowNotFound => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error),
    }
}

/// An error that [`classify`] makes [`StoreError::Corrupt`].
pub(super) fn corrupt(what: impl Into<String>) -> sqlx::Error {
    E::Decode(what.into().into())
}

/// The refusal of a row for a user who does not exist or was erased.
pub(super) fn nobody(user: UserId) -> sqlx::Error {
    E::InvalidArgument(format!("there is no user {user}"))
}

/// Tells the client, and logs what the client is not told: this is where such errors end.
impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "answered as unavailable");
                Self::unavailable("the database is away")
            }
            StoreError::Rejected(_)
            | StoreError::Corrupt(_)
            | StoreError::Unsuitable(_)
            | StoreError::Migrate(_) => {
                tracing::error!(%error, "answered as an internal error");
                Self::internal()
            }
        }
    }
}
