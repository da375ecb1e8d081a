//! The Redis instances of `bus.url`: the connections to them, and what the parts of one replica that use
//! an instance tell each other about it.

mod link;
mod placement;
mod trouble;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::{Connection, Manager, Pool, Runtime, Timeouts};
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError,
    aio::{MultiplexedConnection, PubSub},
    io::tcp::TcpSettings,
};
use tokio::{sync::watch, time::timeout};
use url::Url;

pub(crate) use link::{Link, Part};
pub(crate) use placement::place;
pub(crate) use trouble::{Trouble, is_of_no_master};

/// URLs from which no way to Redis can be made. Says nothing of the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no URL.
    #[error("at least one URL of Redis is needed")]
    NoUrl,
    /// One of them cannot be used.
    #[error("URL number {number} of the list: {problem}")]
    Url {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// All instances, as the parts of one replica know them together. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Instances(Arc<[Arc<Instance>]>);

impl Instances {
    /// The independent instances at these URLs, not connected yet. All replicas must have the same list in
    /// the same order.
    pub fn new(urls: &[Url]) -> Result<Self, ConnectError> {
        if urls.is_empty() {
            return Err(ConnectError::NoUrl);
        }
        let instance = |(place, url)| {
            let number = place + 1;
            let instance = Instance::new(number, url).map(Arc::new);
            instance.map_err(|problem| ConnectError::Url { number, problem })
        };
        urls.iter().enumerate().map(instance).collect::<Result<_, _>>().map(Self)
    }

    /// What Redis refuses although it answers, as reasons of `/readyz`: `bus_oom` if it is full,
    /// `bus_refused` for any other error.
    pub fn refusals(&self) -> BTreeSet<&'static str> {
        let reason = |code: &String| if code == "OOM" { "bus_oom" } else { "bus_refused" };
        let mut reasons = BTreeSet::new();
        for instance in self.iter() {
            reasons.extend(instance.refusals.lock().values().map(reason));
        }
        reasons
    }

    /// Has all links to all instances made anew: the servers behind them may be others by now.
    pub(crate) fn renew_all(&self) {
        self.iter().for_each(|instance| instance.renew());
    }

    /// Whether there is none: the replica runs alone.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instances, in the order of the list.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Instance>> {
        self.0.iter()
    }
}

/// How many connections of an instance are shared by all who only ask.
const READERS: usize = 8;

/// One instance.
pub(crate) struct Instance {
    /// Its place in the list, from 1.
    pub(crate) number: usize,
    client: Client,
    /// The connections that all who only ask share.
    readers: Pool,
    /// Connections from before are not used any more.
    readers_since: Mutex<Instant>,
    /// Changes when links that were made before are to be made anew.
    renewed: watch::Sender<()>,
    /// The codes of the errors by which Redis refuses what a part asks.
    refusals: Mutex<BTreeMap<Part, String>>,
}

/// Shows no URL.
impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Instance {
    fn new(number: usize, url: &Url) -> Result<Self, String> {
        let info = connection_info(url)?;
        let words = |error: RedisError| Trouble::from(error).to_string();
        let client = Client::open(info.clone()).map_err(words)?;
        // Whoever asks bounds the wait for the answer.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let manager = Manager::new_with_config(info, config).map_err(words)?;
        let readers = Pool::builder(manager).max_size(READERS).runtime(Runtime::Tokio1).build();
        Ok(Self {
            number,
            client,
            readers: readers.map_err(|error| error.to_string())?,
            readers_since: Mutex::new(Instant::now()),
            renewed: watch::Sender::new(()),
            refusals: Mutex::default(),
        })
    }

    /// A connection of one's own for commands. It, and each answer, takes at most `wait`.
    pub(crate) async fn writer(&self, wait: Duration) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(wait))
            .set_response_timeout(Some(wait));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        Ok(timeout(wait, connecting).await??)
    }

    /// A connection of one's own to hear on.
    pub(crate) async fn listener(&self, wait: Duration) -> Result<PubSub, Trouble> {
        Ok(timeout(wait, self.client.get_async_pubsub()).await??)
    }

    /// A connection from those that all who only ask share. It takes at most `wait`.
    pub(crate) async fn reader(&self, wait: Duration) -> Result<Connection, Trouble> {
        let since = *self.readers_since.lock();
        self.readers.retain(|_, metrics| metrics.created >= since);
        let wait = Some(wait);
        Ok(self.readers.timeout_get(&Timeouts { wait, create: wait, recycle: wait }).await?)
    }

    /// Asks over a shared connection. Takes at most `wait`.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        part: Part,
        question: &Pipeline,
        wait: Duration,
    ) -> Result<T, Trouble> {
        let asking = async {
            let answer = question.query_async(&mut self.reader(wait).await?).await;
            self.note(part, answer.as_ref());
            Ok::<T, Trouble>(answer?)
        };
        match timeout(wait, asking).await {
            Ok(answer) => answer,
            Err(late) => {
                self.drop_readers();
                Err(late.into())
            }
        }
    }

    /// Notes how Redis answered a part, so that [`Instances::refusals`] knows. Without any answer the shared
    /// connections are given up. A server that is no master has all links made anew, since those that write
    /// nothing cannot tell; and once more when a master is found, since some of them may have been made
    /// before the address led there.
    pub(crate) fn note<T>(&self, part: Part, answer: Result<&T, &RedisError>) {
        let code = answer.err().and_then(trouble::code);
        if answer.is_err() && code.is_none() {
            self.drop_readers();
        }
        let instance = self.number;
        let mut refusals = self.refusals.lock();
        // Logged once for each code, whatever the parts that it concerns.
        if let Some(code) = &code
            && !refusals.values().any(|known| known == code)
        {
            tracing::warn!(instance, part = part.name(), code, "Redis refuses");
        }
        let before = match &code {
            Some(code) => refusals.insert(part, code.clone()),
            None => refusals.remove(&part),
        };
        if before.is_some() && answer.is_ok() && refusals.is_empty() {
            tracing::info!(instance, "Redis refuses nothing any more");
        }
        drop(refusals);
        if [code, before].iter().flatten().any(|code| trouble::names_no_master(code)) {
            self.renew();
        }
    }

    /// Has all links to this instance made anew.
    pub(crate) fn renew(&self) {
        self.drop_readers();
        self.renewed.send_replace(());
    }

    /// For a link that is about to be made: tells when it is to be made anew.
    pub(crate) fn renewal(&self) -> Renewal {
        Renewal(self.renewed.subscribe())
    }

    /// Has the shared connections made anew.
    fn drop_readers(&self) {
        *self.readers_since.lock() = Instant::now();
    }
}

/// Tells one link when it is to be made anew.
#[derive(Debug)]
pub(crate) struct Renewal(watch::Receiver<()>);

impl Renewal {
    /// Waits until then, and says why.
    pub(crate) async fn due(&mut self) -> Trouble {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        "made anew: the server behind it may be another".into()
    }

    /// Passes over what is due now.
    pub(crate) fn skip(&mut self) {
        self.0.mark_unchanged();
    }
}

/// How an instance is reached. The refusal says nothing of the URL, which may hold a password.
fn connection_info(url: &Url) -> Result<ConnectionInfo, String> {
    if url.scheme() != "redis" {
        return Err("must begin with redis://".to_owned());
    }
    let info = url.clone().into_connection_info();
    let info = info.map_err(|error| Trouble::from(error).to_string())?;
    // RESP2, even if the URL asks for RESP3: subscriptions need no more.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Ok(info
        .set_redis_settings(settings.set_skip_set_lib_name())
        .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_is_named_by_its_number_only() {
        for (bad, word) in [
            ("redis://:hunter2@localhost/hunter2", "database number"),
            ("rediss://:hunter2@localhost", "redis://"),
            ("http://:hunter2@localhost", "redis://"),
            ("redis://:hunter2@0.0.0.0", "wildcard"),
        ] {
            let urls = ["redis://localhost", bad].map(|url| url.parse().unwrap());
            let error = Instances::new(&urls).unwrap_err();
            assert!(matches!(error, ConnectError::Url { number: 2, .. }));
            let text = format!("{error} {error:?}");
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(Instances::new(&[]).unwrap_err(), ConnectError::NoUrl);
        let urls = ["redis://:hunter2@localhost".parse().unwrap()];
        let shown = format!("{:?}", Instances::new(&urls).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("localhost"), "{shown}");
    }

    fn instance() -> Instances {
        Instances::new(&["redis://localhost".parse().unwrap()]).unwrap()
    }

    fn refused(code: &'static str) -> RedisError {
        redis::make_extension_error(code.to_owned(), None)
    }

    #[tokio::test]
    async fn what_redis_refuses_is_known_until_it_answers() {
        let instances = instance();
        let instance = instances.iter().next().unwrap();
        instance.note::<()>(Part::Limits, Err(&refused("OOM")));
        instance.note::<()>(Part::Presence, Err(&refused("NOPERM")));
        assert_eq!(instances.refusals(), BTreeSet::from(["bus_oom", "bus_refused"]));
        instance.note(Part::Limits, Ok(&()));
        assert_eq!(instances.refusals(), BTreeSet::from(["bus_refused"]));
        instance.note(Part::Presence, Ok(&()));
        assert!(instances.refusals().is_empty());
    }

    #[tokio::test]
    async fn a_demoted_server_and_the_next_master_have_all_links_made_anew() {
        let instances = instance();
        let instance = instances.iter().next().unwrap();
        let mut link = instance.renewal();
        instance.note::<()>(Part::Publisher, Err(&refused("OOM")));
        instance.note(Part::Publisher, Ok(&()));
        assert!(!link.0.has_changed().unwrap());
        instance.note::<()>(Part::Publisher, Err(&refused("READONLY")));
        assert!(link.0.has_changed().unwrap());
        link.skip();
        instance.note(Part::Publisher, Ok(&()));
        assert!(link.0.has_changed().unwrap());
        link.skip();
        instance.note(Part::Publisher, Ok(&()));
        assert!(!link.0.has_changed().unwrap());
    }
}
