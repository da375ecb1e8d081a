//! What goes wrong with Redis, in words that hold neither the URL nor the password.

use std::borrow::Cow;

use deadpool_redis::PoolError;
use redis::RedisError;
use tokio::time::error::Elapsed;

/// The reason for which a call or a connection failed, for logs and health.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Trouble(Cow<'static, str>);

impl From<&'static str> for Trouble {
    fn from(words: &'static str) -> Self {
        Self(words.into())
    }
}

impl From<Elapsed> for Trouble {
    fn from(_: Elapsed) -> Self {
        "no answer in time".into()
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return "no answer in time".into();
        }
        match error.clone().into_server_errors().as_deref() {
            // Other codes say enough, and their details name the script: one cause would have many words.
            Some([(_, error), ..]) if error.code() == "ERR" => {
                Self(format!("Redis answers ERR {}", error.details().unwrap_or_default()).into())
            }
            Some([(_, error), ..]) => Self(format!("Redis answers {}", error.code()).into()),
            // The driver's own words name no address.
            _ => Self(error.to_string().into()),
        }
    }
}

impl From<PoolError> for Trouble {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => "no connection in time".into(),
            _ => "no connection".into(),
        }
    }
}

/// The code of the error that the server answered, such as `OOM`; `None` if it answered none.
pub(super) fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

/// Whether a server that answers this error cannot be written to because the master is elsewhere.
pub(crate) fn is_of_no_master(error: &RedisError) -> bool {
    code(error).is_some_and(|code| names_no_master(&code))
}

/// The same for the error's code.
pub(super) fn names_no_master(code: &str) -> bool {
    matches!(code, "READONLY" | "MASTERDOWN")
}
