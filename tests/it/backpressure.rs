//! A hundred clients that stop reading while others write to them: it is their own loss alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{Person, Server, Socket, Start};

const STUCK: usize = 100;

/// How often each partner sends, and how many characters of three bytes: 10 KB/s, 1 MB/s in all.
const PAUSE: Duration = Duration::from_secs(1);
const CHARS: usize = 3_400;

/// Sends to somebody until it is over; returns how many.
async fn press(mut socket: Socket, to: Person, is_over: Arc<AtomicBool>) -> i64 {
    let content = "好".repeat(CHARS);
    let mut ticks = tokio::time::interval(PAUSE);
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let key = sent.to_string();
        let send =
            json!({"type": "send", "clientMsgId": key, "targetUserId": to.id, "content": content});
        socket.send(&send).await;
        // A database that is busy for too long has the client repeat it.
        while socket.frame().await["type"] == "error" {
            tokio::time::sleep(PAUSE).await;
            socket.send(&send).await;
        }
        sent += 1;
    }
    sent
}

/// The 99th percentile of how long others' chats take from one socket to another, for so long.
async fn others(
    phase: &str,
    from: &mut Socket,
    to: (&Person, &mut Socket),
    time: Duration,
) -> Duration {
    let (begun, mut took) = (Instant::now(), Vec::new());
    let (person, receiver) = to;
    while begun.elapsed() < time || took.len() < 100 {
        let key = format!("{phase}-{}", took.len());
        let sent = Instant::now();
        from.send(
            &json!({"type": "send", "clientMsgId": key, "targetUserId": person.id, "content": "hi"}),
        )
        .await;
        receiver.expect("event").await;
        took.push(sent.elapsed());
        from.expect("sent").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Waits until the server has ended so many sockets because they did not read.
async fn until_closed(server: &Server, count: usize) -> Duration {
    let begun = Instant::now();
    loop {
        let open = server.metric(r#"imserver_sockets{kind="v1"}"#).await;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        if open < (STUCK + 2 + STUCK - count) as f64 + 0.5 {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{open} sockets are open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: on a busy machine the load is too light to fill what the kernel holds"]
async fn clients_that_stop_reading_cost_nobody_else_anything() {
    let start = Start::default().set("limits.enabled", false).set("log.filter", "warn");
    let server = start.set("chat.max_content_chars", 15_000).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let is_over = Arc::new(AtomicBool::new(false));
    let (mut pressing, mut stuck) = (JoinSet::new(), Vec::new());
    let mut pairs = Vec::new();
    for n in 0..STUCK {
        let name = |what: &str| format!("{what} {n}");
        pairs.push((server.person(&name("from")).await, server.person(&name("to")).await));
    }
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for (from, to) in pairs {
        let mut socket = to.connect_narrowly().await;
        socket.send(&json!({"type": "hello"})).await;
        socket.expect("ready").await;
        stuck.push((to.clone(), socket));
        let (partner, is_over) = (from.online().await, Arc::clone(&is_over));
        pressing.spawn(async move { (to.id, press(partner, to, is_over).await) });
    }
    // Whoever is closed now has not read since it said hello.
    let begun = Instant::now();
    let before = server.resident();
    let (p99, closed) = tokio::join!(
        others("stuck", &mut at_zhang, (&li, &mut at_li), Duration::from_secs(10)),
        until_closed(&server, STUCK),
    );
    let pressed = begun.elapsed();
    let after = server.resident();
    // The same load without anybody stuck.
    let alone = others("alone", &mut at_zhang, (&li, &mut at_li), Duration::from_secs(5)).await;
    is_over.store(true, Ordering::Relaxed);
    let sent: std::collections::HashMap<_, _> = pressing.join_all().await.into_iter().collect();
    println!(
        "{STUCK} clients stopped reading at 1 MB/s: all closed after {closed:.1?} (of {pressed:.1?}); \
         memory {} KiB, then {} KiB; p99 of others {p99:.1?}, without them {alone:.1?}",
        before / 1_024,
        after / 1_024
    );
    assert!(closed < Duration::from_secs(30), "{closed:?}");
    // Their queues may hold as much as was sent in that time, and no more.
    assert!(after < before + 64 * 1_024 * 1_024, "{before} to {after}");
    assert!(p99 < 2 * alone + Duration::from_millis(500), "{p99:?} against {alone:?}");
    // Nothing is missing for those who come back.
    for (person, socket) in stuck {
        drop(socket);
        let (mut back, ready) = person.hello(&json!({"since": 0})).await;
        assert_eq!(ready["lastSeq"], sent[&person.id]);
        for seq in 1..=sent[&person.id] {
            assert_eq!(back.expect("event").await["seq"], seq);
        }
    }
}
