//! Work that keeps a processor busy for long, such as decoding pictures: one after another, on a thread that
//! comes after all others.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Instant,
};

use tokio::sync::oneshot;

/// How much work waits at most.
const QUEUE: usize = 64;

/// How much less than others the thread is given, as `nice` has it.
const NICENESS: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// The thread. It ends with the last clone.
#[derive(Clone, Debug)]
pub struct Worker(SyncSender<Work>);

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// Too much waits.
    #[error("too much waits")]
    Full,
    /// It panicked.
    #[error("it panicked")]
    Panicked,
}

impl Worker {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (queue, work) = sync_channel(QUEUE);
        std::thread::Builder::new().name("media".to_owned()).spawn(move || run(&work))?;
        Ok(Self(queue))
    }

    /// Does work on the thread, to its end, whether or not the caller waits.
    pub async fn run<T: Send + 'static>(
        &self,
        kind: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (done, answer) = oneshot::channel();
        let work = Box::new(move || {
            let begun = Instant::now();
            // Nobody may wait for it any more.
            let _ = done.send(work());
            metrics::histogram!("imserver_media_work_seconds", "kind" => kind)
                .record(begun.elapsed());
        });
        self.0.try_send(work).map_err(|_| Undone::Full)?;
        answer.await.map_err(|_| Undone::Panicked)
    }
}

fn run(work: &Receiver<Work>) {
    // Of Linux: it holds for this thread alone. Where it is not allowed the thread is like others.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    while let Ok(work) = work.recv() {
        // The hook that `telemetry` sets has logged it.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_work_alone() {
        let worker = Worker::start().unwrap();
        assert_eq!(worker.run("test", || panic!("as told")).await, Err::<(), _>(Undone::Panicked));
        assert_eq!(worker.run("test", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_not_done() {
        let worker = Worker::start().unwrap();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let first = tokio::spawn({
            let worker = worker.clone();
            async move {
                let work = move || {
                    let _ = begun.send(());
                    let _ = wait.recv();
                };
                worker.run("test", work).await
            }
        });
        begins.await.unwrap();
        let queued: Vec<_> = (0..QUEUE).map(|_| worker.clone()).collect();
        let queued = queued.into_iter().map(async |worker| worker.run("test", || ()).await);
        let queued = tokio::spawn(futures_util::future::join_all(queued.collect::<Vec<_>>()));
        tokio::task::yield_now().await;
        assert_eq!(worker.run("test", || ()).await, Err(Undone::Full));
        drop(go_on);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert!(queued.await.unwrap().iter().all(Result::is_ok));
    }
}
