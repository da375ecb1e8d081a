//! Gathers questions of one kind that wait at the same time, and asks them together: when a replica
//! dies, all its clients come to the others at once, and each would ask the same few things.
//!
//! A question that finds nothing under way is asked at once. An answer is never older than its
//! question: it is read after the question came.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{CONNECTIONS, WORK_TIMEOUT, pool::ACQUIRE_TIMEOUT};
use crate::store::StoreError;

/// How many statements of one kind are under way at a time, so that one that hangs does not stop the
/// others, and all kinds together leave connections to other work.
const AT_ONCE: usize = CONNECTIONS / 5;

/// The most questions of one statement.
const BATCH: usize = 500;

/// The most questions that wait. More are refused: they would only wait to time out.
const QUEUE: usize = 8_192;

/// How long the answer to a question that was asked may take: a connection, and the statement.
const ANSWER_WAIT: Duration = ACQUIRE_TIMEOUT.saturating_add(WORK_TIMEOUT);

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
    is_asked: Arc<AtomicBool>,
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

    /// Asks one question. It waits as long to be asked as other work does for a connection.
    pub(super) async fn ask(&self, key: K) -> Result<V, StoreError> {
        let (sender, mut answer) = oneshot::channel();
        let is_asked = Arc::new(AtomicBool::new(false));
        let question = Question { key, is_asked: Arc::clone(&is_asked), answer: sender };
        let queued = self.queue.try_send(question);
        queued.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?;
        let mut answered = timeout(ACQUIRE_TIMEOUT, &mut answer).await;
        if answered.is_err() && is_asked.load(Ordering::Relaxed) {
            answered = timeout(ANSWER_WAIT, answer).await;
        }
        match answered {
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
        for question in &batch {
            question.is_asked.store(true, Ordering::Relaxed);
        }
        let ask = Arc::clone(&ask);
        tokio::spawn(async move {
            answer(batch, &*ask).await;
            drop(permit);
        });
    }
}

async fn answer<K: Clone, V>(mut batch: Vec<Question<K, V>>, ask: &Ask<K, V>) {
    if batch.len() > 1 {
        let keys = batch.iter().map(|question| question.key.clone()).collect();
        match ask(keys).await {
            Ok(answers) => {
                for (question, answer) in batch.drain(..).zip(answers) {
                    let _ = question.answer.send(Ok(answer));
                }
            }
            Err(StoreError::Unavailable(error)) => {
                let error = Arc::new(error);
                for question in batch.drain(..) {
                    let error = std::io::Error::other(Arc::clone(&error));
                    let _ = question.answer.send(Err(StoreError::Unavailable(error.into())));
                }
            }
            // One of them is to blame, and alone is to hear of it.
            Err(_) => {}
        }
    }
    for Question { key, answer, .. } in batch {
        let asked = ask(vec![key]).await;
        let answered = asked.and_then(|mut answers| {
            answers.pop().ok_or_else(|| StoreError::Corrupt("no answer".to_owned()))
        });
        let _ = answer.send(answered);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};
    use parking_lot::Mutex;
    use tokio::{task::JoinHandle, time::Instant};

    use super::*;

    /// Answers a number by its double, refuses 13, and is away for 99.
    struct Doubling {
        gather: Gather<u32, u32>,
        /// What was asked together.
        asked: Arc<Mutex<Vec<Vec<u32>>>>,
        /// Each statement takes one.
        permits: Arc<Semaphore>,
    }

    impl Doubling {
        fn new() -> Self {
            let (asked, permits) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Semaphore::new(0)));
            let (noted, taken) = (Arc::clone(&asked), Arc::clone(&permits));
            let gather = Gather::new(move |keys: Vec<u32>| {
                noted.lock().push(keys.clone());
                let taken = Arc::clone(&taken);
                async move {
                    taken.acquire().await.unwrap().forget();
                    if keys.contains(&99) {
                        return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut));
                    }
                    if keys.contains(&13) {
                        return Err(StoreError::Corrupt("13".to_owned()));
                    }
                    Ok(keys.into_iter().map(|key| 2 * key).collect())
                }
                .boxed()
            });
            Self { gather, asked, permits }
        }

        /// Asks all of these at the same time, and returns when they wait.
        async fn ask(&self, keys: &[u32]) -> JoinHandle<Vec<String>> {
            let ask = |key| {
                let gather = self.gather.clone();
                async move {
                    match gather.ask(key).await {
                        Ok(answer) => answer.to_string(),
                        Err(StoreError::Unavailable(_)) => "away".to_owned(),
                        Err(error) => error.to_string(),
                    }
                }
            };
            let asking = tokio::spawn(join_all(keys.iter().copied().map(ask)));
            tokio::time::sleep(Duration::from_millis(1)).await;
            asking
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_together_is_asked_together() {
        let doubling = Doubling::new();
        let waiting = [
            doubling.ask(&[1]).await,
            doubling.ask(&[2]).await,
            doubling.ask(&[3, 4]).await,
            doubling.ask(&[5]).await,
        ];
        assert_eq!(*doubling.asked.lock(), [vec![1], vec![2]]);
        doubling.permits.add_permits(10);
        let answers = join_all(waiting).await.into_iter().flat_map(Result::unwrap);
        assert_eq!(answers.collect::<Vec<_>>(), ["2", "4", "6", "8", "10"]);
        assert_eq!(*doubling.asked.lock(), [vec![1], vec![2], vec![3, 4, 5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_to_blame_fails_alone() {
        let doubling = Doubling::new();
        doubling.permits.add_permits(20);
        let answers = doubling.ask(&[6, 13, 7]).await.await.unwrap();
        assert_eq!((answers[0].as_str(), answers[2].as_str()), ("12", "14"));
        assert!(answers[1].contains("13"), "{answers:?}");
        // A database that is away is so for all, and not asked for each.
        doubling.asked.lock().clear();
        assert_eq!(doubling.ask(&[98, 99, 97]).await.await.unwrap(), ["away"; 3]);
        assert_eq!(*doubling.asked.lock(), [vec![98, 99, 97]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_database_is_waited_for_in_time() {
        let doubling = Doubling::new();
        let begun = Instant::now();
        let hanging = [doubling.ask(&[0]).await, doubling.ask(&[1]).await];
        // Behind those that hang nobody waits for long.
        assert_eq!(doubling.ask(&[2, 3]).await.await.unwrap(), ["away"; 2]);
        assert!(begun.elapsed() < ACQUIRE_TIMEOUT + Duration::from_millis(10));
        for hanging in hanging {
            assert_eq!(hanging.await.unwrap(), ["away"]);
        }
        assert!(begun.elapsed() > ANSWER_WAIT && begun.elapsed() < 2 * ANSWER_WAIT);
        // Nobody is asked for who has gone meanwhile.
        doubling.permits.add_permits(10);
        assert_eq!(doubling.ask(&[6]).await.await.unwrap(), ["12"]);
        assert_eq!(*doubling.asked.lock(), [[0], [1], [6]]);
    }
}
