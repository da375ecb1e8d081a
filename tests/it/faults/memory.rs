//! What an idle connection costs in memory, in the whole service.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::harness::{Figures, Server, Socket, Start};

/// The aim, in bytes.
const AIM: u64 = 6 * 1_024;

/// How many handshakes are under way at a time.
const TOGETHER: usize = 64;

/// How long the server has to end what a handshake begins.
const SETTLE: Duration = Duration::from_secs(3);

/// Sockets of as many people, all of which have said hello.
async fn idle(server: &Server, people: std::ops::Range<usize>) -> Vec<Socket> {
    let opening = stream::iter(people).map(async |n| {
        let person = server.person(&format!("person {n}")).await;
        person.hello(&json!({"deviceId": format!("phone {n}")})).await.0
    });
    opening.buffer_unordered(TOGETHER).collect().await
}

/// The limit of file descriptors of a process, from `/proc`: soft and hard.
fn descriptors(server: &Server) -> (String, String) {
    let limits = server.proc("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut words = line.split_whitespace().skip(3).map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// Lets this process have as many files as it may; how many.
pub(super) fn raise_own_limit() -> Option<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum
}

/// Bytes that each of so many idle connections adds to the server's resident memory.
async fn cost(connections: usize) -> u64 {
    let start = Start::default().set("limits.enabled", false).set("log.filter", "info");
    let server = start.run();
    // What the first connections cost once is not what each costs.
    let first = idle(&server, 0..TOGETHER).await;
    tokio::time::sleep(SETTLE).await;
    let before = server.resident();
    let sockets = idle(&server, TOGETHER..TOGETHER + connections).await;
    tokio::time::sleep(SETTLE).await;
    let after = server.resident();
    let (soft, hard) = descriptors(&server);
    let each = (after - before) / connections as u64;
    let figures = Figures::of(format!("memory_of_{}_connections", sockets.len()));
    figures.bytes("each", each).bytes("in all", after);
    figures.note("file descriptors, soft", soft.into(), "");
    figures.note("file descriptors, hard", hard.into(), "");
    drop((first, sockets));
    each
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of the release build: cargo test --release --test it -- --ignored memory"]
async fn an_idle_connection_costs_at_most_6_kib() {
    raise_own_limit();
    let connections = std::env::var("CONNECTIONS").map_or(10_000, |n| n.parse().unwrap());
    assert!(cost(connections).await <= AIM);
}

#[tokio::test]
async fn the_limit_of_file_descriptors_is_raised() {
    // As systems begin processes: with a soft limit that is far below the hard one.
    let server = Start::default().soft_files(256).run();
    let (soft, hard) = descriptors(&server);
    assert_ne!(hard, "256");
    assert_eq!(soft, hard);
}
