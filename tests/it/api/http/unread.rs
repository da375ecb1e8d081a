//! Bodies of which the service reads nothing, or not all: the answer arrives whole, and the connection
//! is not reset under it.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::harness::{DEADLINE, Server, Start, eventually};

/// Just below 4 MiB, with its framing too.
const LARGE: usize = 4_190_000;

/// How a body says where it ends.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    Length,
    Chunks,
}

impl Framing {
    /// The bytes of a request: its head without the empty line, and a body of so many zeros.
    pub fn request(self, head: &str, length: usize) -> Vec<u8> {
        let mut bytes = format!("{head}\r\n").into_bytes();
        match self {
            Self::Length => {
                bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
                bytes.resize(bytes.len() + length, b'0');
            }
            Self::Chunks => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for begun in (0..length).step_by(16 * 1024) {
                    let size = (length - begun).min(16 * 1024);
                    bytes.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                    bytes.resize(bytes.len() + size, b'0');
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

/// The head of a handshake, without the empty line.
pub const HANDSHAKE: &str = "GET /imserver/1 HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==";

/// Requests that are answered without their bodies, and the statuses of the answers.
pub fn unread() -> Vec<(String, u16)> {
    let plain = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nhost: localhost{more}");
    let forged = format!("\r\nauthorization: Bearer {}", "A".repeat(43));
    vec![
        (plain("GET /v1/service", ""), 200),
        (plain("HEAD /v1/service", ""), 200),
        (plain("GET /readyz", ""), 200),
        (plain("GET /", ""), 200),
        (plain("GET /page/app.js", ""), 200),
        (plain("OPTIONS /v1/me", "\r\norigin: http://localhost"), 200),
        (plain("GET /nothing", ""), 404),
        (plain("DELETE /v1/service", ""), 405),
        (plain("POST /v1/chats?token=x", ""), 400),
        (plain("POST /v1/login/demo", "\r\norigin: https://evil.example"), 403),
        (plain("PUT /v1/me/avatar", &forged), 401),
        (plain("POST /v1/chats", ""), 401),
        (plain("POST /v1/login/demo", ""), 413),
        // Bytes that follow a handshake would be taken for frames.
        (HANDSHAKE.to_owned(), 426),
    ]
}

/// Reads one answer whole: its status, and what came after it.
pub async fn answer(stream: &mut TcpStream, is_head: bool) -> std::io::Result<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&bytes[..end]).unwrap().to_lowercase();
            let length = head.split("\r\ncontent-length: ").nth(1);
            let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            let end = end + 4 + if is_head { 0 } else { length };
            if bytes.len() >= end {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok((status, bytes.split_off(end)));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Err(std::io::Error::other(format!("ended within an answer: {text}")));
        }
    }
}

/// Sends all of it and only then reads, as simple clients and balancers do.
async fn send(addr: SocketAddr, bytes: &[u8], is_head: bool) -> std::io::Result<(TcpStream, u16)> {
    let mut stream = TcpStream::connect(addr).await?;
    let exchange = async {
        stream.write_all(bytes).await?;
        answer(&mut stream, is_head).await
    };
    let (status, rest) = timeout(DEADLINE, exchange).await.expect("it is answered")?;
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    Ok((stream, status))
}

/// Waits for the service to close a connection, without a reset.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    assert_eq!(end.expect("it is not reset"), 0, "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn an_answer_arrives_whatever_of_the_body_nobody_reads() {
    let server = Server::start();
    for (head, expected) in unread() {
        for framing in [Framing::Length, Framing::Chunks] {
            let case = format!("{framing:?} {head}");
            let bytes = framing.request(&head, LARGE);
            let sent = send(server.addr, &bytes, head.starts_with("HEAD")).await;
            let (mut stream, status) = sent.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(status, expected, "{case}");
            // The connection stands, and takes the next request.
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            let next = timeout(DEADLINE, answer(&mut stream, false)).await.unwrap();
            assert_eq!(next.unwrap_or_else(|error| panic!("{case}: {error}")).0, 200, "{case}");
        }
    }
}

#[tokio::test]
async fn beyond_what_is_read_away_the_answer_still_arrives() {
    let server = Server::start();
    for head in ["GET /v1/service HTTP/1.1\r\nhost: localhost", HANDSHAKE] {
        for framing in [Framing::Length, Framing::Chunks] {
            let bytes = framing.request(head, LARGE + 3 * 1024 * 1024);
            let (stream, status) = send(server.addr, &bytes, false).await.unwrap();
            assert_eq!(status, if head == HANDSHAKE { 426 } else { 200 }, "{framing:?}");
            closed(stream).await;
        }
    }
    // Nor is a head that is too large reset before it is answered.
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}", "x".repeat(256 * 1024));
    let (stream, status) = send(server.addr, head.as_bytes(), false).await.unwrap();
    assert_eq!(status, 431);
    closed(stream).await;
}

#[tokio::test]
async fn who_is_still_sending_is_answered_at_once_and_not_waited_for() {
    let server = Server::start();
    let expects = "expect: 100-continue\r\ncontent-length: 1000\r\n\r\n";
    let mut streams = Vec::new();
    for (head, expected) in unread() {
        for rest in
            ["content-length: 1000000000\r\n\r\n0", "content-length: 1000\r\n\r\n0", expects]
        {
            // The one that has to read all of it before it can say what is wrong.
            if expected == 413 && !rest.starts_with("content-length: 1000000") {
                continue;
            }
            let bytes = format!("{head}\r\n{rest}");
            let sent = send(server.addr, bytes.as_bytes(), head.starts_with("HEAD")).await;
            let (stream, status) = sent.unwrap_or_else(|error| panic!("{bytes}: {error}"));
            // In particular, not 100: nobody wants the body.
            assert_eq!(status, expected, "{bytes}");
            streams.push((stream, rest.starts_with("content-length: 1000\r")));
        }
    }
    // None of these bodies ever comes. Those that nobody may wait for end at once, the others soon.
    let begun = Instant::now();
    for (stream, _) in streams.extract_if(.., |(_, waits)| !*waits) {
        closed(stream).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(4));
    for (stream, _) in streams {
        closed(stream).await;
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_bodies_for_long() {
    let mut server = Server::start();
    let head = "GET /v1/service HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n0";
    let (stream, status) = send(server.addr, head.as_bytes(), false).await.unwrap();
    assert_eq!(status, 200);
    assert!(server.terminate().await.success());
    closed(stream).await;
}

#[tokio::test]
async fn whose_body_is_too_slow_for_a_full_room_is_told() {
    let server = Start::default().set("server.waiting_connections", 4).run();
    let mut slow = TcpStream::connect(server.addr).await.unwrap();
    let head = "POST /v1/login/demo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    eventually("it waits", async || server.metric("imserver_connections_waiting").await >= 1.0)
        .await;
    let begun = Instant::now();
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(TcpStream::connect(server.addr).await.unwrap());
    }
    let told = timeout(DEADLINE, answer(&mut slow, false)).await.unwrap();
    assert_eq!(told.expect("an answer, not an end").0, 400);
    assert!(begun.elapsed() < Duration::from_secs(8), "it was the room, not the wait for a body");
    closed(slow).await;
    let zhang = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    assert_eq!(zhang.status(), 200);
}
