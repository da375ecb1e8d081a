//! The load balancer as it is delivered, in front of real replicas: what clients do wrong is theirs
//! alone, it is told to them as the contract says, and it is not logged with its query.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    api::http::unread::{Framing, HANDSHAKE, unread},
    harness::{DEADLINE, Figures, eventually, server::json_of, stack::Stack},
};

async fn up(replicas: usize) -> Stack {
    tokio::task::spawn_blocking(move || Stack::up(replicas)).await.unwrap()
}

/// What comes back for these bytes until nginx closes, or has nothing more to say.
async fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let read = async {
        let _ = timeout(DEADLINE, reading.read_to_end(&mut answer)).await;
    };
    // nginx may have said what it has to say before all is sent.
    let write = async {
        let _ = writing.write_all(bytes).await;
    };
    tokio::join!(read, write);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether nginx took a replica for dead, by its log: it tried another, or had none left.
fn has_failed(log: &str) -> bool {
    log.lines().any(|line| {
        let statuses = line.split("\"replica_status\":\"").nth(1).unwrap_or_default();
        let statuses = statuses.split('"').next().unwrap_or_default();
        statuses.contains("502") || statuses.contains("504") || statuses.contains(',')
    })
}

/// Others ask on and on while something goes on; returns how often each went well, and badly.
async fn beside<F: Future>(addr: SocketAddr, work: F) -> (F::Output, usize, Vec<String>) {
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let others: Vec<_> = (0..4)
        .map(|_| {
            let (is_over, asked) = (Arc::clone(&is_over), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let request = b"GET /v1/service HTTP/1.0\r\nhost: localhost\r\n\r\n";
                    let answer = exchange(addr, request).await;
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !answer.starts_with("HTTP/1.1 200") {
                        failed.push(answer);
                    }
                }
                failed
            })
        })
        .collect();
    let done = work.await;
    is_over.store(true, Ordering::Relaxed);
    let failed = join_all(others).await.into_iter().flat_map(Result::unwrap).collect();
    (done, asked.load(Ordering::Relaxed), failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_nobody_reads_cost_nobody_a_replica() {
    let stack = up(3).await;
    let addr = stack.addr();
    let heads = unread().into_iter().filter(|(head, _)| !head.starts_with("HEAD"));
    let attacks: Vec<_> = heads
        .flat_map(|(head, status)| {
            // One that nginx takes, one that is too large for it, and the one of the report.
            [(Framing::Chunks, 60_000), (Framing::Length, 60_000), (Framing::Chunks, 4_190_000)]
                .map(|(framing, length)| {
                    let close =
                        if head.contains("connection:") { "" } else { "\r\nconnection: close" };
                    // Zeros are no JSON.
                    let status = if status == 413 && length < 64 * 1024 { 400 } else { status };
                    (framing.request(&format!("{head}{close}"), length), status, length)
                })
        })
        .collect();
    let count = attacks.len() * 12;
    let work = stream::iter(attacks.iter().cycle().take(count))
        .map(async |(bytes, status, length)| {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let (mut reading, mut writing) = stream.split();
            let mut answer = vec![0; 12];
            let read = timeout(DEADLINE, reading.read_exact(&mut answer));
            let write = async {
                let _ = writing.write_all(bytes).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                read = read => { read.expect("it is answered").expect("whole"); }
                () = write => {}
            }
            let answer = String::from_utf8(answer).unwrap();
            let expected = [format!("HTTP/1.1 {status}"), "HTTP/1.1 413".to_owned()];
            let (own, too_large) = (answer == expected[0], answer == expected[1]);
            let case = String::from_utf8_lossy(&bytes[..20]);
            // On a busy machine the database may be too slow to be called ready.
            let busy = answer.ends_with("503") && case.contains("/readyz");
            let told = own || busy || (too_large && *length > 64 * 1024);
            assert!(told, "{case}: {answer} and not {status}");
        })
        .buffer_unordered(16)
        .collect::<Vec<()>>();
    let (_, asked, failed) = beside(addr, work).await;
    let figures = Figures::of("bodies_that_nobody_reads");
    figures.count("bodies", count).count("requests of others meanwhile", asked);
    assert!(asked >= 100, "{asked}");
    assert_eq!(failed, Vec::<String>::new());
    let log = stack.log("nginx");
    assert!(!has_failed(&log), "a replica was blamed: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_are_nobody_elses_and_are_not_written_to_disk() {
    let stack = up(2).await;
    let addr = stack.addr();
    // All but the last byte, which never comes.
    let begun = async |path: &str, sent: usize| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\ncontent-length: {}\r\n\r\n",
            sent + 1
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; sent]).await.unwrap();
        stream
    };
    let hold = async {
        let slow = join_all((0..120).map(|_| begun("/v1/login/demo", 60_000))).await;
        eventually("the replicas have them", async || {
            let written = std::fs::read_dir(stack.folder().join("nginx/body")).unwrap();
            assert_eq!(written.count(), 0, "bodies are on nginx's disk");
            let mut waiting = 0;
            for replica in &stack.replicas {
                waiting += replica.metric("imserver_connections_waiting").await;
            }
            waiting >= 120
        })
        .await;
        slow
    };
    let (slow, asked, failed) = beside(addr, hold).await;
    assert!(asked > 0);
    assert_eq!(failed, Vec::<String>::new());
    // Beyond what one address may have it is refused, in the words of the contract.
    let mut more = join_all((120..512).map(|_| begun("/v1/login/demo", 0))).await;
    let secret = "s3cret-in-a-query";
    let begun_at = Instant::now();
    let refused = loop {
        let bytes = format!("POST /v1/chats?key={secret} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        let answer = exchange(addr, bytes.as_bytes()).await;
        if !answer.starts_with("HTTP/1.1 401") {
            break answer;
        }
        assert!(begun_at.elapsed() < DEADLINE, "nobody is refused");
        more.push(begun("/v1/login/demo", 0).await);
    };
    assert_own_problem(&refused, 429, "rate_limited");
    // Who waits for their rest is the service, and not for ever.
    for mut stream in slow.into_iter().take(3) {
        let mut status = [0; 12];
        timeout(2 * DEADLINE, stream.read_exact(&mut status)).await.unwrap().unwrap();
        assert_eq!(&status, b"HTTP/1.1 400");
    }
    let log = stack.log("nginx");
    assert!(!log.contains(secret), "{log}");
    assert!(!has_failed(&log), "a replica was blamed: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_replica_dies_may_be_sent_again() {
    let stack = up(1).await;
    let person = stack.person("张三").await;
    let length = 700_000;
    let head = format!(
        "POST /v1/media HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        person.token
    );
    let mut stream = TcpStream::connect(stack.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'-'; length / 2]).await.unwrap();
    let replica = &stack.replicas[0];
    eventually("the replica has it", async || {
        replica.metric("imserver_connections_waiting").await > 0
    })
    .await;
    replica.signal("-KILL");
    let (mut reading, mut writing) = stream.split();
    let mut answer = String::new();
    let rest = vec![b'-'; length - length / 2];
    let (read, _) = tokio::join!(
        timeout(DEADLINE, reading.read_to_string(&mut answer)),
        writing.write_all(&rest)
    );
    read.expect("in time").unwrap();
    // A 413 would be final.
    assert_own_problem(&answer, 503, "unavailable");
}

/// Asserts that nginx itself says this, as the service would.
fn assert_own_problem(answer: &str, status: u16, code: &str) {
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let head = head.to_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{answer}");
    for header in [
        "\r\ncontent-type: application/problem+json",
        "\r\naccess-control-allow-origin: *",
        "\r\ncache-control: no-store",
    ] {
        assert!(head.contains(header), "no {header:?}: {answer}");
    }
    assert_eq!(head.contains("\r\nretry-after: "), matches!(status, 429 | 503), "{answer}");
    assert!(!head.contains("x-request-id"), "this was the service: {answer}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"));
    assert_eq!(problem["status"], status, "{answer}");
    assert_eq!(problem["code"], code, "{answer}");
    assert_eq!(problem["type"], format!("urn:imserver:problem:{code}"), "{answer}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_refuses_is_a_problem_document_and_its_query_is_not_logged() {
    let stack = up(1).await;
    let addr = stack.addr();
    let secret = "s3cret-in-a-query";
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close");
    let post = head(&format!("POST /v1/chats?key={secret}"));
    let picture = head(&format!("PUT /v1/me/avatar?key={secret}"));
    let bytes = |text: String| text.into_bytes();
    let refused = [
        (Framing::Length.request(&post, 64 * 1024 + 1), 413, "payload_too_large"),
        (Framing::Length.request(&post, 5_000_000), 413, "payload_too_large"),
        (Framing::Length.request(&picture, 256 * 1024 + 1), 413, "payload_too_large"),
        (bytes(format!("GET /?key={secret} HTTP/1.1\r\n\r\n")), 400, "invalid_request"),
        (
            bytes(format!("GET /?key={secret} HTTP/1.1\r\nhost: a/b\r\n\r\n")),
            400,
            "invalid_request",
        ),
        (bytes(format!("get /?key={secret} HTTP/1.1\r\nhost: a\r\n\r\n")), 400, "invalid_request"),
        (bytes(format!("GET /?key={secret} HTTP/3.7\r\nhost: a\r\n\r\n")), 400, "invalid_request"),
        (
            bytes(format!(
                "GET /?key={secret} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x\r\n\r\n"
            )),
            400,
            "invalid_request",
        ),
        (bytes(head(&format!("TRACE /?key={secret}")) + "\r\n\r\n"), 405, "method_not_allowed"),
        (
            bytes(head(&format!("GET /?key={secret}{}", "x".repeat(20_000))) + "\r\n\r\n"),
            414,
            "invalid_request",
        ),
        (
            bytes(
                head(&format!("GET /?key={secret}")) + "\r\nx: " + &"x".repeat(20_000) + "\r\n\r\n",
            ),
            431,
            "invalid_request",
        ),
        (bytes(head(&format!("GET /.problem?key={secret}")) + "\r\n\r\n"), 404, "not_found"),
    ];
    for (request, status, code) in &refused {
        assert_own_problem(&exchange(addr, request).await, *status, code);
    }
    // What the service takes, nginx takes: the service is the one to refuse these.
    for (request, expected) in [
        (Framing::Length.request(&post, 64 * 1024), "401"),
        (Framing::Chunks.request(&post, 64 * 1024), "401"),
        (Framing::Length.request(&picture, 256 * 1024), "401"),
        (Framing::Chunks.request(&picture, 256 * 1024), "401"),
        (bytes(head("GET /v1/me?token=s3cret-in-a-query") + "\r\n\r\n"), "400"),
        (bytes(head("GET /v1/me") + "\r\nx: " + &"x".repeat(13_000) + "\r\n\r\n"), "401"),
        (bytes(head("GET /wechat/push?signature=s3cret-in-a-query") + "\r\n\r\n"), "404"),
        (
            Framing::Length
                .request(&head("POST /wechat/push?signature=s3cret-in-a-query"), 64 * 1024),
            "404",
        ),
        (
            bytes(
                HANDSHAKE
                    .replace("/1 ", "/1?key=s3cret-in-a-query ")
                    .replace("connection: upgrade", "connection: upgrade, close")
                    + "\r\nauthorization: Bearer x\r\n\r\n",
            ),
            "401",
        ),
    ] {
        let answer = exchange(addr, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{expected}: {answer}");
        assert!(answer.contains("x-request-id"), "{answer}");
    }
    let person = stack.person("张三").await;
    let spaces = " ".repeat(256 * 1024);
    let answer = person.request(reqwest::Method::PUT, "/v1/me/avatar").body(spaces).send().await;
    assert_eq!(json_of(answer.unwrap()).await["code"], "invalid_image");

    stack.replicas[0].signal("-KILL");
    for line in ["GET /v1/service", "POST /v1/chats", "PUT /v1/me/avatar", "GET /imserver/1"] {
        let request = head(&format!("{line}?key={secret}")) + "\r\n\r\n";
        assert_own_problem(&exchange(addr, request.as_bytes()).await, 503, "unavailable");
    }
    let log = stack.log("nginx");
    assert!(log.contains("\"path\":\"/v1/me/avatar\"") && log.contains("\"status\":413"), "{log}");
    assert!(log.contains("\"status\":503"), "{log}");
    assert!(!log.contains(secret), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_api_is_for_the_networks_of_admin_allow_alone() {
    let stack = up(1).await;
    let ask = async |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        exchange(stack.addr(), head.as_bytes()).await
    };
    let answer = ask("/v1/admin/audit").await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("x-request-id"), "{answer}");
    // A list of users is larger than other bodies.
    let post = "POST /v1/admin/users HTTP/1.1\r\nhost: localhost\r\nconnection: close";
    let answer = exchange(stack.addr(), &Framing::Length.request(post, 300_000)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    std::fs::write(stack.folder().join("nginx/admin.allow"), "10.0.0.0/8 1;\n").unwrap();
    crate::harness::stack::send("-HUP", stack.pid("nginx"));
    eventually("nobody of this machine may", async || {
        ask("/v1/admin/audit").await.starts_with("HTTP/1.1 403")
    })
    .await;
    for target in [
        "/v1/admin",
        "/console",
        "/console/console.js",
        "/v1/admin/",
        "/v1/admin/audit?x=/v1/me",
        "/v1/admin/users/..%2F..%2Fx",
        "/v1/admin/users/../../me",
        "http://localhost/v1/admin/audit",
    ] {
        assert_own_problem(&ask(target).await, 403, "forbidden");
    }
    // What nginx takes for the same, the service does not.
    for target in [
        "//v1/admin/audit",
        "//console",
        "/v1/x/../admin/audit",
        "/v1/%61dmin/audit",
        "/V1/admin/audit",
    ] {
        let answer = ask(target).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("x-request-id"), "{answer}");
    }
    assert!(ask("/consoles").await.starts_with("HTTP/1.1 404"));
    assert!(ask("/v1/administrator").await.starts_with("HTTP/1.1 404"));
    assert!(ask("/v1/service").await.starts_with("HTTP/1.1 200"));
}
