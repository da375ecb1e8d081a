//! How one Redis instance is reached: with every wait timed, and no password in any message.

use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime, Timeouts};
use rand::Rng;
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};

use super::ConnectError;

/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The shortest one.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// How many connections read at a time.
const READERS: usize = 8;

/// One instance.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    readers: Pool,
    /// How long Redis may take to accept a connection, or to answer.
    answer: Duration,
    /// Where it stands in the list of instances: what messages call it by.
    pub(super) number: usize,
}

impl Link {
    pub(super) fn new(url: &str, number: usize, answer: Duration) -> Result<Self, ConnectError> {
        let client = Client::open(url).map_err(|_| ConnectError::BadUrl(number))?;
        let manager = Manager::new_with_config(url, config(answer))
            .map_err(|_| ConnectError::BadUrl(number))?;
        let readers = Pool::builder(manager)
            .max_size(READERS)
            .timeouts(Timeouts { wait: Some(answer), create: Some(answer), recycle: Some(answer) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| ConnectError::BadUrl(number))?;
        Ok(Self { client, readers, answer, number })
    }

    /// A connection from those for reading.
    pub(super) async fn reader(&self) -> Result<deadpool_redis::Connection, Trouble> {
        Ok(self.readers.get().await?)
    }

    /// A connection of its own, to write in order.
    pub(super) async fn writer(&self) -> Result<MultiplexedConnection, Trouble> {
        let config = config(self.answer);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        Ok(self.within(connecting).await??)
    }

    /// A connection of its own, to hear on.
    pub(super) async fn listener(&self) -> Result<redis::aio::PubSub, Trouble> {
        Ok(self.within(self.client.get_async_pubsub()).await??)
    }

    /// Waits as long as Redis may take.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, Trouble> {
        let answer = tokio::time::timeout(self.answer, answer).await;
        answer.map_err(|_| Trouble("no answer".to_owned()))
    }
}

fn config(answer: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(answer))
        .set_response_timeout(Some(answer))
}

/// What went wrong, in words that show no address and no password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(String);

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        let mut words = error.category().to_owned();
        if let Some(code) = error.code() {
            words = format!("{words} {code}");
        }
        Self(words)
    }
}

impl From<deadpool_redis::PoolError> for Trouble {
    fn from(error: deadpool_redis::PoolError) -> Self {
        match error {
            deadpool_redis::PoolError::Backend(error) => error.into(),
            deadpool_redis::PoolError::Timeout(_) => Self("no connection in time".to_owned()),
            _ => Self("no connection".to_owned()),
        }
    }
}

/// Pauses between attempts to connect: longer and longer, and jittered, so that all replicas do not
/// come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let longest = MIN_PAUSE.saturating_mul(1 << self.failures.min(10)).min(MAX_PAUSE);
        self.failures = self.failures.saturating_add(1);
        rand::rng().random_range(longest / 2..=longest)
    }

    /// Whether nothing has worked since the last failure.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Begins anew: a connection stands.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}
