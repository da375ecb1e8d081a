//! How one Redis instance is reached: with every wait timed, and no password in any message.

use std::{sync::Arc, time::Duration};

use deadpool_redis::{Manager, Pool, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};
use url::Url;

use crate::instances::{self, Instance, connection_info, trouble};

/// How many connections read at a time.
const READERS: usize = 8;

/// One instance.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    readers: Pool,
    /// How long Redis may take to accept a connection, or to answer.
    answer: Duration,
    /// What all links to it know together.
    pub(super) instance: Arc<Instance>,
}

impl Link {
    /// A way to this instance, not connected yet. The refusal says nothing of the URL.
    pub(super) fn new(
        url: &Url,
        instance: Arc<Instance>,
        answer: Duration,
    ) -> Result<Self, String> {
        let info = connection_info(url)?;
        let words = |error: RedisError| trouble(&error).into_owned();
        let client = Client::open(info.clone()).map_err(words)?;
        let manager = Manager::new_with_config(info, config(answer)).map_err(words)?;
        let readers = Pool::builder(manager)
            .max_size(READERS)
            .timeouts(Timeouts { wait: Some(answer), create: Some(answer), recycle: Some(answer) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, readers, answer, instance })
    }

    /// A connection from those for reading.
    pub(super) async fn reader(&self) -> Result<deadpool_redis::Connection, Trouble> {
        self.readers.retain(|_, metrics| self.instance.is_current(metrics.created));
        Ok(self.readers.get().await?)
    }

    /// A connection of its own, to write in order.
    pub(super) async fn writer(&self) -> Result<MultiplexedConnection, Trouble> {
        let config = config(self.answer);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        Ok(self.within(connecting).await??)
    }

    /// A connection of its own, for a subscription.
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(String);

impl Trouble {
    /// An answer that none of the scripts gives.
    pub(super) fn strange() -> Self {
        Self("an answer of another form".to_owned())
    }
}

impl From<instances::Trouble> for Trouble {
    fn from(trouble: instances::Trouble) -> Self {
        Self(trouble.into_owned())
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        match instances::code(&error) {
            Some(code) => Self(format!("Redis answers {code}")),
            None => Self(error.category().to_owned()),
        }
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
