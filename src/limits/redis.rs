//! The limiter that replicas share: every question is decided by a script in Redis, on its clock.
//!
//! What is asked while one call is under way goes with the next one, so that the questions of a
//! moment cost one round trip. Whatever does not go as it should (a queue that is full, an answer that
//! does not come in time, a link that is down) is decided by a [`LocalLimiter`], which is told of all
//! that Redis answers, and tells Redis of what it has lost: neither where it goes away nor where it
//! comes back empty is there a fresh burst for everybody.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, Client, RedisError, Script, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{Answer, Key, Limiter, Pending, Rate, local::LocalLimiter};
use crate::instances::{
    Backoff, ConnectError, Instance as Known, Instances, Renewal, Trouble, connection_info, place,
    test_write, trouble,
};

/// Which part of the service asks, where refusals are named.
const PART: &str = "limits";

/// How long a question waits for its answer.
pub const ANSWER_WAIT: Duration = Duration::from_millis(300);

/// The most questions that wait for one instance; more are decided locally.
const QUEUE: usize = 8_192;

/// The most questions of one call: a script holds up everything else in Redis.
const BATCH: usize = 256;

/// How long what is written to see that it can be stays.
const TEST_KEPT: Duration = Duration::from_millis(1);

/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gcra.lua")));

/// One replica's share in the limiter. Its tasks end when it is dropped.
pub struct RedisLimiter {
    instances: Vec<Instance>,
    local: Arc<LocalLimiter>,
    namespace: String,
    answer_wait: Duration,
    _stop: DropGuard,
}

struct Instance {
    questions: mpsc::Sender<Question>,
    link: Arc<Link>,
}

struct Question {
    key: Key,
    name: String,
    rate: Rate,
    takes: bool,
    answer: oneshot::Sender<Option<Duration>>,
}

/// Shows no URL.
impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("instances", &self.instances.len())
            .finish_non_exhaustive()
    }
}

impl RedisLimiter {
    /// A limiter on these independent instances, over which the keys are spread. All replicas must
    /// have the same list in the same order; all keys begin with `namespace`.
    ///
    /// A Redis that is down is no error: until it is there, this replica decides alone. Waits until
    /// each has been tried once, two seconds at most.
    pub async fn connect(
        urls: &[Url],
        namespace: &str,
        shared: &Instances,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(urls, namespace, shared, ANSWER_WAIT).await
    }

    /// The same with another time to wait for an answer.
    pub async fn connect_with(
        urls: &[Url],
        namespace: &str,
        shared: &Instances,
        answer_wait: Duration,
    ) -> Result<Self, ConnectError> {
        if urls.is_empty() {
            return Err(ConnectError::NoUrl);
        }
        let local = Arc::new(LocalLimiter::default());
        let stop = CancellationToken::new();
        let mut instances = Vec::new();
        for (known, url) in shared.of(urls) {
            let number = known.number;
            let refused = |problem| ConnectError::Url { number, problem };
            let info = connection_info(url).map_err(refused)?;
            let client =
                Client::open(info).map_err(|error| refused(trouble(&error).into_owned()))?;
            let (questions, queue) = mpsc::channel(QUEUE);
            let link = Arc::new(Link::new(number));
            let asker = Asker {
                client,
                known,
                test_key: format!("{namespace}:limit:writable"),
                local: Arc::clone(&local),
                link: Arc::clone(&link),
                answer_wait,
            };
            tokio::spawn(stop.clone().run_until_cancelled_owned(asker.run(queue)));
            instances.push(Instance { questions, link });
        }
        let namespace = namespace.to_owned();
        let limiter = Self { instances, local, namespace, answer_wait, _stop: stop.drop_guard() };
        let first = async {
            for instance in &limiter.instances {
                instance.link.tried.notified().await;
            }
        };
        // What is not there by then comes later.
        let _ = timeout(CONNECT_WAIT, first).await;
        Ok(limiter)
    }

    fn ask(&self, key: Key, rate: Rate, takes: bool) -> Pending {
        let alone = move |local: &LocalLimiter, why: &'static str| {
            metrics::counter!("imserver_limit_fallbacks_total", "why" => why).increment(1);
            Answer { wait: local.decide(key, rate, takes), is_shared: false }
        };
        let instance = &self.instances[place(key.subject.number(), self.instances.len())];
        if !instance.link.stands() {
            return alone(&self.local, "link").into();
        }
        let name = format!("{}:limit:{}:{}", self.namespace, key.limit.as_str(), key.subject);
        let (sender, answer) = oneshot::channel();
        let question = Question { key, name, rate, takes, answer: sender };
        if instance.questions.try_send(question).is_err() {
            return alone(&self.local, "queue").into();
        }
        let local = Arc::clone(&self.local);
        let deadline = Instant::now() + self.answer_wait;
        Pending::asked(async move {
            match timeout_at(deadline, answer).await {
                Ok(Ok(wait)) => Answer { wait, is_shared: true },
                Ok(Err(_)) => alone(&local, "link"),
                Err(_) => alone(&local, "late"),
            }
        })
    }
}

impl Limiter for RedisLimiter {
    fn take(&self, key: Key, rate: Rate) -> Pending {
        self.ask(key, rate, true)
    }

    fn look(&self, key: Key, rate: Rate) -> Pending {
        self.ask(key, rate, false)
    }
}

/// The task that asks one instance.
struct Asker {
    client: Client,
    known: Arc<Known>,
    /// Written when a connection is made.
    test_key: String,
    local: Arc<LocalLimiter>,
    link: Arc<Link>,
    answer_wait: Duration,
}

impl Asker {
    /// Keeps a connection, for ever, and asks over it.
    async fn run(self, mut queue: mpsc::Receiver<Question>) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let renewal = self.known.renewal();
            let trouble = match self.connected().await {
                Ok(connection) => {
                    self.link.up();
                    self.serve(connection, renewal, &mut queue).await
                }
                Err(trouble) => trouble,
            };
            self.link.down(trouble);
            // Whoever has asked meanwhile is not kept waiting.
            while queue.try_recv().is_ok() {}
            tokio::time::sleep_until(backoff.after(begun)).await;
        }
    }

    async fn connected(&self) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WAIT))
            .set_response_timeout(Some(CONNECT_WAIT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = in_time(CONNECT_WAIT, connecting).await?;
        // A link is up once the script has run and something was written: a server may accept, and
        // refuse either.
        in_time(CONNECT_WAIT, async {
            let written: Result<(), _> =
                test_write(&self.test_key, TEST_KEPT).exec_async(&mut connection).await;
            self.known.note(PART, written.as_ref());
            written?;
            self.ask(&mut connection, &[]).await
        })
        .await?;
        Ok(connection)
    }

    /// Asks until the connection fails, and says why it did.
    async fn serve(
        &self,
        mut connection: MultiplexedConnection,
        mut renewal: Renewal,
        queue: &mut mpsc::Receiver<Question>,
    ) -> Trouble {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = queue.recv_many(&mut batch, BATCH) => if count == 0 {
                    return "it is closed".into();
                },
                trouble = renewal.due() => return trouble,
            }
            // Who has waited too long has been answered.
            batch.retain(|question| !question.answer.is_closed());
            if batch.is_empty() {
                continue;
            }
            metrics::histogram!("imserver_limit_batch_size")
                .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            let asking = async {
                let answers = self.ask(&mut connection, &batch).await;
                self.known.note(PART, answers.as_ref());
                answers
            };
            match in_time(self.answer_wait, asking).await {
                Ok(answers) if answers.len() == batch.len() => {
                    for (question, answer) in batch.drain(..).zip(answers) {
                        self.answer(question, answer);
                    }
                }
                Ok(_) => return "answers are missing".into(),
                Err(trouble) => return trouble,
            }
        }
    }

    async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
        batch: &[Question],
    ) -> Result<Vec<i64>, RedisError> {
        let mut call = SCRIPT.prepare_invoke();
        for Question { key, name, rate, takes, .. } in batch {
            let known = micros(self.local.recovers_in(*key));
            call.key(name).arg((rate.interval, micros(rate.depth()), known, u8::from(*takes)));
        }
        call.invoke_async(connection).await
    }

    fn answer(&self, question: Question, answer: i64) {
        let Question { key, rate, answer: asked, .. } = question;
        let time = Duration::from_micros(answer.unsigned_abs());
        let wait = (answer < 0).then_some(time);
        // Exhausted: all of its burst but the one that is being waited for.
        let recovers_in = match wait {
            Some(wait) => (wait + rate.depth()).saturating_sub(rate.interval()),
            None => time,
        };
        if !recovers_in.is_zero() {
            self.local.note(key, recovers_in);
        }
        // Nobody waits any more: no harm.
        let _ = asked.send(wait);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

async fn in_time<T>(
    wait: Duration,
    answer: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Trouble> {
    match timeout(wait, answer).await {
        Ok(answer) => answer.map_err(|error| trouble(&error)),
        Err(_) => Err("no answer in time".into()),
    }
}

/// Whether the link to one instance stands.
struct Link {
    /// Which Redis of the list, from 1.
    number: usize,
    stands: AtomicBool,
    /// Why it does not, as it was last logged.
    logged: Mutex<Option<Trouble>>,
    /// Becomes ready when the link has come up, or has failed to.
    tried: Notify,
}

impl Link {
    fn new(number: usize) -> Self {
        let link = Self {
            number,
            stands: AtomicBool::new(false),
            logged: Mutex::default(),
            tried: Notify::new(),
        };
        link.gauge(0.0);
        link
    }

    fn stands(&self) -> bool {
        self.stands.load(Ordering::Relaxed)
    }

    fn up(&self) {
        self.stands.store(true, Ordering::Relaxed);
        if self.logged.lock().take().is_some() {
            tracing::info!(instance = self.number, "limits are counted by all replicas again");
        }
        self.gauge(1.0);
        self.tried.notify_one();
    }

    fn down(&self, trouble: Trouble) {
        self.stands.store(false, Ordering::Relaxed);
        let mut logged = self.logged.lock();
        // Once for each cause: one attempt follows the other for as long as it takes.
        if logged.as_ref() != Some(&trouble) {
            tracing::warn!(instance = self.number, %trouble, "limits are counted by this replica alone");
        }
        *logged = Some(trouble);
        self.gauge(0.0);
        self.tried.notify_one();
    }

    fn gauge(&self, up: f64) {
        metrics::gauge!("imserver_limit_link_up", "instance" => self.number.to_string()).set(up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_named_by_its_number_only() {
        let urls = ["redis://localhost", "redis://:hunter2@localhost/hunter2"];
        let urls = urls.map(|url| url.parse().unwrap());
        let connect = async |urls: &[Url]| {
            RedisLimiter::connect(urls, "n", &Instances::new(urls.len())).await
        };
        let error = connect(&urls).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url { number: 2, .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(connect(&[]).await.unwrap_err(), ConnectError::NoUrl);
    }
}
