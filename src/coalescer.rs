//! Coalesces calls of one kind: those that wait at the same time become one. When a replica dies, all its
//! clients come to the others at once, and each would ask the same few things.
//!
//! A call that finds nothing under way starts at once. Its answer is never older than the call: the work
//! starts after the call came.

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
    time::{Instant, sleep_until, timeout},
};

/// The bounds of a [`Coalescer`].
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// The most batches at work at the same time, so that one that hangs does not stop the others.
    pub at_once: usize,
    /// The least time from the start of a batch to that of the next, so that calls gather under load.
    pub apart: Duration,
    /// The most calls of one batch.
    pub batch: usize,
    /// The most calls that wait. More are refused.
    pub queue: usize,
    /// How long a call waits for its batch to start.
    pub start_within: Duration,
    /// How long a call waits for its answer after its batch started.
    pub answer_within: Duration,
}

/// For reads of the database that senders wait for. Without them a replica whose senders all come at once, as after a
/// restart, would ask a thing or two about each of them, and the database could not keep up.
pub const READS: CallLimits = CallLimits {
    at_once: 4,
    apart: Duration::ZERO,
    batch: 256,
    queue: 8_192,
    start_within: Duration::from_secs(2),
    answer_within: Duration::from_secs(2),
};

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Too many calls wait.
    QueueFull,
    /// The batch did not start, or did not end, in time.
    TimedOut,
    /// The work panicked, or the runtime is shutting down.
    Stopped,
}

/// An error of a batch, which its calls may have in common.
pub trait BatchError: From<Unanswered> + Send + 'static {
    /// The error for each of so many calls. `None`: one of the calls is to blame, so each is tried alone.
    fn for_each_call(self, calls: usize) -> Option<Vec<Self>>;
}

/// Answers calls with a key `K` by an `A` or an error `E`. Clones share one queue.
pub struct Coalescer<K, A, E> {
    queue: mpsc::Sender<Call<K, A, E>>,
    limits: CallLimits,
}

impl<K, A, E> Clone for Coalescer<K, A, E> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), limits: self.limits }
    }
}

struct Call<K, A, E> {
    key: K,
    has_started: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<A, E>>,
}

/// Answers all keys of a batch, in their order.
type Work<K, A, E> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<A>, E>> + Send + Sync;

impl<K, A, E> Coalescer<K, A, E>
where
    K: Clone + Send + 'static,
    A: Send + 'static,
    E: BatchError,
{
    /// Starts a task that calls `work` until all clones are gone. `work` gives an answer for each key.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(
        limits: CallLimits,
        work: impl Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<A>, E>> + Send + Sync + 'static,
    ) -> Self {
        let (queue, calls) = mpsc::channel(limits.queue);
        tokio::spawn(run(calls, limits, Arc::new(work)));
        Self { queue, limits }
    }

    /// Calls with one key.
    pub async fn call(&self, key: K) -> Result<A, E> {
        let (sender, mut answer) = oneshot::channel();
        let has_started = Arc::new(AtomicBool::new(false));
        let call = Call { key, has_started: Arc::clone(&has_started), answer: sender };
        self.queue.try_send(call).map_err(|_| Unanswered::QueueFull)?;
        let mut answered = timeout(self.limits.start_within, &mut answer).await;
        if answered.is_err() && has_started.load(Ordering::Relaxed) {
            answered = timeout(self.limits.answer_within, answer).await;
        }
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unanswered::Stopped.into()),
            Err(_) => Err(Unanswered::TimedOut.into()),
        }
    }
}

async fn run<K, A, E>(
    mut calls: mpsc::Receiver<Call<K, A, E>>,
    limits: CallLimits,
    work: Arc<Work<K, A, E>>,
) where
    K: Clone + Send + 'static,
    A: Send + 'static,
    E: BatchError,
{
    let permits = Arc::new(Semaphore::new(limits.at_once));
    let mut next = Instant::now();
    loop {
        // First the permit and the time: calls that come while these are awaited join the batch.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        sleep_until(next).await;
        let mut batch = Vec::new();
        if calls.recv_many(&mut batch, limits.batch).await == 0 {
            return;
        }
        next = Instant::now() + limits.apart;
        batch.retain(|call| !call.answer.is_closed());
        for call in &batch {
            call.has_started.store(true, Ordering::Relaxed);
        }
        let work = Arc::clone(&work);
        tokio::spawn(async move {
            answer(batch, &*work).await;
            drop(permit);
        });
    }
}

/// A caller that went away does not take its answer; that is no error.
async fn answer<K: Clone, A, E: BatchError>(mut batch: Vec<Call<K, A, E>>, work: &Work<K, A, E>) {
    if batch.len() > 1 {
        let answered = work(batch.iter().map(|call| call.key.clone()).collect()).await;
        let answers = match answered {
            Ok(answers) => Some(answers.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => {
                error.for_each_call(batch.len()).map(|errors| errors.into_iter().map(Err).collect())
            }
        };
        if let Some(answers) = answers {
            assert_eq!(answers.len(), batch.len(), "each call of a batch has one answer");
            for (call, answer) in batch.drain(..).zip(answers) {
                let _ = call.answer.send(answer);
            }
        }
    }
    for Call { key, answer, .. } in batch {
        let answered = work(vec![key]).await;
        let one = answered.map(|mut answers| answers.pop().expect("a call has one answer"));
        let _ = answer.send(one);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};
    use parking_lot::Mutex;
    use tokio::task::JoinHandle;

    use super::*;

    const LIMITS: CallLimits = CallLimits {
        at_once: 2,
        apart: Duration::ZERO,
        batch: 500,
        queue: 8_192,
        start_within: Duration::from_secs(2),
        answer_within: Duration::from_secs(9),
    };

    #[derive(Debug)]
    enum Refusal {
        Away,
        Unlucky(u32),
    }

    impl From<Unanswered> for Refusal {
        fn from(_: Unanswered) -> Self {
            Self::Away
        }
    }

    impl BatchError for Refusal {
        fn for_each_call(self, calls: usize) -> Option<Vec<Self>> {
            matches!(self, Self::Away).then(|| (0..calls).map(|_| Self::Away).collect())
        }
    }

    /// Answers a number by its double, refuses 13, and is away for 99.
    struct Doubling {
        coalescer: Coalescer<u32, u32, Refusal>,
        /// The keys of each batch.
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        /// Each batch takes one.
        permits: Arc<Semaphore>,
    }

    impl Doubling {
        fn new() -> Self {
            let (batches, permits) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Semaphore::new(0)));
            let (noted, taken) = (Arc::clone(&batches), Arc::clone(&permits));
            let coalescer = Coalescer::new(LIMITS, move |keys: Vec<u32>| {
                noted.lock().push(keys.clone());
                let taken = Arc::clone(&taken);
                async move {
                    taken.acquire().await.unwrap().forget();
                    if keys.contains(&99) {
                        return Err(Refusal::Away);
                    }
                    if keys.contains(&13) {
                        return Err(Refusal::Unlucky(13));
                    }
                    Ok(keys.into_iter().map(|key| 2 * key).collect())
                }
                .boxed()
            });
            Self { coalescer, batches, permits }
        }

        /// Calls with all of these at the same time, and returns when they wait.
        async fn call(&self, keys: &[u32]) -> JoinHandle<Vec<String>> {
            let call = |key| {
                let coalescer = self.coalescer.clone();
                async move {
                    match coalescer.call(key).await {
                        Ok(answer) => answer.to_string(),
                        Err(Refusal::Away) => "away".to_owned(),
                        Err(Refusal::Unlucky(key)) => format!("refused {key}"),
                    }
                }
            };
            let calling = tokio::spawn(join_all(keys.iter().copied().map(call)));
            tokio::time::sleep(Duration::from_millis(1)).await;
            calling
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_wait_together_are_one_batch() {
        let doubling = Doubling::new();
        let waiting = [
            doubling.call(&[1]).await,
            doubling.call(&[2]).await,
            doubling.call(&[3, 4]).await,
            doubling.call(&[5]).await,
        ];
        assert_eq!(*doubling.batches.lock(), [vec![1], vec![2]]);
        doubling.permits.add_permits(10);
        let answers = join_all(waiting).await.into_iter().flat_map(Result::unwrap);
        assert_eq!(answers.collect::<Vec<_>>(), ["2", "4", "6", "8", "10"]);
        assert_eq!(*doubling.batches.lock(), [vec![1], vec![2], vec![3, 4, 5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn batches_start_apart() {
        let starts = Arc::<Mutex<Vec<_>>>::default();
        let (noted, begun) = (Arc::clone(&starts), Instant::now());
        let limits = CallLimits { apart: Duration::from_millis(10), ..LIMITS };
        let coalescer = Coalescer::new(limits, move |keys: Vec<u32>| {
            noted.lock().push((begun.elapsed().as_millis(), keys.len()));
            async { Ok::<_, Refusal>(keys) }.boxed()
        });
        let call = |after: u64| {
            let coalescer = coalescer.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                coalescer.call(1).await.unwrap()
            }
        };
        // One that comes alone waits for nothing.
        join_all([0, 1, 2, 9, 35, 36].map(call)).await;
        assert_eq!(*starts.lock(), [(0, 1), (10, 3), (35, 1), (45, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_to_blame_fails_alone() {
        let doubling = Doubling::new();
        doubling.permits.add_permits(20);
        let answers = doubling.call(&[6, 13, 7]).await.await.unwrap();
        assert_eq!(answers, ["12", "refused 13", "14"]);
        // An error that all have in common is not tried again for each.
        doubling.batches.lock().clear();
        assert_eq!(doubling.call(&[98, 99, 97]).await.await.unwrap(), ["away"; 3]);
        assert_eq!(*doubling.batches.lock(), [vec![98, 99, 97]]);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_silent_work_ends() {
        let doubling = Doubling::new();
        let begun = Instant::now();
        let hanging = [doubling.call(&[0]).await, doubling.call(&[1]).await];
        // Behind those that hang nobody waits for long.
        assert_eq!(doubling.call(&[2, 3]).await.await.unwrap(), ["away"; 2]);
        assert!(begun.elapsed() < LIMITS.start_within + Duration::from_millis(10));
        for hanging in hanging {
            assert_eq!(hanging.await.unwrap(), ["away"]);
        }
        let longest = LIMITS.answer_within;
        assert!(begun.elapsed() > longest && begun.elapsed() < 2 * longest);
        // Calls whose callers went away meanwhile are left out.
        doubling.permits.add_permits(10);
        assert_eq!(doubling.call(&[6]).await.await.unwrap(), ["12"]);
        assert_eq!(*doubling.batches.lock(), [[0], [1], [6]]);
    }
}
