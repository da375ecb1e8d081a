//! Crowds: connections that send nothing, and phones that all come back at once.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use rand::Rng;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::metric;
use crate::harness::{
    DEADLINE, Figures, Person, Redis, Seen, Server, Socket, Start, eventually, postgres,
};

/// Opens connections that send this much and then nothing; they stay open for as long as the server
/// lets them.
async fn silent(addr: SocketAddr, count: usize, head: &'static [u8]) -> Vec<TcpStream> {
    let open = |_| async move {
        loop {
            // What the server has no place for is tried again, as an attacker does.
            if let Ok(mut stream) = TcpStream::connect(addr).await {
                let _ = stream.write_all(head).await;
                return stream;
            }
        }
    };
    stream::iter(0..count).map(open).buffer_unordered(200).collect().await
}

/// Waits until the server closes it.
async fn ended(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "it is open still");
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{rest:?}");
}

const HALVES: [&[u8]; 3] = [
    b"",
    b"GET /imserver/1 HTTP/1.1\r\nhost: localhost\r\nupg",
    b"POST /v1/login/demo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
];

#[tokio::test]
async fn the_one_that_has_been_silent_longest_makes_room() {
    for half in HALVES {
        let server = Start::default().set("server.waiting_connections", 10).run();
        let zhang = server.person("张三").await;
        let first = silent(server.addr, 10, half).await;
        eventually("all of them wait", || async {
            metric(&server, "imserver_connections_waiting", "").await >= 10.0
        })
        .await;
        let second = silent(server.addr, 10, half).await;
        join_all(first.into_iter().map(ended)).await;
        // A request needs a place for a moment only, and finds it.
        zhang.get_json("/v1/me").await;
        zhang.online().await.expect_quiet().await;
        drop(second);
    }
}

#[tokio::test]
async fn five_thousand_silent_connections_keep_nobody_out() {
    imserver::descriptors::raise_limit();
    // As many descriptors as many a machine gives: fewer than the crowd would take.
    let server = Start::default()
        .set("limits.handshakes_per_min", 1_000_000)
        .set("log.filter", "info")
        .files(2_000)
        .run();
    let zhang = server.person("张三").await;
    let mut crowd = Vec::new();
    for (half, count) in HALVES.into_iter().zip([2_000, 1_500, 1_500]) {
        crowd.extend(silent(server.addr, count, half).await);
    }
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let socket = zhang.online().await;
        times.push(begun.elapsed());
        drop(socket);
    }
    times.sort_unstable();
    let figures = Figures::of("connecting_in_a_crowd");
    figures.time("p50", times[100]).time("p99", times[197]).time("longest", times[199]);
    assert!(times[197] < Duration::from_secs(5), "{:?}", times[197]);
    assert!(metric(&server, "imserver_connections_closed_total", "silent").await >= 3_000.0);
    drop(crowd);
}

#[tokio::test]
async fn whoever_is_not_admitted_is_told_to_come_back() {
    let server = Start::default()
        .set("server.handshakes_at_once", 1)
        .set("server.handshakes_waiting", 0)
        .run();
    let zhang = server.person("张三").await;
    let offers = format!("imserver.v1, bearer.{}", zhang.token);
    let path = format!("/imserver/{}", zhang.id);
    let knock = || async {
        let headers = [("sec-websocket-protocol", offers.as_str())];
        match Socket::open(server.addr, &path, &headers).await {
            Ok(_) => 101,
            Err(refused) => {
                let wait = refused.headers()["retry-after"].to_str().unwrap();
                assert!((1..=4).contains(&wait.parse::<u64>().unwrap()));
                refused.status().as_u16()
            }
        }
    };
    eventually("one of many that come at once is turned away", || async {
        let answers = join_all((0..10).map(|_| knock())).await;
        assert!(answers.contains(&101), "{answers:?}");
        assert!(answers.iter().all(|answer| [101, 503].contains(answer)), "{answers:?}");
        answers.contains(&503)
    })
    .await;
    assert!(metric(&server, "imserver_handshakes_total", "unavailable").await >= 1.0);
    assert!(metric(&server, "imserver_handshakes_in_flight", "").await < 1.5);
}

/// Phones on one replica of three, which dies: they all come back, from one address, at once, and
/// again and again as the contract says.
async fn storm(phones: usize) {
    imserver::descriptors::raise_limit();
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().to_owned();
    let start = || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", Redis::shared().url())
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .set("log.filter", "warn")
            .run()
    };
    let (mut dying, others): (Server, [Server; 2]) = (start(), [start(), start()]);
    let log_in = |number: usize| {
        let server: &Server = &others[number % 2];
        async move { server.person(&format!("phone {number}")).await }
    };
    let people: Vec<Person> =
        stream::iter(0..phones).map(log_in).buffer_unordered(50).collect().await;
    let connect = |phone: Person| async move {
        let (socket, _) = phone.hello(&json!({"since": 0})).await;
        (phone, socket)
    };
    let there = people.iter().map(|phone| phone.at(&dying));
    let online: Vec<_> = stream::iter(there).map(connect).buffer_unordered(50).collect().await;
    assert_eq!(online.len(), phones);

    dying.kill();
    let begun = Instant::now();
    let back = online.into_iter().enumerate().map(|(number, (phone, mut socket))| {
        let phone = phone.at(&others[number % 2]);
        tokio::spawn(async move {
            assert_eq!(socket.closed().await, 1006);
            drop(socket);
            come_back(&phone, begun).await
        })
    });
    let mut times = Vec::new();
    let mut sockets = Vec::new();
    let mut attempts = 0;
    for back in join_all(back).await {
        let (socket, time, tries) = back.unwrap();
        sockets.push(socket);
        times.push(time);
        attempts += tries;
    }
    times.sort_unstable();
    let refused = refusals(&others).await;
    let figures = Figures::of(format!("crowd_of_{phones}_phones"));
    figures.time("half are back after", times[phones / 2]);
    figures.time("99 % are back after", times[phones * 99 / 100]);
    figures.time("all are back after", times[phones - 1]);
    figures.count("attempts", attempts).amount("refused", refused, "");
    assert!(times[phones - 1] < Duration::from_mins(1), "{:?}", times[phones - 1]);
}

/// Connects as the contract says: full jitter from 1 s to 30 s after each attempt that failed.
async fn come_back(phone: &Person, begun: Instant) -> (Socket, Duration, usize) {
    let mut longest = Duration::from_secs(1);
    for tries in 1.. {
        if let Some(mut socket) = phone.try_connect().await {
            socket.send(&json!({"type": "hello", "since": 0})).await;
            if is_ready(&mut socket).await {
                return (socket, begun.elapsed(), tries);
            }
        }
        let wait = rand::rng().random_range(Duration::ZERO..=longest);
        tokio::time::sleep(wait).await;
        longest = (longest * 2).min(Duration::from_secs(30));
    }
    unreachable!()
}

/// Waits for `ready`. A database that is too busy for it is answered by an `error` first, and asked
/// again. One process that is thousands of phones may also say hello too late.
async fn is_ready(socket: &mut Socket) -> bool {
    loop {
        match socket.next().await {
            Seen::Frame(frame) if frame["type"] == "ready" => return true,
            Seen::Frame(frame) => assert_eq!(frame["code"], "unavailable", "{frame}"),
            Seen::Closed(_) => return false,
        }
    }
}

async fn refusals(servers: &[Server]) -> f64 {
    let mut sum = 0.0;
    for server in servers {
        sum += metric(server, "imserver_handshakes_total", "unavailable").await;
        assert!(metric(server, "imserver_handshakes_total", "rate_limited").await < 0.5);
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phones_behind_one_address_come_back_together() {
    storm(600).await;
}

/// Takes 20,000 descriptors and a minute.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "for a machine of its own: cargo test --test it -- --ignored ten_thousand"]
async fn ten_thousand_phones_behind_one_address_come_back_together() {
    storm(10_000).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}", "x".repeat(64 * 1024));
    // It may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "it goes on reading");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    assert_eq!(server.get("/healthz").await.status(), 200);
}
