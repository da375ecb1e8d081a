//! A key is one chat: where a commit's answer is lost, and where two replicas are sent the same.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::time::MissedTickBehavior;

use super::replica;
use crate::harness::{
    Cutter, Figures, Person, Redis, Server, Socket, Start, eventually, postgres, server::json_of,
};

/// How often a connection is cut.
const CUTS: usize = 200;
/// In every so many rounds, the batches before were as usual for long enough that the next one is one
/// statement: after a repeat, as after each cut, the service looks for repeats for 100 batches.
const USUAL_EVERY: usize = 10;
/// How many chats those are, each a batch.
const USUAL: usize = 100;

/// What a sender knows of a chat: its number in the sender's timeline, and the chat.
type Answer = (Value, Value);

/// Sends over HTTP until it is acknowledged. Whether the first attempt was not is told too.
async fn send_by_http(from: &Person, to: &Person, key: &str) -> (Answer, bool) {
    let body = json!({"clientMsgId": key, "targetUserId": to.id, "content": key});
    let first = from.post("/v1/chats", &body).await;
    let is_lost = first.status() == 503;
    let answer = if is_lost { from.post("/v1/chats", &body).await } else { first };
    // What was cut was committed.
    assert_eq!(answer.status(), if is_lost { 200 } else { 201 });
    let answer = json_of(answer).await;
    ((answer["seq"].clone(), answer["chat"].clone()), is_lost)
}

/// The same over a socket.
async fn send_by_socket(from: &mut Socket, to: &Person, key: &str) -> (Answer, bool) {
    let send = json!({"type": "send", "clientMsgId": key, "targetUserId": to.id, "content": key});
    let mut is_lost = false;
    from.send(&send).await;
    loop {
        let frame = from.frame().await;
        assert_eq!(
            frame["clientMsgId"].as_str().or(frame["chat"]["clientMsgId"].as_str()),
            Some(key)
        );
        if frame["type"] == "error" {
            assert!(frame["code"] == "unavailable" && !is_lost, "{frame}");
            is_lost = true;
            from.send(&send).await;
        } else if frame["type"] == "sent" {
            return ((frame["seq"].clone(), frame["chat"].clone()), is_lost);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_between_commit_and_answer_stores_nothing_twice() {
    let direct = postgres::database().await;
    let (addr, name) = addr_and_name(&direct);
    let cutter = Cutter::start(addr.parse().unwrap()).await;
    let through = format!("postgres://postgres@{}/{name}?sslmode=disable", cutter.addr());
    let server = tokio::task::block_in_place(|| {
        let start = Start::default().set("database.url", through).set("bus.single_replica", true);
        let start = start.set("auth.demo_login", true).set("limits.enabled", false);
        // What nobody announced is found without the comparison with the database.
        start.set("delivery.reconcile_secs", 3_600).set("log.filter", "info").run()
    });
    let (zhang, wang) = (server.person("张三").await, server.person("王五").await);
    let (zhao, li) = (server.person("赵六").await, server.person("李四").await);
    let mut at_zhao = zhao.online().await;
    let mut at_li = li.online().await;
    let reading = tokio::spawn(async move {
        let mut events = Vec::new();
        while events.len() <= 3 * CUTS + CUTS / USUAL_EVERY * USUAL {
            let event = at_li.expect("event").await;
            events.push((event["seq"].as_u64().unwrap(), event["chat"].clone()));
        }
        at_li.expect_quiet().await;
        events
    });

    let mut answers: BTreeMap<(i64, String), Answer> = BTreeMap::new();
    let (mut lost, mut longest) = (0, Duration::ZERO);
    for round in 0..CUTS {
        let key = format!("round {round}");
        if round % USUAL_EVERY == USUAL_EVERY - 1 {
            for chat in 0..USUAL {
                let key = format!("round {round}, chat {chat}");
                let (answer, _) = send_by_socket(&mut at_zhao, &li, &key).await;
                answers.insert((zhao.id, key), answer);
            }
        }
        cutter.arm();
        let begun = Instant::now();
        let (first, second, third) = tokio::join!(
            send_by_http(&zhang, &li, &key),
            send_by_http(&wang, &li, &key),
            send_by_socket(&mut at_zhao, &li, &key),
        );
        longest = longest.max(begun.elapsed());
        for (sender, (answer, is_lost)) in [(&zhang, first), (&wang, second), (&zhao, third)] {
            lost += usize::from(is_lost);
            answers.insert((sender.id, key.clone()), answer);
        }
        assert_eq!(cutter.cuts(), round + 1);
    }
    assert!(lost >= CUTS, "each cut left somebody without an answer: {lost}");
    assert!(cutter.cuts_at_once() >= CUTS / USUAL_EVERY, "the others take several statements");
    let figures = Figures::of("cuts_between_commit_and_answer");
    figures.count("cuts", CUTS).count("sends without an answer", lost);
    figures.time("longest round", longest);

    // One row a key, and it is what was answered.
    let mut connection = postgres::connect(&direct).await;
    let rows: Vec<(i64, String, i64, i64)> =
        sqlx::query_as("SELECT sender_id, client_msg_id, sender_seq, id FROM chats ORDER BY 1, 2")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let answered: Vec<_> = answers
        .iter()
        .map(|((sender, key), (seq, chat))| {
            (*sender, key.clone(), seq.as_i64().unwrap(), chat["id"].as_i64().unwrap())
        })
        .collect();
    let mut rows = rows;
    rows.sort();
    assert_eq!(rows, answered);
    // And whom they concern was shown each once, in order; the last ones, whose commits nobody
    // announced, with the next.
    let (last, _) = send_by_http(&zhang, &li, "last").await;
    answers.insert((zhang.id, "last".to_owned()), last);
    let shown = reading.await.unwrap();
    for ((seq, chat), expected) in shown.iter().zip(1..) {
        assert_eq!(*seq, expected);
        let key = chat["clientMsgId"].as_str().unwrap().to_owned();
        assert_eq!(*chat, answers.remove(&(chat["userId"].as_i64().unwrap(), key)).unwrap().1);
    }
    assert!(answers.is_empty(), "not shown: {answers:?}");
}

/// How many people cross each other's chats.
const PEOPLE: usize = 20;
/// For how long.
const CROSSING: Duration = Duration::from_mins(1);
/// How many keys each of them sends in a round, at both replicas.
const KEYS: usize = 5;

/// One person with a socket at each of two replicas, who sends the same at both.
struct Crosser {
    person: Person,
    sockets: [Reader; 2],
    random: SmallRng,
}

/// A socket that is shown a timeline without holes.
struct Reader {
    socket: Socket,
    cursor: i64,
    /// The answers so far, by key.
    answers: HashMap<String, Answer>,
    /// How often a send was answered that the database is not available.
    refused: usize,
}

impl Reader {
    async fn of(person: &Person) -> Self {
        let (socket, ready) = person.hello(&json!({})).await;
        let cursor = ready["lastSeq"].as_i64().unwrap();
        Self { socket, cursor, answers: HashMap::new(), refused: 0 }
    }

    /// Sends these and waits until all are answered.
    async fn send(&mut self, sends: &[Value]) {
        let keys: HashMap<&str, &Value> =
            sends.iter().map(|send| (send["clientMsgId"].as_str().unwrap(), send)).collect();
        for send in sends {
            self.socket.send(send).await;
        }
        while !keys.keys().all(|key| self.answers.contains_key(*key)) {
            let frame = self.socket.frame().await;
            if frame["type"] == "error" {
                assert_eq!(frame["code"], "unavailable", "{frame}");
                self.refused += 1;
                let key = frame["clientMsgId"].as_str().unwrap();
                // The other replica may have committed it, and its event been shown here.
                if !self.answers.contains_key(key) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.socket.send(keys[key]).await;
                }
            } else {
                self.take(&frame);
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let seq = frame["seq"].as_i64().unwrap();
        if frame["type"] == "sent" {
            let key = frame["clientMsgId"].as_str().unwrap().to_owned();
            let answer = (frame["seq"].clone(), frame["chat"].clone());
            // A key may be answered in its place and once more as a repeat.
            let before = self.answers.insert(key, answer.clone());
            assert!(before.is_none_or(|before| before == answer), "{frame}");
        }
        // An answer to a repeat moves nothing.
        if frame["type"] == "event" || seq > self.cursor {
            assert_eq!(seq, self.cursor + 1, "{frame}");
            self.cursor = seq;
        }
    }
}

impl Crosser {
    async fn round(&mut self, number: usize, people: &[i64]) {
        let mut sends: Vec<_> = (0..KEYS)
            .map(|n| {
                let target = people[self.random.random_range(0..people.len())];
                let key = format!("{number} {n}");
                json!({"type": "send", "clientMsgId": key, "targetUserId": target, "content": key})
            })
            .collect();
        let mut crossed = sends.clone();
        sends.shuffle(&mut self.random);
        crossed.shuffle(&mut self.random);
        let [one, two] = &mut self.sockets;
        tokio::join!(one.send(&sends), two.send(&crossed));
        assert_eq!(one.answers, two.answers, "identical answers to {}", self.person.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_sent_the_same_keys_agree_and_never_deadlock() {
    let database = postgres::database().await;
    let redis = Redis::start();
    let [mut a, mut b] = tokio::task::block_in_place(|| {
        [(); 2].map(|()| replica(&database, redis.url().as_str()).run())
    });
    let (rounds, refused) = tokio::select! {
        crossed = cross(&a, &b) => crossed,
        () = hold_counters(&database) => unreachable!("it does not end"),
    };
    let figures = Figures::of("same_keys_at_two_replicas");
    figures.count("people", PEOPLE).count("rounds", rounds).count("sends repeated", refused);
    a.kill();
    b.kill();

    let mut connection = postgres::connect(&database).await;
    // The counts of a session are complete once it is gone.
    let alone = async || {
        let mut connection = postgres::connect(&database).await;
        let sessions: i32 = sqlx::query_scalar(
            "SELECT numbackends FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
        sessions <= 2
    };
    eventually("the replicas' sessions end", alone).await;
    let deadlocks: i64 = sqlx::query_scalar(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
    let (rows, keys): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT (sender_id, client_msg_id)) FROM chats")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!((rows, keys), (rows, rows));
    assert_eq!(usize::try_from(keys).unwrap(), rounds * PEOPLE * KEYS);
    let holes: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM timeline_events e JOIN timelines t USING (user_id)
             GROUP BY user_id, t.last_seq HAVING count(*) <> t.last_seq OR max(seq) <> t.last_seq
         ) holes",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(holes, 0);
}

/// Holds one counter after the other for a moment, as a slow replica would: batches stop half-way
/// through their locks, which is when two of them would cross.
async fn hold_counters(database: &str) {
    let mut connection = postgres::connect(database).await;
    loop {
        let mut held = connection.begin().await.unwrap();
        sqlx::query(
            "SELECT 1 FROM timelines WHERE user_id = (
                 SELECT user_id FROM timelines ORDER BY random() LIMIT 1
             ) FOR NO KEY UPDATE",
        )
        .execute(&mut *held)
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        held.rollback().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Has everybody send the same at both replicas, all at once, again and again. Returns the number of
/// rounds, and how many sends were repeated.
async fn cross(a: &Server, b: &Server) -> (usize, usize) {
    let mut crossers = Vec::new();
    for number in 0..PEOPLE {
        let person = a.person(&format!("人{number}")).await;
        let sockets = [Reader::of(&person).await, Reader::of(&person.at(b)).await];
        crossers.push(Crosser { person, sockets, random: SmallRng::seed_from_u64(number as u64) });
    }
    let people: Vec<i64> = crossers.iter().map(|crosser| crosser.person.id).collect();
    let until = Instant::now() + CROSSING;
    // Bursts, so that batches of both replicas meet, with room for other tests between them.
    let mut bursts = tokio::time::interval(Duration::from_millis(250));
    bursts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0;
    while Instant::now() < until {
        bursts.tick().await;
        join_all(crossers.iter_mut().map(|crosser| crosser.round(rounds, &people))).await;
        rounds += 1;
    }
    let sockets = crossers.iter().flat_map(|crosser| &crosser.sockets);
    (rounds, sockets.map(|socket| socket.refused).sum())
}

/// The address and the name of a database.
fn addr_and_name(url: &str) -> (&str, &str) {
    url.split_once('@').unwrap().1.split_once('/').unwrap()
}
