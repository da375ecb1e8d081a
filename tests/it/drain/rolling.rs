//! Replicas that are restarted one after another, with clients that do what the contract says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use super::chat_to;
use crate::harness::{Person, Redis, Seen, Server, Socket, Start, postgres};

/// So many replicas of one service.
pub(super) async fn replicas(count: usize, drain_secs: u64) -> Vec<Server> {
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().to_owned();
    let start = || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", Redis::shared().url())
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .set("limits.enabled", false)
            .set("log.filter", "info")
            .set("server.drain_secs", drain_secs)
            .set("server.drain_pause_secs", 1)
            .run()
    };
    (0..count).map(|_| start()).collect()
}

/// Restarts a replica as a rollout does; returns how long it drained.
async fn restart(server: &mut Server) -> Duration {
    let begun = Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    let drained = begun.elapsed();
    server.start_again();
    drained
}

/// Waits until the replica sends a socket away, and opens another one where it says.
async fn move_on(person: &Person, socket: &mut Socket, to: &Person) -> Duration {
    let reconnect = socket.until("reconnect").await;
    assert_eq!(socket.next().await, Seen::Closed(1012));
    let away = Instant::now();
    tokio::time::sleep(Duration::from_millis(reconnect["afterMs"].as_u64().unwrap())).await;
    assert_eq!(person.id, to.id);
    *socket = to.online().await;
    away.elapsed()
}

#[tokio::test]
async fn nobody_is_announced_offline_who_comes_back_within_the_grace() {
    const PEOPLE: usize = 40;
    let mut servers = replicas(2, 5).await;
    let [a, b] = &mut servers[..] else { unreachable!() };
    let watcher = b.person("watcher").await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let person = a.person(&format!("person {n}")).await;
        // They may see each other once they have a conversation.
        person.send(watcher.id, "first", "hello").await;
        people.push(person);
    }
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(person.online().await);
    }
    let mut watching = watcher.online().await;
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    watching.send(&json!({"type": "watch", "userIds": ids})).await;
    for _ in 0..PEOPLE {
        assert_eq!(watching.until("presence").await["online"], true);
    }
    let mut moving = JoinSet::new();
    for (person, mut socket) in people.iter().cloned().zip(sockets) {
        let there = person.at(b);
        moving.spawn(async move {
            let away = move_on(&person, &mut socket, &there).await;
            (away, socket)
        });
    }
    let drained = restart(a).await;
    let moved = moving.join_all().await;
    let longest = moved.iter().map(|(away, _)| *away).max().unwrap();
    // The grace, the sweep, and a busy machine.
    let (mut offline, until) = (Vec::new(), Instant::now() + Duration::from_secs(8));
    while let Ok(frame) = tokio::time::timeout_at(until.into(), watching.frame()).await {
        if frame["type"] == "presence" && frame["online"] == false {
            offline.push(frame["userId"].clone());
        }
    }
    println!(
        "{PEOPLE} people moved in a drain of {drained:.1?}, the longest away {longest:.1?}: \
         {} announced offline",
        offline.len()
    );
    // On a machine that stalls for the whole grace somebody is offline in truth.
    assert!(longest >= Duration::from_secs(4) || offline.is_empty(), "{offline:?}");
    // It would have been seen: who really goes is announced.
    drop(moved);
    let gone = watching.until("presence").await;
    assert_eq!(gone["online"], false, "{gone}");
}

/// How often a client of the rolling restart sends.
const PAUSE: Duration = Duration::from_millis(100);

/// A client that goes on wherever it is let in, and sends to its partner all the time.
struct Roamer {
    person: Person,
    partner: Person,
    /// The replicas, as a load balancer would try them.
    replicas: Vec<SocketAddr>,
    cursor: i64,
    sent: usize,
    /// The keys that are not answered, by their number.
    open: BTreeMap<usize, String>,
    /// Since when there is no socket.
    away: Option<Instant>,
    longest_away: Duration,
    moves: usize,
}

impl Roamer {
    /// Opens a socket where one is taken, and repeats what was not answered.
    async fn connect(&mut self) -> Socket {
        loop {
            // Whoever let the last one go comes last.
            self.replicas.rotate_left(1);
            let (addr, person) = (self.replicas[0], &self.person);
            let socket = Socket::attempt_v1(addr, person.id, &person.token).await;
            if let Some(mut socket) = socket {
                socket.send(&json!({"type": "hello", "since": self.cursor})).await;
                if let Seen::Frame(ready) = socket.next().await {
                    if ready["type"] == "ready" {
                        let away = self.away.take().map_or(Duration::ZERO, |away| away.elapsed());
                        self.longest_away = self.longest_away.max(away);
                        self.moves += 1;
                        for key in self.open.values() {
                            socket.send(&chat_to(&self.partner, key)).await;
                        }
                        return socket;
                    }
                    // It leaves already; its close follows.
                    assert_eq!(ready["type"], "reconnect", "{ready}");
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends until it is to end, and reads until all was answered and `expected` says that all was
    /// seen.
    async fn run(mut self, is_over: Arc<AtomicBool>) -> Self {
        let mut socket = self.connect().await;
        let mut next = Instant::now();
        loop {
            let is_sending = !is_over.load(Ordering::Relaxed);
            if !is_sending && self.open.is_empty() {
                return self;
            }
            if is_sending && next <= Instant::now() {
                next += PAUSE;
                let key = format!("{}-{}", self.person.id, self.sent);
                socket.send(&chat_to(&self.partner, &key)).await;
                self.open.insert(self.sent, key);
                self.sent += 1;
            }
            let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match timeout(wait, socket.next()).await {
                Err(_) => {}
                Ok(Seen::Frame(frame)) => self.apply(&frame).await,
                Ok(Seen::Closed(code)) => {
                    assert_eq!(code, 1012);
                    socket = self.connect().await;
                }
            }
        }
    }

    async fn apply(&mut self, frame: &serde_json::Value) {
        let kind = frame["type"].as_str().unwrap();
        if kind == "reconnect" {
            self.away = Some(Instant::now());
            return tokio::time::sleep(Duration::from_millis(frame["afterMs"].as_u64().unwrap()))
                .await;
        }
        let seq =
            frame["seq"].as_i64().unwrap_or_else(|| panic!("neither event nor sent: {frame}"));
        if let Some((_, number)) = frame["chat"]["clientMsgId"].as_str().unwrap().split_once('-')
            && frame["chat"]["userId"] == self.person.id
        {
            self.open.remove(&number.parse().unwrap());
        }
        if kind == "event" || seq > self.cursor {
            assert_eq!(seq, self.cursor + 1, "a hole, or the same again: {frame}");
            self.cursor = seq;
        }
    }

    /// Reads to the end of the timeline.
    async fn catch_up(&mut self, last: i64) {
        let mut socket = self.connect().await;
        while self.cursor < last {
            let frame = socket.frame().await;
            self.apply(&frame).await;
        }
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() {
    const PAIRS: usize = 6;
    let mut servers = replicas(3, 3).await;
    let addrs: Vec<_> = servers.iter().map(|server| server.addr).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut roaming = JoinSet::new();
    for pair in 0..PAIRS {
        let one = servers[0].person(&format!("one of pair {pair}")).await;
        let two = servers[0].person(&format!("two of pair {pair}")).await;
        for (number, (person, partner)) in [(&one, &two), (&two, &one)].into_iter().enumerate() {
            let mut replicas = addrs.clone();
            replicas.rotate_left((pair + number) % 3);
            let roamer = Roamer {
                person: person.clone(),
                partner: partner.clone(),
                replicas,
                cursor: 0,
                sent: 0,
                open: BTreeMap::new(),
                away: None,
                longest_away: Duration::ZERO,
                moves: 0,
            };
            roaming.spawn(roamer.run(Arc::clone(&is_over)));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut drained = Vec::new();
    for server in &mut servers {
        drained.push(restart(server).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_over.store(true, Ordering::Relaxed);
    let mut roamers = roaming.join_all().await;
    let sent: BTreeMap<_, _> = roamers.iter().map(|r| (r.person.id, r.sent)).collect();
    for roamer in &mut roamers {
        // Each chat takes one number of each of both: none lost, none twice.
        let expected = i64::try_from(sent[&roamer.person.id] + sent[&roamer.partner.id]).unwrap();
        let events = roamer.person.get_json("/v1/events?since=0&limit=1").await;
        assert_eq!(events["lastSeq"], expected);
        roamer.catch_up(expected).await;
    }
    let longest = roamers.iter().map(|roamer| roamer.longest_away).max().unwrap();
    println!(
        "three replicas restarted, draining {drained:.1?}: {} sends of {} clients, 0 lost, {} moves, \
         the longest without a socket {longest:.1?}",
        sent.values().sum::<usize>(),
        roamers.len(),
        roamers.iter().map(|roamer| roamer.moves).sum::<usize>(),
    );
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}
