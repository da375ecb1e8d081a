//! A new history begins under a running server.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use imserver::store::History;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{Client, chat, say, store, without_limits};
use crate::harness::{DEADLINE, Person, Server, Socket, Start, postgres};

fn quick() -> Start {
    without_limits().set("delivery.reconcile_secs", 1)
}

fn rotate(server: &Server) -> String {
    let output = server.command(&["admin", "rotate-epoch"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().rsplit(' ').next().unwrap().to_owned()
}

async fn two_with_history(server: &Server) -> (Person, Person) {
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for key in ["one", "two", "three"] {
        zhang.send(li.id, key, key).await;
    }
    (zhang, li)
}

#[tokio::test]
async fn a_new_history_resets_every_socket_and_all_go_on() {
    let server = quick().run();
    let (zhang, li) = two_with_history(&server).await;
    let (mut at_zhang, ready) = zhang.hello(&json!({"since": 0})).await;
    Client::default().follow(&mut at_zhang, 3).await;
    let mut at_li = li.online().await;
    let mut legacy = Socket::legacy(server.addr, li.id).await;
    let epoch = rotate(&server);
    assert_ne!(ready["epoch"], epoch);
    let reset = json!({"type": "reset", "epoch": epoch, "lastSeq": 3});
    for socket in [&mut at_zhang, &mut at_li] {
        assert_eq!(socket.expect("reset").await, reset);
        socket.expect_quiet().await;
    }
    // A legacy client knows no epoch: it is shown its latest chats.
    assert_eq!(legacy.frame().await.as_array().unwrap().len(), 3);
    say(&mut at_zhang, &li, "four").await;
    assert_eq!(at_zhang.expect("sent").await["seq"], 4);
    assert_eq!(at_li.expect("event").await["seq"], 4);
    assert_eq!(legacy.frame().await.as_array().unwrap().len(), 4);

    // Those who come back from the old history load anew; those of the new one need not.
    let (mut old, ready) = li.hello(&json!({"since": 3, "epoch": ready["epoch"]})).await;
    assert_eq!(ready["epoch"], epoch);
    old.expect("reset").await;
    let (mut new, _) = li.hello(&json!({"since": 3, "epoch": epoch})).await;
    Client::at(3).follow(&mut new, 4).await;
}

#[tokio::test]
async fn whoever_comes_first_finds_the_new_history_at_once() {
    // No comparison in the time of this test.
    let server = without_limits().set("delivery.reconcile_secs", 3_600).run();
    let (zhang, li) = two_with_history(&server).await;
    let mut at_li = li.online().await;
    let epoch = rotate(&server);
    let (_at_zhang, ready) = zhang.hello(&json!({})).await;
    assert_eq!(ready["epoch"], epoch);
    assert_eq!(at_li.expect("reset").await["epoch"], epoch);
    assert_eq!(li.get_json("/v1/events").await["epoch"], epoch);
}

/// What a sender was shown who goes on sending while the history changes.
struct Stream {
    client: Client,
    sent: BTreeSet<String>,
    resets: usize,
}

impl Stream {
    fn take(&mut self, frame: &Value) {
        if frame["type"] == "reset" {
            self.resets += 1;
            let last = frame["lastSeq"].as_i64().unwrap();
            assert!(last >= self.client.cursor, "{frame}");
            self.client.cursor = last;
        } else {
            self.client.apply(frame);
        }
    }
}

/// Begins so many histories, one after another; each is found at once by a request.
async fn rotate_often(server: &Server, person: &Person, times: usize) {
    let store = store(server).await;
    for _ in 0..times {
        let epoch = store.rotate_epoch().await.unwrap().to_string();
        assert_eq!(person.get_json("/v1/events").await["epoch"], epoch);
        // Sends come in each of them.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn sends_that_are_under_way_at_that_time_are_answered() {
    const TIMES: usize = 20;
    let server = without_limits().run();
    let (zhang, li) = two_with_history(&server).await;
    let mut socket = zhang.online().await;
    let mut stream = Stream { client: Client::at(3), sent: BTreeSet::new(), resets: 0 };
    let mut rotating = std::pin::pin!(rotate_often(&server, &li, TIMES));
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            frame = socket.frame() => stream.take(&frame),
            _ = ticks.tick() => {
                // Several at a time, so that some are under way at any moment.
                for _ in 0..8 {
                    let key = format!("key {}", stream.sent.len());
                    socket.send(&chat(&li, &key)).await;
                    stream.sent.insert(key);
                }
            }
            () = &mut rotating => is_over = true,
        }
    }
    while stream.client.answered.len() < stream.sent.len() {
        stream.take(&socket.frame().await);
    }
    let answered: BTreeSet<_> = stream.client.answered.iter().cloned().collect();
    assert_eq!((answered.len(), &answered), (stream.client.answered.len(), &stream.sent));
    // Two that follow each other closely may be told as one.
    assert!((2..=TIMES).contains(&stream.resets), "{}", stream.resets);
    let next = stream.client.cursor + 1;
    say(&mut socket, &li, "next").await;
    assert_eq!(socket.expect("sent").await["seq"], next);
    socket.expect_quiet().await;
}

/// The read of where a client goes on, if one waits for a lock: its process and its beginning.
async fn waiting(observer: &mut PgConnection) -> Option<(i32, String)> {
    sqlx::query_as(
        "SELECT pid, query_start::text FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'
             AND query LIKE '%first_seq%' AND pid <> pg_backend_pid() ORDER BY pid LIMIT 1",
    )
    .fetch_optional(observer)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_the_database_keeps_waiting_keeps_nothing_else_waiting() {
    let database = postgres::database().await;
    let start = quick().set("database.url", &database).set("bus.single_replica", true);
    let server = start.set("auth.demo_login", true).run();
    let (_, li) = two_with_history(&server).await;
    let mut at_li = li.online().await;
    let mut observer = postgres::connect(&database).await;
    let mut holder = postgres::connect(&database).await;
    let mut held = holder.begin().await.unwrap();
    let lock = "LOCK TABLE timelines IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    let epoch = rotate(&server);
    // The server gives up its read after five seconds, and begins another.
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < DEADLINE, "no ping is answered during one and the same read");
        let Some(read) = waiting(&mut observer).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        at_li.expect_quiet().await;
        if waiting(&mut observer).await == Some(read) {
            break;
        }
    }
    held.rollback().await.unwrap();
    assert_eq!(at_li.expect("reset").await, json!({"type": "reset", "epoch": epoch, "lastSeq": 3}));
    say(&mut at_li, &li, "four").await;
    assert_eq!(at_li.expect("sent").await["seq"], 4);
}
