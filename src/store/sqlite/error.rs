//! What SQLite's result codes mean. <https://www.sqlite.org/rescode.html>

use sqlx::error::{DatabaseError, ErrorKind};

use crate::store::{
    StoreError,
    error::{self, Meaning},
};

const SQLITE_ERROR: i64 = 1;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_TOOBIG: i64 = 18;
const SQLITE_CONSTRAINT: i64 = 19;
const SQLITE_MISMATCH: i64 = 20;
const SQLITE_NOTADB: i64 = 26;

pub(super) fn classify(error: sqlx::Error) -> StoreError {
    error::classify(error, meaning)
}

fn meaning(error: &dyn DatabaseError) -> Meaning {
    match result_code(error) {
        _ if !matches!(error.kind(), ErrorKind::Other) => Meaning::Refusal,
        SQLITE_CONSTRAINT | SQLITE_TOOBIG | SQLITE_MISMATCH => Meaning::Refusal,
        // SQLITE_ERROR is a statement that this schema does not know: not this program's database.
        SQLITE_ERROR | SQLITE_CORRUPT | SQLITE_NOTADB => Meaning::Damage,
        _ => Meaning::Trouble,
    }
}

/// The primary result code; the driver reports extended ones, which have it in their lowest byte.
fn result_code(error: &dyn DatabaseError) -> i64 {
    error.code().and_then(|code| code.parse::<i64>().ok()).map_or(0, |code| code & 0xff)
}
