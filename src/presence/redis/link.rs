//! How presence reaches one Redis instance: with every wait timed.

use std::{sync::Arc, time::Duration};

use redis::aio::{MultiplexedConnection, PubSub};

use crate::redis::{Instance, Trouble};

/// One instance.
#[derive(Clone)]
pub(super) struct Link {
    /// How long Redis may take to accept a connection, or to answer.
    answer: Duration,
    /// What all links to it know together.
    pub(super) instance: Arc<Instance>,
}

impl Link {
    /// A way to this instance, not connected yet.
    pub(super) fn new(instance: &Arc<Instance>, answer: Duration) -> Self {
        Self { answer, instance: Arc::clone(instance) }
    }

    /// A connection for reading.
    pub(super) async fn reader(&self) -> Result<deadpool_redis::Connection, Trouble> {
        self.instance.reader(self.answer).await
    }

    /// A connection of its own, to write in order.
    pub(super) async fn writer(&self) -> Result<MultiplexedConnection, Trouble> {
        self.instance.writer(self.answer).await
    }

    /// A connection of its own, for a subscription.
    pub(super) async fn listener(&self) -> Result<PubSub, Trouble> {
        self.instance.listener(self.answer).await
    }

    /// Waits as long as Redis may take.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, Trouble> {
        Ok(tokio::time::timeout(self.answer, answer).await?)
    }
}

/// An answer that none of the scripts gives.
pub(super) fn strange() -> Trouble {
    "an answer of another form".into()
}
