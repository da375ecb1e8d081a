//! The database goes back to an older state under replicas that run.

use std::{
    collections::BTreeMap,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{RECONCILE_SECS, replica};
use crate::harness::{DEADLINE, Figures, Person, Redis, Server, Socket, postgres};

/// A client that loads over HTTP what it is told to load anew.
struct Client {
    person: Person,
    socket: Socket,
    cursor: i64,
    epoch: Value,
    /// What it shows: contents by number.
    shown: BTreeMap<i64, Value>,
    resets: usize,
}

impl Client {
    async fn of(person: Person) -> Self {
        let (socket, ready) = person.hello(&json!({"since": 0})).await;
        let epoch = ready["epoch"].clone();
        Self { person, socket, cursor: 0, epoch, shown: BTreeMap::new(), resets: 0 }
    }

    /// Applies frames until it has the timeline of this history up to this number.
    async fn follow(&mut self, epoch: &Value, last: i64) {
        while self.epoch != *epoch || self.cursor < last {
            let frame = self.socket.frame().await;
            match frame["type"].as_str().unwrap() {
                "reset" => {
                    self.resets += 1;
                    self.epoch = frame["epoch"].clone();
                    self.cursor = frame["lastSeq"].as_i64().unwrap();
                    self.shown = timeline(&self.person).await;
                    self.shown.retain(|seq, _| *seq <= self.cursor);
                }
                "event" | "sent" => {
                    let seq = frame["seq"].as_i64().unwrap();
                    assert_eq!(seq, self.cursor + 1, "{frame}");
                    self.cursor = seq;
                    self.shown.insert(seq, frame["chat"].clone());
                }
                kind => panic!("{kind}: {frame}"),
            }
        }
    }
}

/// A whole timeline over HTTP.
async fn timeline(person: &Person) -> BTreeMap<i64, Value> {
    let mut events = BTreeMap::new();
    loop {
        let since = events.last_key_value().map_or(0, |(seq, _)| *seq);
        let page = person.get_json(&format!("/v1/events?since={since}&limit=100")).await;
        for event in page["events"].as_array().unwrap() {
            events.insert(event["seq"].as_i64().unwrap(), event["chat"].clone());
        }
        if page["hasMore"] == false {
            return events;
        }
    }
}

/// Sends until it is acknowledged.
async fn send(from: &Person, to: i64, key: &str) {
    let body = json!({"clientMsgId": key, "targetUserId": to, "content": key});
    let begun = Instant::now();
    while !from.post("/v1/chats", &body).await.status().is_success() {
        assert!(begun.elapsed() < DEADLINE, "not sent: {key}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn succeed(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Puts a dump in the place of a database that is in use.
async fn restore(url: &str, dump: &std::path::Path) {
    let (server, name) = url.rsplit_once('/').unwrap();
    let server = format!("{server}/postgres");
    postgres::execute(&server, &format!("CREATE DATABASE {name}_restored")).await;
    let restored = format!("{url}_restored");
    block_in_place(|| succeed(postgres::program("pg_restore").args(["-d", &restored]).arg(dump)));
    for step in [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        ),
        format!("ALTER DATABASE {name} RENAME TO {name}_replaced"),
        format!("ALTER DATABASE {name}_restored RENAME TO {name}"),
    ] {
        postgres::execute(&server, &step).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_and_a_new_epoch_every_client_has_what_the_database_has() {
    const CLIENTS: usize = 6;
    let (database, redis) = (postgres::database().await, Redis::start());
    let servers: [Server; 2] =
        block_in_place(|| [(); 2].map(|()| replica(&database, redis.url().as_str()).run()));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Client::of(servers[number % 2].person(&format!("人{number}")).await).await);
    }
    let people: Vec<Person> = clients.iter().map(|client| client.person.clone()).collect();
    let send_around = async |name: &str, count: usize| {
        for n in 0..count {
            let (from, to) = (n % CLIENTS, (n * n + 1) % CLIENTS);
            send(&people[from], people[to].id, &format!("{name} {n}")).await;
        }
    };

    send_around("dumped", 40).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let dumping = &mut postgres::program("pg_dump");
    block_in_place(|| succeed(dumping.args(["-Fc", "-f"]).arg(&dump).arg(&database)));
    send_around("lost", 20).await;
    let old = clients[0].epoch.clone();
    for client in &mut clients {
        let last = *timeline(&client.person).await.last_key_value().unwrap().0;
        client.follow(&old, last).await;
        assert_eq!(client.resets, 0);
    }

    restore(&database, &dump).await;
    // Numbers that clients have for other chats.
    send_around("before the new epoch", 6).await;
    let rotated = Instant::now();
    let done = block_in_place(|| servers[1].command(&["admin", "rotate-epoch"]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    let epoch = Value::from(said.trim().rsplit_once(' ').unwrap().1);
    for client in &mut clients {
        client.follow(&epoch, 0).await;
        assert!(client.resets > 0);
    }
    let told = rotated.elapsed();
    Figures::of("restore_and_new_epoch").time("all were told to load anew within", told);
    // Two rounds: one may have just begun.
    assert!(told < Duration::from_secs(2 * RECONCILE_SECS + 5), "{told:?}");

    send_around("after the new epoch", 24).await;
    for (number, client) in clients.iter_mut().enumerate() {
        let stored = timeline(&people[number].at(&servers[(number + 1) % 2])).await;
        client.follow(&epoch, *stored.last_key_value().unwrap().0).await;
        assert_eq!(client.shown, stored);
        client.socket.expect_quiet().await;
        let contents = stored.values().map(|chat| chat["content"].as_str().unwrap());
        let lost = contents.filter(|content| content.starts_with("lost")).count();
        assert_eq!(lost, 0);
    }
}
