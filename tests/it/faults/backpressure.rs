//! A hundred clients that stop reading while others write to them: it is their own loss alone.
//!
//! Their partners send 10 KB/s to each, before and after they stop, so that what is compared differs
//! in the reading alone. A client counts as closed when the service has ended its socket. It cannot
//! know of anything before the kernel takes no more: the 15 s begin there, which is when each of the
//! connections holds what [`UNSENT`] says; how long that takes depends on the load alone.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{Figures, Person, Server, Socket, Start};

const STUCK: usize = 100;

/// How often each partner sends, and how many characters of three bytes: 10 KB/s, 1 MB/s in all.
const PAUSE: Duration = Duration::from_secs(1);
const CHARS: usize = 3_400;

/// How long everybody reads, for comparison.
const CALM: Duration = Duration::from_secs(8);

/// Of what is unsent the kernel takes so many bytes for one connection: then a write waits.
const UNSENT: usize = 16 * 1_024;

/// What the kernel may hold for one connection: that, the write that passed it, and what is on its way
/// to a narrow client.
const HELD: usize = 32 * 1_024;

/// How long after that a client may stay: the 10 s that a write has, a second until the next frame is
/// written, and the haste of the machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// What the queues of all may take: what is sent in the time that they have, and as much again for
/// the allocator. Queues that nothing ended would take a megabyte each.
const MEMORY: u64 = 32 * 1_024 * 1_024;

/// Sends to somebody until it is over; returns how many.
async fn press(mut socket: Socket, to: i64, is_over: Arc<AtomicBool>) -> i64 {
    let content = "好".repeat(CHARS);
    let mut ticks = tokio::time::interval(PAUSE);
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let key = sent.to_string();
        let send =
            json!({"type": "send", "clientMsgId": key, "targetUserId": to, "content": content});
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

/// A client that may stop reading.
struct Reader {
    person: Person,
    socket: Socket,
    cursor: i64,
}

impl Reader {
    async fn open(person: Person) -> Self {
        let mut socket = person.connect_narrowly().await;
        socket.send(&json!({"type": "hello"})).await;
        socket.expect("ready").await;
        Self { person, socket, cursor: 0 }
    }

    /// Reads until it stops; the socket stays open.
    async fn read(mut self, stop: CancellationToken) -> Self {
        while let Some(event) = stop.run_until_cancelled(self.socket.expect("event")).await {
            self.cursor += 1;
            assert_eq!(event["seq"], self.cursor);
        }
        self
    }

    /// Comes back, and is shown the rest of so many events.
    async fn resume(self, count: i64) {
        let (mut back, ready) = self.person.hello(&json!({"since": self.cursor})).await;
        assert_eq!(ready["lastSeq"], count);
        for seq in self.cursor + 1..=count {
            let event = back.expect("event").await;
            assert_eq!(event["seq"], seq);
            assert_eq!(event["chat"]["content"], "好".repeat(CHARS));
        }
    }
}

/// Two others who chat.
struct Others {
    from: Socket,
    to: (Person, Socket),
    sent: u64,
}

impl Others {
    /// The 99th percentile of how long chats take from one socket to the other, until it is over.
    async fn p99(&mut self, is_over: impl Fn() -> bool) -> Duration {
        let mut took = Vec::new();
        while !is_over() || took.len() < 100 {
            self.sent += 1;
            let (key, target) = (self.sent.to_string(), self.to.0.id);
            let begun = Instant::now();
            let send = json!({"type": "send", "clientMsgId": key, "targetUserId": target, "content": "hi"});
            self.from.send(&send).await;
            self.to.1.expect("event").await;
            took.push(begun.elapsed());
            self.from.expect("sent").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }
}

/// How many bytes the kernel holds for each of the server's connections that clients have not taken.
fn held(server: &Server) -> Vec<usize> {
    let port = format!(":{:04X}", server.addr.port());
    let established = "01";
    let table = server.proc("net/tcp");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields[1].ends_with(&port) && fields[3] == established)
        .map(|fields| usize::from_str_radix(fields[4].split(':').next().unwrap(), 16).unwrap())
        .collect()
}

/// What was seen while clients did not read.
#[derive(Debug, Default)]
struct Observed {
    /// The moment from which the kernel took no more for any of them.
    full: Duration,
    /// The moment from which all were closed.
    closed: Duration,
    /// The most that the kernel held for one.
    held: usize,
    /// The most that the service held in all.
    resident: u64,
}

/// Observes until all were closed as too slow.
async fn observe(server: &Server) -> Observed {
    let (begun, mut observed, mut is_full) = (Instant::now(), Observed::default(), false);
    loop {
        let held = held(server);
        observed.resident = observed.resident.max(server.resident());
        observed.held = observed.held.max(held.iter().copied().max().unwrap_or_default());
        let closed = server.metric(r#"imserver_socket_ends_total{code="4408"}"#).await;
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a count")]
        let closed = closed as usize;
        if !is_full && held.iter().filter(|held| **held >= UNSENT).count() + closed >= STUCK {
            (is_full, observed.full) = (true, begun.elapsed());
        }
        if closed == STUCK {
            observed.closed = begun.elapsed();
            return observed;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "{closed} of {STUCK} are closed: {observed:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_reading_cost_nobody_else_anything() {
    let start = Start::default().set("limits.enabled", false).set("log.filter", "warn");
    let server = start.set("chat.max_content_chars", 15_000).run();
    let (stop, is_over) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let (mut reading, mut pressing) = (JoinSet::new(), JoinSet::new());
    for n in 0..STUCK {
        let from = server.person(&format!("from {n}")).await.online().await;
        let reader = Reader::open(server.person(&format!("to {n}")).await).await;
        let (id, is_over) = (reader.person.id, Arc::clone(&is_over));
        pressing.spawn(async move { (id, press(from, id, is_over).await) });
        reading.spawn(reader.read(stop.clone()));
    }
    // Last: a socket that nobody reads answers no pings, and a hundred can take a minute.
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (from, to) = (zhang.online().await, li.online().await);
    let mut others = Others { from, to: (li, to), sent: 0 };

    let calm = Instant::now();
    let p99_calm = others.p99(|| calm.elapsed() >= CALM).await;
    let resident = server.resident();
    stop.cancel();
    let readers = reading.join_all().await;
    let is_closed = AtomicBool::new(false);
    let observing = async {
        let observed = observe(&server).await;
        is_closed.store(true, Ordering::Relaxed);
        observed
    };
    let (observed, p99) = tokio::join!(observing, others.p99(|| is_closed.load(Ordering::Relaxed)));
    let pressed = calm.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let sent: HashMap<_, _> = pressing.join_all().await.into_iter().collect();

    let figures = Figures::of("clients_that_stop_reading");
    figures.count("clients", STUCK).count("chats of 10 KB", sent.values().sum::<i64>());
    figures.time("pressed for", pressed);
    figures.time("the kernel takes no more after", observed.full);
    figures.bytes("held at most for each", observed.held);
    figures.time("all closed after", observed.closed);
    figures.bytes("memory before", resident).bytes("memory at most", observed.resident);
    figures.bytes("memory after", server.resident());
    figures.time("p99 of others before", p99_calm).time("p99 of others meanwhile", p99);
    assert!(observed.closed < observed.full + CLOSED_WITHIN, "{observed:?}");
    assert!(observed.held <= HELD, "{observed:?}");
    assert!(observed.resident < resident + MEMORY, "{resident}, then {observed:?}");
    assert!(p99 < 2 * p99_calm + Duration::from_millis(500), "{p99:?} against {p99_calm:?}");
    // Nothing is missing for those who come back.
    for reader in readers {
        let count = sent[&reader.person.id];
        reader.resume(count).await;
    }
}
