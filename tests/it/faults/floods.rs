//! What clients can pile up at a socket, piled up: it is bounded, and others go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    faults::memory::raise_own_limit,
    harness::{DEADLINE, Figures, Person, Server, Socket, Start, eventually},
};

/// What the service may take beside what it has: the kernel's part is not its own.
const MEMORY: u64 = 24 * 1_024 * 1_024;

/// Sockets of each kind that send and do not read.
const STUCK: usize = 4;

/// A frame of a client, as its bytes; the mask is zero.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    assert!(len <= 125);
    [&[head, 0x80 | len, 0, 0, 0, 0][..], payload].concat()
}

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Writes these bytes again and again, until the service has closed the connection.
async fn pour(mut to: impl AsyncWriteExt + Unpin, bytes: Vec<u8>, pause: Duration) {
    while to.write_all(&bytes).await.is_ok() {
        tokio::time::sleep(pause).await;
    }
}

/// The close code in what a server wrote; 1006 if there is none.
fn close_code(mut bytes: &[u8]) -> u16 {
    while let [head, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            len => (usize::from(*len), rest),
        };
        if *head == 0x88 {
            return u16::from_be_bytes([rest[0], rest[1]]);
        }
        bytes = rest.get(len..).unwrap_or_default();
    }
    1006
}

/// Pours into a socket, reads all that comes, and returns how it was closed, and after what time.
async fn poured(socket: Socket, begin: Vec<u8>, bytes: Vec<u8>) -> (u16, Duration) {
    let (mut reading, mut writing) = socket.into_stream().into_inner().into_split();
    let begun = Instant::now();
    let pouring = tokio::spawn(async move {
        if writing.write_all(&begin).await.is_ok() {
            pour(writing, bytes, Duration::from_millis(1)).await;
        }
    });
    let mut heard = Vec::new();
    // A reset ends it too, after what had come.
    let end = tokio::time::timeout(2 * DEADLINE, reading.read_to_end(&mut heard)).await;
    pouring.abort();
    assert!(end.is_ok(), "it is still open");
    (close_code(&heard), begun.elapsed())
}

/// A connection that holds little of what is not read.
async fn narrow(server: &Server) -> TcpStream {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4_096).unwrap();
    tcp.connect(server.addr).await.unwrap()
}

/// Sockets that say nothing, that have said hello, and legacy ones.
async fn unread(server: &Server) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for n in 0..STUCK {
        let person = server.person(&format!("person {n}")).await;
        sockets.push(person.connect_narrowly().await);
        let mut greeted = person.connect_narrowly().await;
        greeted.send(&json!({"type": "hello"})).await;
        greeted.expect("ready").await;
        sockets.push(greeted);
        let path = format!("/imserver/{}", 900 + n);
        let legacy = Socket::over(narrow(server).await, &path, &[]).await;
        sockets.push(legacy.ok().unwrap());
    }
    sockets
}

/// Somebody sends to somebody else, who receives it.
async fn chat(from: &mut Socket, to: (&Person, &mut Socket), key: &str) {
    let send =
        json!({"type": "send", "clientMsgId": key, "targetUserId": to.0.id, "content": "你好"});
    from.send(&send).await;
    to.1.expect("event").await;
    from.expect("sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pongs_that_nobody_reads_do_not_pile_up() {
    let server = Start::default().set("limits.enabled", false).set("log.filter", "warn").run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let sockets = unread(&server).await;
    let before = server.resident();
    let mut pouring = JoinSet::new();
    for socket in sockets {
        let pings = frame(PING, &[b'x'; 125]).repeat(500);
        let tcp = socket.into_stream().into_inner();
        pouring.spawn(pour(tcp, pings, Duration::from_millis(100)));
    }
    let (begun, mut most, mut sent) = (Instant::now(), 0, 0);
    while !pouring.is_empty() {
        assert!(begun.elapsed() < 2 * DEADLINE, "{} are still open", pouring.len());
        while pouring.try_join_next().is_some() {}
        most = most.max(server.resident());
        sent += 1;
        chat(&mut at_zhang, (&li, &mut at_li), &sent.to_string()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let figures = Figures::of("flood_of_legacy_frames");
    figures.bytes("memory before", before).bytes("memory at most", most);
    figures.count("chats meanwhile", sent);
    assert!(most < before + MEMORY, "{before}, then {most}");
    // Those that did not say hello in time may have been closed for that.
    let slow = r#"imserver_socket_ends_total{code="4408"}"#;
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    eventually("they are closed as slow readers", async || {
        server.metric(slow).await >= 2.0 * STUCK as f64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_closes_long_before_ten_seconds() {
    let server = Start::default().set("log.filter", "warn").run();
    let zhang = server.person("张三").await;
    for flood in [frame(PING, b""), frame(PONG, b""), frame(TEXT, br#"{"type":"ping"}"#)] {
        let socket = zhang.online().await;
        let (code, took) = poured(socket, Vec::new(), flood.repeat(100)).await;
        assert_eq!(code, 4429);
        assert!(took < Duration::from_secs(8), "{took:?}");
    }
    // An outbox that was filled in a tunnel is no flood.
    let mut socket = zhang.online().await;
    for _ in 0..500 {
        socket.send(&json!({"type": "ping"})).await;
    }
    for _ in 0..500 {
        socket.expect("pong").await;
    }
    socket.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_fragments_without_end_is_too_big() {
    let server = Start::default().set("log.filter", "warn").run();
    let zhang = server.person("张三").await;
    let begin = frame(TEXT_BEGINS, b"");
    let nothing = frame(CONTINUES, b"").repeat(1_000);
    // As it were alive.
    let with_pongs = [nothing.clone(), frame(PONG, b"")].concat();
    for fragments in [nothing, with_pongs] {
        for socket in [zhang.connect().await, zhang.online().await] {
            let (code, took) = poured(socket, begin.clone(), fragments.clone()).await;
            assert_eq!(code, 1009, "after {took:?}");
        }
    }
    // What is cut small and ends is a message.
    let mut stream = zhang.online().await.into_stream();
    let ping = br#"{"type":"ping"}"#;
    let mut bytes = frame(TEXT_BEGINS, b"");
    for byte in ping {
        bytes
            .extend([frame(CONTINUES, b""), frame(PING, b""), frame(CONTINUES, &[*byte])].concat());
    }
    bytes.extend(frame(0x80, b""));
    stream.get_mut().write_all(&bytes).await.unwrap();
    let pong = async {
        loop {
            if let Message::Text(text) = stream.next().await.unwrap().unwrap() {
                break text;
            }
        }
    };
    assert_eq!(tokio::time::timeout(DEADLINE, pong).await.unwrap(), r#"{"type":"pong"}"#);
    stream.close(None).await.unwrap();
}

/// More than the 1,024 that the runtime's own way to listen lets wait.
const AT_ONCE: usize = 1_500;

#[tokio::test]
async fn as_many_connect_at_once_as_the_kernel_lets_wait() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let at_once = AT_ONCE.min(allowed.trim().parse().unwrap());
    raise_own_limit();
    let server = Start::default().run();
    server.freeze();
    let mut connecting: JoinSet<_> =
        (0..at_once).map(|_| TcpStream::connect(server.addr)).collect();
    let mut connected = Vec::new();
    // Those for whom there is no room would try again for ever.
    let all = async {
        while let Some(stream) = connecting.join_next().await {
            connected.push(stream.unwrap().unwrap());
        }
    };
    let ended = tokio::time::timeout(DEADLINE, all).await;
    server.thaw();
    assert!(ended.is_ok(), "{} of {at_once} have connected", connected.len());
    server.get("/healthz").await;
}

/// What a legacy socket may be sent at once, and in a second.
const SNAPSHOT_BURST: u64 = 1_024 * 1_024;
const SNAPSHOTS_PER_SEC: u64 = 256 * 1_024;

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_socket_costs_a_rate_of_bytes_and_ends_with_the_last_chat() {
    let start = Start::default().set("limits.enabled", false).set("log.filter", "warn");
    let server = start.run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut from = zhang.online().await;
    let send = |n: usize, content: &str| {
        json!({"type": "send", "clientMsgId": n.to_string(), "targetUserId": li.id,
            "content": content})
    };
    let heavy = "好".repeat(2_000);
    for n in 0..100 {
        from.send(&send(n, &heavy)).await;
        from.expect("sent").await;
    }
    let offers = format!("bearer.{}", li.token);
    let headers = [("sec-websocket-protocol", offers.as_str())];
    let path = format!("/imserver/{}", li.id);
    let legacy = Socket::open(server.addr, &path, &headers).await.ok().unwrap();
    let (begun, bytes) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let received = Arc::clone(&bytes);
    let reading = tokio::spawn(async move {
        let mut stream = legacy.into_stream();
        loop {
            let Some(Ok(Message::Text(text))) = stream.next().await else { continue };
            received.fetch_add(text.len() as u64, Ordering::Relaxed);
            let chats: Vec<Value> = serde_json::from_str(&text).unwrap();
            if chats.last().unwrap()["content"] == "the last" {
                break text.len() as u64;
            }
        }
    });
    for n in 100..160 {
        from.send(&send(n, &heavy)).await;
        from.expect("sent").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    from.send(&send(160, "the last")).await;
    from.expect("sent").await;
    let snapshot = tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
    let (bytes, took) = (bytes.load(Ordering::Relaxed), begun.elapsed());
    let figures = Figures::of("snapshots_of_a_legacy_socket");
    figures.bytes("sent", bytes).time("within", took).bytes("a snapshot", snapshot);
    // It may owe one snapshot.
    let most = SNAPSHOT_BURST + SNAPSHOTS_PER_SEC * (took.as_secs() + 1) + snapshot;
    assert!(bytes <= most, "{bytes} bytes, more than {most}");
}
