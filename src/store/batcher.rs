//! Gathers chats into batches: what arrives while one batch is being committed is the next one.
//!
//! A chat waits for at most one commit before its own, and the busier the database, the larger the
//! batches. There is one batch at a time, so that chats commit in the order in which they came.
//!
//! Replicas that share a database divide its chats into more and smaller batches, each of which costs
//! the database a transaction. So a batch that begins with several chats, or that follows a large one,
//! lingers for more of them; where there is no such load, nothing waits.

mod linger;
mod transaction;

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::{counter, histogram};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

pub use linger::LINGER;
use linger::{collect, linger};
use transaction::transaction;

use super::{Appended, Appends, Committed, NewChat, StoreError};

/// The most chats that wait. More are refused: they would only wait to time out.
const QUEUE: usize = 8_192;
/// The most chats of one transaction: beyond this, more cost as much each and hold locks longer.
const MAX_BATCH: usize = 500;
/// How long a caller waits, from the moment it queued the chat. A client is answered within 5 s.
const PATIENCE: Duration = Duration::from_millis(4_500);

/// How long after a batch that failed a write is tried, if no other batch comes; and so on until one
/// succeeds.
const TRY_AFTER: Duration = Duration::from_secs(2);

/// Why a chat was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many chats wait already. Nothing was written.
    #[error("too many chats wait to be committed")]
    Overloaded,
    /// The database did not answer in time, or the service is going down. Whether the chat was
    /// committed is unknown; sending it again with the same key is safe.
    #[error("the database is not available")]
    Unavailable,
    /// The database refused this chat. Nothing was written, and sending it again will not help.
    #[error("the database refused the chat")]
    Rejected,
}

/// Called with each chat that was committed, in the order of their numbers.
pub type OnCommit = Box<dyn FnMut(&Committed) + Send>;

type Answer = Result<Appended, AppendError>;

/// The one way to [`Appends::append`] in a replica. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Batcher {
    queue: mpsc::Sender<Job>,
    /// Cancelled when no more chats are to be taken.
    closing: CancellationToken,
    /// Cancelled when the last batch is done.
    done: CancellationToken,
    is_failing: Arc<AtomicBool>,
}

/// A place in the queue. Dropping it takes back nothing.
#[derive(Debug)]
pub struct Ticket {
    answer: oneshot::Receiver<Answer>,
    deadline: Instant,
}

#[derive(Debug)]
struct Job {
    chat: NewChat,
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
    /// The span in which it was queued.
    span: Span,
}

impl Batcher {
    /// Starts to commit to `store`, until [`Batcher::close`] or until all clones are gone. Under
    /// load a batch waits for more chats, at most for `linger`, unless it has enough.
    ///
    /// `on_commit` is called after the commit and before the callers are answered. It must not
    /// block. It is not called for chats of whose commit nothing is known.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn start(store: Arc<dyn Appends>, linger: Duration, on_commit: OnCommit) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (closing, done) = (CancellationToken::new(), CancellationToken::new());
        let is_failing = Arc::new(AtomicBool::new(false));
        let failing = Failing { is_failing: Arc::clone(&is_failing), since: None };
        let committer = Committer { store, linger, on_commit, failing };
        let (finished, closed) = (done.clone().drop_guard(), closing.clone());
        tokio::spawn(async move {
            committer.run(jobs, closed).await;
            drop(finished);
        });
        Self { queue, closing, done, is_failing }
    }

    /// Queues a chat and returns at once. Chats that one task queues commit in that order.
    pub fn enqueue(&self, chat: NewChat) -> Result<Ticket, AppendError> {
        let (sender, answer) = oneshot::channel();
        let deadline = Instant::now() + PATIENCE;
        let job = Job { chat, answer: sender, deadline, span: Span::current() };
        self.queue.try_send(job).map_err(|error| {
            let refusal = match error {
                mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable,
            };
            count(&Err(refusal));
            refusal
        })?;
        Ok(Ticket { answer, deadline })
    }

    /// Queues a chat and waits for its answer.
    pub async fn append(&self, chat: NewChat) -> Result<Appended, AppendError> {
        self.enqueue(chat)?.wait().await
    }

    /// Whether the database took nothing the last time that something was to be written. While nobody
    /// sends, that is tried again every 2 s.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Takes no more chats, and returns when those that are queued are committed.
    pub async fn close(&self) {
        self.closing.cancel();
        self.done.cancelled().await;
    }
}

impl Ticket {
    /// Waits for the answer, at most until 4.5 s after the chat was queued; then it is
    /// [`AppendError::Unavailable`].
    pub async fn wait(self) -> Result<Appended, AppendError> {
        match timeout_at(self.deadline, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(AppendError::Unavailable),
        }
    }
}

/// What the batcher's task owns.
struct Committer {
    store: Arc<dyn Appends>,
    linger: Duration,
    on_commit: OnCommit,
    failing: Failing,
}

/// Whether writes fail, told to all clones.
struct Failing {
    is_failing: Arc<AtomicBool>,
    since: Option<Instant>,
}

impl Failing {
    fn failed(&mut self) {
        self.since.get_or_insert_with(Instant::now);
        self.is_failing.store(true, Ordering::Relaxed);
    }

    fn succeeded(&mut self) {
        let Some(since) = self.since.take() else { return };
        self.is_failing.store(false, Ordering::Relaxed);
        tracing::info!(after_secs = since.elapsed().as_secs(), "the database takes chats again");
    }
}

impl Committer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut last = 0;
        loop {
            let is_failing = self.failing.since.is_some();
            let try_at = Instant::now() + TRY_AFTER;
            tokio::select! {
                biased;
                () = closing.cancelled(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
                received = jobs.recv_many(&mut batch, MAX_BATCH) => if received == 0 { return },
                () = sleep_until(try_at), if is_failing => {
                    // A failure is no news.
                    let tried = closing.run_until_cancelled(self.store.try_writing()).await;
                    if let Some(Ok(())) = tried {
                        self.failing.succeeded();
                    }
                    continue;
                }
            }
            let linger = linger(batch.len(), last).min(self.linger);
            if !linger.is_zero() {
                collect(&mut jobs, &mut batch, MAX_BATCH, Instant::now() + linger).await;
            }
            last = batch.len();
            self.commit_in_turn(std::mem::take(&mut batch)).await;
        }
    }

    /// Commits what came together, in as many transactions as it takes. After one of which nothing is
    /// known no other is tried: a chat must not overtake an earlier one of its sender.
    async fn commit_in_turn(&mut self, mut jobs: Vec<Job>) {
        let mut is_lost = false;
        while !jobs.is_empty() {
            // Whoever has been told that it took too long is not kept in the way of the others.
            let now = Instant::now();
            jobs.retain(|job| job.deadline > now);
            let rest = jobs.split_off(transaction(jobs.iter().map(|job| &job.chat)));
            if is_lost {
                refuse(jobs);
            } else {
                let batch = tracing::debug_span!("batch", chats = jobs.len());
                for job in &jobs {
                    batch.follows_from(&job.span);
                }
                is_lost = !self.commit(jobs).instrument(batch).await;
            }
            jobs = rest;
        }
    }

    /// Commits a batch; `false`: of some of it nothing is known. One that the database refuses is split
    /// until the culprit stands alone.
    async fn commit(&mut self, jobs: Vec<Job>) -> bool {
        let (chats, mut callers): (Vec<NewChat>, Vec<_>) =
            jobs.into_iter().map(|job| (job.chat, Some(job.answer))).unzip();
        let chats: Arc<[NewChat]> = chats.into();
        let mut answer = |place: usize, answer: Answer| {
            count(&answer);
            if let Some(caller) = callers[place].take() {
                // A caller that went away does not want to know.
                let _ = caller.send(answer);
            }
        };
        // The part to try next is the last one, so that parts commit in the order of the batch.
        let mut parts: Vec<_> = std::iter::once(0..chats.len()).collect();
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match append(&self.store, &chats, part.clone()).await {
                Ok(answers) => {
                    self.failing.succeeded();
                    for answer in &answers {
                        if let Appended::Committed(committed) = answer {
                            self.announce(committed);
                        }
                    }
                    for (place, appended) in part.zip(answers) {
                        answer(place, Ok(appended));
                    }
                }
                Err(StoreError::Rejected(error)) if part.len() == 1 => {
                    tracing::warn!(
                        sender = chats[part.start].sender.get(),
                        error = %error,
                        "the database refused a chat"
                    );
                    answer(part.start, Err(AppendError::Rejected));
                }
                Err(StoreError::Rejected(_)) => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Err(error) => {
                    // Not on with the rest: a chat must not overtake an earlier one of its sender,
                    // and each attempt may take as long as this one.
                    tracing::error!(
                        chats = chats.len() - part.start,
                        %error,
                        "chats were not committed, or it is not known whether they were"
                    );
                    self.failing.failed();
                    for place in part.start..chats.len() {
                        answer(place, Err(AppendError::Unavailable));
                    }
                    return false;
                }
            }
        }
        true
    }

    fn announce(&mut self, committed: &Committed) {
        // Deliveries lost here are found again by reconciling; a batcher lost here is not.
        if catch_unwind(AssertUnwindSafe(|| (self.on_commit)(committed))).is_err() {
            tracing::error!(
                chat = committed.chat.id.get(),
                "a committed chat was not announced: the observer panicked"
            );
        }
    }
}

/// Tells senders that nothing is known of their chats.
fn refuse(jobs: Vec<Job>) {
    for job in jobs {
        let answer = Err(AppendError::Unavailable);
        count(&answer);
        // A caller that went away does not want to know.
        let _ = job.answer.send(answer);
    }
}

/// One transaction, in a task of its own, so that a panic in it ends no more than this batch.
async fn append(
    store: &Arc<dyn Appends>,
    chats: &Arc<[NewChat]>,
    part: Range<usize>,
) -> Result<Vec<Appended>, StoreError> {
    let size = part.len();
    histogram!("imserver_commit_batch_size").record(u32::try_from(size).unwrap_or(u32::MAX));
    let begun = Instant::now();
    let (store, chats) = (Arc::clone(store), Arc::clone(chats));
    let append = async move { store.append(&chats[part]).await };
    let result = tokio::spawn(append.in_current_span()).await;
    histogram!("imserver_commit_seconds").record(begun.elapsed());
    let answers = result.map_err(|_| StoreError::Corrupt("the store panicked".to_owned()))??;
    if answers.len() == size {
        Ok(answers)
    } else {
        Err(StoreError::Corrupt(format!("{} answers for {size}", answers.len())))
    }
}

/// Counts a send by how it ended.
fn count(answer: &Answer) {
    let outcome = match answer {
        Ok(Appended::Committed(_)) => "committed",
        Ok(Appended::Repeat(_)) => "repeat",
        Ok(
            Appended::KeyReused
            | Appended::TargetNotFound
            | Appended::ConversationNotFound
            | Appended::QuoteNotFound
            | Appended::MediaNotFound
            | Appended::MentionInvalid
            | Appended::MentionForbidden
            | Appended::SenderNotFound,
        ) => "refused",
        Err(AppendError::Overloaded) => "overloaded",
        Err(AppendError::Unavailable) => "unavailable",
        Err(AppendError::Rejected) => "rejected",
    };
    counter!("imserver_sends_total", "outcome" => outcome).increment(1);
}
