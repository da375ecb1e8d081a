//! Clients over all replicas that write until they are told to stop, and the reading back of it all.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use loadtest::ledger::Verdict;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Cluster,
    client::{Client, Orders, Setup, Status},
    ledger::{ClientNumber, Ledger},
    reading,
};

/// How long all clients may take until something is true of each of them. A fault's own bound is
/// asserted by its test, from what it measures.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many people write to each other.
    pub users: usize,
    /// How many of them have a second client, at another replica.
    pub pairs: usize,
    /// How many people only listen, each to one who writes at another replica. The others' own chats
    /// show them what they miss; these have nothing but the bus and the comparison with the database.
    pub listeners: usize,
    /// Chats in a second, of all clients together.
    pub rate: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { users: 20, pairs: 4, listeners: 6, rate: 150 }
    }
}

/// A load under way. Dropping it ends its clients where they are.
pub struct Load {
    ledger: Arc<Mutex<Ledger>>,
    orders: watch::Sender<Orders>,
    clients: Vec<Member>,
    lives: JoinSet<()>,
    replicas: Arc<[SocketAddr]>,
    http: reqwest::Client,
}

struct Member {
    number: ClientNumber,
    user: i64,
    token: String,
    writes: bool,
    status: Arc<Mutex<Status>>,
}

impl Load {
    /// Logs people in, and returns when all clients are connected, write, and are shown what others
    /// write.
    pub async fn start(cluster: &Cluster, size: Size) -> Self {
        let servers = &cluster.replicas;
        let mut people = Vec::new();
        for number in 0..size.users + size.listeners {
            let server = &servers[number % servers.len()];
            people.push(server.person(&format!("人{number}")).await);
        }
        let pause =
            u32::try_from(size.users + size.pairs).unwrap() * Duration::from_secs(1) / size.rate;
        let (orders, heard) = watch::channel(Orders::Write);
        let mut load = Self {
            ledger: Arc::default(),
            orders,
            clients: Vec::new(),
            lives: JoinSet::new(),
            replicas: servers.iter().map(|server| server.addr).collect(),
            http: servers[0].http.clone(),
        };
        let mut enter = |person: usize, at: usize, peers: &[usize]| {
            let me = &people[person];
            let number = load.ledger.lock().enter(me.id);
            let status = Arc::default();
            let setup = Setup {
                number,
                user: me.id,
                token: me.token.clone(),
                replicas: Arc::clone(&load.replicas),
                peers: peers.iter().map(|peer| people[*peer].id).collect(),
                pause,
                http: load.http.clone(),
                ledger: Arc::clone(&load.ledger),
                orders: heard.clone(),
                status: Arc::clone(&status),
            };
            load.lives.spawn(Client::new(setup, at % servers.len()).run());
            let (token, writes) = (me.token.clone(), !peers.is_empty());
            load.clients.push(Member { number, user: me.id, token, writes, status });
        };
        for place in 0..size.users {
            // Neighbours write to each other; some write to themselves.
            let own = usize::from(!place.is_multiple_of(5));
            let mut peers =
                [1, size.users - 1, 7, own].map(|offset| (place + offset) % size.users).to_vec();
            if place < size.pairs {
                enter(place, place + 1, &peers);
            }
            if place < size.listeners {
                peers.push(size.users + place);
                enter(size.users + place, place + 1, &[]);
            }
            enter(place, place, &peers);
        }
        load.flows(Instant::now()).await;
        load
    }

    /// The books, as long as nobody else needs them.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// Whose clients these are, each once.
    pub fn users(&self) -> Vec<i64> {
        let users: BTreeSet<_> = self.clients.iter().map(|member| member.user).collect();
        users.into_iter().collect()
    }

    /// How each client is doing.
    pub fn statuses(&self) -> Vec<Status> {
        self.clients.iter().map(|member| member.status.lock().clone()).collect()
    }

    /// Lets it run.
    pub async fn run_for(&mut self, duration: Duration) {
        let ended = timeout(duration, self.lives.join_next()).await;
        assert!(ended.is_err(), "a client gave up: {:?}", ended.unwrap());
    }

    /// Waits until every client that writes has been acknowledged a chat that it wrote after `since`,
    /// and every client has been shown one that somebody else wrote after it. Returns how long that
    /// took from `since` on.
    pub async fn flows(&mut self, since: Instant) -> Duration {
        let everybody: Vec<_> = (0..self.clients.len()).collect();
        self.sends(&everybody, since).await;
        self.until("all are shown what others write", async |load: &Self| {
            let ledger = load.ledger.lock();
            load.clients.iter().all(|client| ledger.heard_since(client.number, since))
        })
        .await;
        since.elapsed()
    }

    /// Waits until each of these clients that writes has been acknowledged a chat that it wrote after
    /// `since`. They are named by their places in [`Load::statuses`]. Returns how long that took from
    /// `since` on.
    pub async fn sends(&mut self, clients: &[usize], since: Instant) -> Duration {
        self.until("all are acknowledged what they write", async |load: &Self| {
            let acknowledged = load.ledger.lock().acknowledged_since(since);
            clients
                .iter()
                .map(|place| &load.clients[*place])
                .all(|client| !client.writes || acknowledged.contains(&client.number))
        })
        .await;
        since.elapsed()
    }

    /// Waits until every client's user is shown as online, by one replica or another.
    pub async fn until_all_are_online(&mut self) {
        self.until("all are online", async |load: &Self| {
            let asked = load.clients.iter().enumerate().map(async |(place, member)| {
                let path = format!("/v1/presence?userIds={}", member.user);
                let addr = load.replicas[place % load.replicas.len()];
                let answer = reading::get(&load.http, addr, &member.token, &path).await;
                answer.is_some_and(|answer| answer["presence"][0]["online"] == true)
            });
            join_all(asked).await.into_iter().all(|is_online| is_online)
        })
        .await;
    }

    /// Has nobody write any more, waits until all that was written is acknowledged and every client
    /// has caught up with its user's timeline, reads everything back, and judges. Whatever is
    /// wrong fails the test. The figures of [`Load::ledger`] are complete then.
    pub async fn settle(&mut self) -> Verdict {
        let begun = Instant::now();
        self.orders.send_replace(Orders::Drain);
        self.until("all outboxes are empty", async |load: &Self| {
            load.statuses().iter().all(|status| status.unsent == 0)
        })
        .await;
        let mut ends = HashMap::new();
        for Member { user, token, .. } in &self.clients {
            if ends.contains_key(user) {
                continue;
            }
            let events = self.ask(|addr, http| {
                let token = token.clone();
                async move { reading::timeline(&http, addr, &token).await }
            });
            let events = events.await;
            ends.insert(*user, events.last().map_or(0, |(seq, _)| *seq));
            self.ledger.lock().read_timeline(*user, events);
        }
        // Whoever does not is told by the ledger, with what is missing.
        self.waited(async |load: &Self| {
            load.clients.iter().all(|client| client.status.lock().cursor >= ends[&client.user])
        })
        .await;
        let caught_up = begun.elapsed();
        for member in &self.clients {
            if ends.remove(&member.user).is_some() {
                self.read_conversations(member).await;
            }
        }
        self.orders.send_replace(Orders::End);
        while let Some(ended) = self.lives.join_next().await {
            ended.unwrap();
        }
        let verdict = self.ledger.lock().verdict();
        println!("{verdict}\n  caught up in {caught_up:.1?}, read back in {:.1?}", begun.elapsed());
        assert!(verdict.is_clean(), "{verdict}");
        verdict
    }

    async fn read_conversations(&self, member: &Member) {
        let Member { user, token, .. } = member;
        let page = self.ask(|addr, http| {
            let token = token.clone();
            async move { reading::get(&http, addr, &token, "/v1/conversations?limit=100").await }
        });
        let page = page.await;
        assert_eq!(page["hasMore"], false, "one page has them all");
        for conversation in page["conversations"].as_array().unwrap() {
            let id = conversation["id"].as_i64().unwrap();
            let chats = self.ask(|addr, http| {
                let token = token.clone();
                async move { reading::chats(&http, addr, &token, id).await }
            });
            let chats = chats.await;
            self.ledger.lock().read_conversation(*user, id, chats);
        }
    }

    /// Asks one replica after the other until one answers.
    async fn ask<T, F>(&self, question: impl Fn(SocketAddr, reqwest::Client) -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let begun = Instant::now();
        for addr in self.replicas.iter().cycle() {
            if let Some(answer) = question(*addr, self.http.clone()).await {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "no replica answers");
            sleep(Duration::from_millis(100)).await;
        }
        unreachable!("there are replicas")
    }

    /// Waits until it is so of the load. A client that gives up fails the test.
    async fn until(&mut self, what: &str, is_so: impl AsyncFnMut(&Self) -> bool) {
        let is_so = self.waited(is_so).await;
        assert!(is_so, "not within {PATIENCE:?}: {what}; {:?}", self.laggards());
    }

    /// Whether it was so in time.
    async fn waited(&mut self, mut is_so: impl AsyncFnMut(&Self) -> bool) -> bool {
        let begun = Instant::now();
        while !is_so(self).await {
            if begun.elapsed() > PATIENCE {
                return false;
            }
            self.run_for(Duration::from_millis(20)).await;
        }
        true
    }

    /// Who has no socket, or has something to send.
    fn laggards(&self) -> Vec<(usize, Status)> {
        let mut statuses: Vec<_> = self.statuses().into_iter().enumerate().collect();
        statuses.retain(|(_, status)| status.unsent > 0 || status.replica.is_none());
        statuses
    }
}
