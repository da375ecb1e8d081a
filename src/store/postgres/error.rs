//! What Postgres's error codes mean. <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use sqlx::error::DatabaseError;

use crate::store::{
    StoreError,
    error::{self, Meaning},
};

pub(super) fn classify(error: sqlx::Error) -> StoreError {
    error::classify(error, meaning)
}

fn meaning(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().unwrap_or_default();
    match (code.get(..2).unwrap_or_default(), code.as_ref()) {
        // A value that is none, a constraint, a limit such as the size of an index entry.
        ("22" | "23" | "54", _) => Meaning::Refusal,
        // A right that is missing can be given.
        (_, "42501") => Meaning::Trouble,
        // A statement that this schema does not know, or pages that cannot be read.
        ("42" | "XX", _) => Meaning::Damage,
        // Connections, resources, locks, deadlocks, serialization, time-outs, an operator's stop, a
        // server that only reads.
        _ => Meaning::Trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Coded(&'static str);

    impl std::fmt::Display for Coded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn only_a_refusal_blames_the_chat() {
        let meaning = |code| classify(sqlx::Error::Database(Box::new(Coded(code))));
        for code in ["22021", "22003", "23505", "23514", "23503", "54000"] {
            assert!(matches!(meaning(code), StoreError::Rejected(_)), "{code}");
        }
        for code in [
            "08006", "25006", "25P03", "40001", "40P01", "42501", "53100", "53300", "55P03",
            "57014", "57P01", "57P03",
        ] {
            assert!(matches!(meaning(code), StoreError::Unavailable(_)), "{code}");
        }
        for code in ["42P01", "42703", "XX001"] {
            assert!(matches!(meaning(code), StoreError::Corrupt(_)), "{code}");
        }
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(matches!(classify(error), StoreError::Unavailable(_)));
        }
    }
}
