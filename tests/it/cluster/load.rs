//! Clients over all replicas that write until they are told to stop, and the reading back of it all.

use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Cluster,
    client::{self, Client, Orders, Setup, Status},
    ledger::{Chat, ClientNumber, Ledger, Verdict},
};

/// How long all clients may take until something is true of each of them. A fault's own bound is
/// asserted by its test, from what it measures.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many people.
    pub users: usize,
    /// How many of them have a second client, at another replica.
    pub pairs: usize,
    /// Chats in a second, of all clients together.
    pub rate: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { users: 26, pairs: 6, rate: 200 }
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
    status: Arc<Mutex<Status>>,
}

impl Load {
    /// Logs people in, and returns when all clients are connected, write, and are shown what others
    /// write.
    pub async fn start(cluster: &Cluster, size: Size) -> Self {
        let servers = &cluster.replicas;
        let mut people = Vec::new();
        for number in 0..size.users {
            let server = &servers[number % servers.len()];
            people.push(server.person(&format!("人{number}")).await);
        }
        let devices = size.users + size.pairs;
        let pause = Duration::from_secs(1) * u32::try_from(devices).unwrap() / size.rate;
        let (orders, heard) = watch::channel(Orders::Write);
        let mut load = Self {
            ledger: Arc::default(),
            orders,
            clients: Vec::new(),
            lives: JoinSet::new(),
            replicas: servers.iter().map(|server| server.addr).collect(),
            http: servers[0].http.clone(),
        };
        for device in 0..devices {
            let place = device % size.users;
            let me = &people[place];
            // Neighbours write to each other; some write to themselves.
            let peers = [1, size.users - 1, 7, usize::from(!place.is_multiple_of(5))];
            let number = load.ledger.lock().enter(me.id);
            let status = Arc::default();
            let setup = Setup {
                number,
                user: me.id,
                token: me.token.clone(),
                replicas: Arc::clone(&load.replicas),
                peers: peers.map(|offset| people[(place + offset) % size.users].id).to_vec(),
                pause,
                http: load.http.clone(),
                ledger: Arc::clone(&load.ledger),
                orders: heard.clone(),
                status: Arc::clone(&status),
            };
            // The second client of a user is at the replica after that of the first.
            let at = (place + device / size.users) % servers.len();
            load.lives.spawn(Client::new(setup, at).run());
            load.clients.push(Member { number, user: me.id, token: me.token.clone(), status });
        }
        load.flows(Instant::now()).await;
        load
    }

    /// The books, as long as nobody else needs them.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
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

    /// Waits until every client has been acknowledged a chat that it wrote after `since`, and has been
    /// shown one that somebody else wrote after it. Returns how long that took from `since` on.
    pub async fn flows(&mut self, since: Instant) -> Duration {
        let everybody: Vec<_> = (0..self.clients.len()).collect();
        self.flows_for(&everybody, since).await
    }

    /// As [`Load::flows`], for these clients only: their places in [`Load::statuses`].
    pub async fn flows_for(&mut self, clients: &[usize], since: Instant) -> Duration {
        self.until("all flows", async |load: &Self| {
            let ledger = load.ledger.lock();
            let mut acknowledged: Vec<_> = ledger
                .sendings()
                .filter(|sending| sending.written >= since && sending.acknowledged.is_some())
                .map(|sending| sending.client)
                .collect();
            acknowledged.sort_unstable();
            clients.iter().all(|place| {
                let number = load.clients[*place].number;
                acknowledged.binary_search(&number).is_ok() && ledger.heard_since(number, since)
            })
        })
        .await;
        since.elapsed()
    }

    /// Has nobody write any more, waits until all that was written is acknowledged and every client
    /// has caught up with its user's timeline, reads everything back, and judges.
    pub async fn settle(mut self) -> Verdict {
        let begun = Instant::now();
        self.orders.send_replace(Orders::Drain);
        self.until("all outboxes are empty", async |load: &Self| {
            load.statuses().iter().all(|status| status.unsent == 0)
        })
        .await;
        let mut timelines = Vec::new();
        for place in 0..self.clients.len() {
            let events = self.ask(|addr, http| {
                let token = self.clients[place].token.clone();
                async move { client::timeline(&http, addr, &token).await }
            });
            timelines.push(events.await);
        }
        let ends: Vec<_> =
            timelines.iter().map(|events| events.last().map_or(0, |(seq, _)| *seq)).collect();
        self.until("all clients have caught up", async |load: &Self| {
            load.statuses().iter().zip(&ends).all(|(status, end)| status.cursor >= *end)
        })
        .await;
        let caught_up = begun.elapsed();
        for (member, events) in self.clients.iter().zip(timelines) {
            self.read_conversations(member).await;
            self.ledger.lock().read_timeline(member.user, events);
        }
        self.orders.send_replace(Orders::End);
        while let Some(ended) = self.lives.join_next().await {
            ended.unwrap();
        }
        let verdict = self.ledger.lock().verdict();
        println!("{verdict}\n  caught up in {caught_up:.1?}, read back in {:.1?}", begun.elapsed());
        verdict
    }

    async fn read_conversations(&self, member: &Member) {
        let Member { user, token, .. } = member;
        let get = |path: String| {
            self.ask(move |addr, http| {
                let (token, path) = (token.clone(), path.clone());
                async move { client::get(&http, addr, &token, &path).await }
            })
        };
        let page = get("/v1/conversations?limit=100".into()).await;
        assert_eq!(page["hasMore"], false, "one page has them all");
        for conversation in page["conversations"].as_array().unwrap() {
            let id = conversation["id"].as_i64().unwrap();
            let mut chats: Vec<Chat> = Vec::new();
            loop {
                let bound = chats.first().map(|chat| format!("&before={}", chat.id));
                let bound = bound.unwrap_or_default();
                let page = get(format!("/v1/conversations/{id}/chats?limit=100{bound}")).await;
                chats.splice(..0, page["chats"].as_array().unwrap().iter().map(Chat::read));
                if page["hasMore"] == false {
                    break;
                }
            }
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
    async fn until(&mut self, what: &str, mut is_so: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self).await {
            let is_late = begun.elapsed() > PATIENCE;
            assert!(!is_late, "not within {PATIENCE:?}: {what}; {:?}", self.laggards());
            self.run_for(Duration::from_millis(20)).await;
        }
    }

    /// Who has no socket, or has something to send.
    fn laggards(&self) -> Vec<(usize, Status)> {
        let mut statuses: Vec<_> = self.statuses().into_iter().enumerate().collect();
        statuses.retain(|(_, status)| status.unsent > 0 || status.replica.is_none());
        statuses
    }
}
