//! Gathers questions of one kind that wait at the same time, and asks them together: when a replica
//! dies, all its clients come to the others at once, and each would ask the same few things.
//!
//! A question that finds nothing under way is asked at once. An answer is never older than its
//! question: it is read after the question came.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{CONNECTIONS, WORK_TIMEOUT};
use crate::store::StoreError;

/// How many statements of one kind are under way at a time, so that one that hangs does not stop the
/// others, and all kinds together leave connections to other work.
const AT_ONCE: usize = CONNECTIONS / 5;

/// The most questions of one statement.
const BATCH: usize = 500;

/// The most questions that wait. More are refused: they would only wait to time out.
const QUEUE: usize = 8_192;

/// How long a question waits for its answer: behind a statement that hangs, and for its own.
const PATIENCE: Duration = WORK_TIMEOUT.saturating_mul(2);

/// The way to ask questions `K`, whose answers are `V`. Clones ask together.
pub(super) struct Gather<K, V> {
    queue: mpsc::Sender<Question<K, V>>,
}

impl<K, V> Clone for Gather<K, V> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

struct Question<K, V> {
    key: K,
    answer: oneshot::Sender<Result<V, StoreError>>,
}

/// Asks for all of these; the answers are in the order of the keys.
type Ask<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<V>, StoreError>> + Send + Sync;

impl<K: Clone + Send + 'static, V: Send + 'static> Gather<K, V> {
    /// Gathers for `ask` until all clones are gone.
    pub(super) fn new(
        ask: impl Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<V>, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        let (queue, questions) = mpsc::channel(QUEUE);
        tokio::spawn(run(questions, Arc::new(ask)));
        Self { queue }
    }

    /// Asks one question.
    pub(super) async fn ask(&self, key: K) -> Result<V, StoreError> {
        let (sender, answer) = oneshot::channel();
        let asked = self.queue.try_send(Question { key, answer: sender });
        asked.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            // It panicked, or the runtime is going down.
            Ok(Err(_)) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }
}

async fn run<K: Clone + Send + 'static, V: Send + 'static>(
    mut questions: mpsc::Receiver<Question<K, V>>,
    ask: Arc<Ask<K, V>>,
) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // First the permit: what comes while it is awaited is asked together.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let mut batch = Vec::new();
        if questions.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        // Who went away does not want to know.
        batch.retain(|question| !question.answer.is_closed());
        let ask = Arc::clone(&ask);
        tokio::spawn(async move {
            answer(batch, &*ask).await;
            drop(permit);
        });
    }
}

async fn answer<K: Clone, V>(batch: Vec<Question<K, V>>, ask: &Ask<K, V>) {
    if batch.is_empty() {
        return;
    }
    let (keys, callers): (Vec<K>, Vec<_>) =
        batch.into_iter().map(|question| (question.key, question.answer)).unzip();
    match ask(keys.clone()).await {
        Ok(answers) => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _ = caller.send(Ok(answer));
            }
        }
        Err(StoreError::Unavailable(error)) => {
            let error = Arc::new(error);
            for caller in callers {
                let error = std::io::Error::other(Arc::clone(&error));
                let _ = caller.send(Err(StoreError::Unavailable(error.into())));
            }
        }
        // One is to blame: it alone is to hear of it.
        Err(error) if keys.len() == 1 => {
            for caller in callers {
                let _ = caller.send(Err(error));
                return;
            }
        }
        Err(_) => {
            for (key, caller) in keys.into_iter().zip(callers) {
                let alone = ask(vec![key]).await;
                let answer = alone.and_then(|mut answers| {
                    answers.pop().ok_or_else(|| StoreError::Corrupt("no answer".to_owned()))
                });
                let _ = caller.send(answer);
            }
        }
    }
}
