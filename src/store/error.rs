//! What an error of a driver means to a caller of the store, as far as all databases agree.

use std::{io, sync::Arc};

use sqlx::{Error as E, error::DatabaseError};

use crate::{
    coalescer::{BatchError, Unanswered},
    domain::UserId,
};

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached, was too busy or did not answer in time. Whether a write
    /// was committed is unknown; repeating it is safe wherever the method says so.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused a value. Nothing was written.
    #[error("the database refused a value: {0}")]
    Rejected(#[source] sqlx::Error),
    /// The database holds what it must not, such as a timeline with a hole.
    #[error("the database is not consistent: {0}")]
    Corrupt(String),
    /// The database is not one that can be used, whatever is tried later.
    #[error("the database cannot be used: {0}")]
    Unsuitable(String),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl From<Unanswered> for StoreError {
    fn from(unanswered: Unanswered) -> Self {
        Self::Unavailable(match unanswered {
            Unanswered::QueueFull | Unanswered::TimedOut => E::PoolTimedOut,
            Unanswered::Stopped => E::PoolClosed,
        })
    }
}

/// A database that is away is away for all calls of a batch.
impl BatchError for StoreError {
    fn for_each_call(self, calls: usize) -> Option<Vec<Self>> {
        let Self::Unavailable(error) = self else { return None };
        let error = Arc::new(error);
        let for_one = |_| Self::Unavailable(E::Io(io::Error::other(Arc::clone(&error))));
        Some((0..calls).map(for_one).collect())
    }
}

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
pub(super) fn nobody(user: UserId) -> StoreError {
    StoreError::Rejected(E::InvalidArgument(format!("there is no user {user}")))
}
