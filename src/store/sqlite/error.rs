//! What an error of the driver means to a caller of the store.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::store::StoreError;

// https://www.sqlite.org/rescode.html
const SQLITE_ERROR: i64 = 1;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_TOOBIG: i64 = 18;
const SQLITE_CONSTRAINT: i64 = 19;
const SQLITE_MISMATCH: i64 = 20;
const SQLITE_NOTADB: i64 = 26;

/// Sorts an error. None of the messages that are kept carries a value of a row.
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    match error {
        E::Database(ref cause) if is_refusal(cause.as_ref()) => StoreError::Rejected(error),
        E::Database(ref cause) if is_damage(cause.as_ref()) => {
            StoreError::Corrupt(cause.to_string())
        }
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
    sqlx::Error::Decode(what.into().into())
}

fn is_refusal(error: &dyn DatabaseError) -> bool {
    !matches!(error.kind(), ErrorKind::Other)
        || matches!(result_code(error), SQLITE_CONSTRAINT | SQLITE_TOOBIG | SQLITE_MISMATCH)
}

/// `SQLITE_ERROR` is a statement that this schema does not know: not this program's database.
fn is_damage(error: &dyn DatabaseError) -> bool {
    matches!(result_code(error), SQLITE_ERROR | SQLITE_CORRUPT | SQLITE_NOTADB)
}

/// The primary result code; the driver reports extended ones, which have it in their lowest byte.
fn result_code(error: &dyn DatabaseError) -> i64 {
    error.code().and_then(|code| code.parse::<i64>().ok()).map_or(0, |code| code & 0xff)
}
