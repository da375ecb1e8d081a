//! Whoever reads the logs and the greeting may stop, or be gone: the service goes on.

use std::{
    fs::File,
    io::{PipeReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    DEADLINE, Person, Run, eventually,
    process::Running,
    server::{http_client, json_of},
};

/// What a pipe holds before a write waits.
const PIPE: usize = 64 * 1_024;

/// What the queue of lines may take, and as much again for the allocator.
const MEMORY: u64 = 16 * 1_024 * 1_024;

/// A pipe that is full, and that nobody reads.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE]).unwrap();
    (reader, writer)
}

/// A service whose standard error is full from the first line on, and logs everything.
fn unread(home: &Path) -> (Running, PipeReader) {
    let (reader, writer) = full_pipe();
    let run = Run::new(home, &["--set", "log.filter=trace", "--set", "limits.enabled=false"]);
    (run.on_free_ports().stderr(writer).serving(), reader)
}

async fn person(service: &Running, name: &str) -> Person {
    let http = http_client();
    let login = http.post(format!("http://{}/v1/login/demo", service.addr));
    let answer = login.body(json!({"name": name}).to_string()).send().await.unwrap();
    Person::logged_in(answer, service.addr, &http).await
}

/// Has it log much more than its queue of lines may hold, and shows that it works meanwhile.
async fn log_much(service: &Running) {
    let (zhang, li) = (person(service, "张三").await, person(service, "李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let dropped = async || {
        let (_, rest) = service.greeting.split_once("metrics      ").unwrap();
        let url = rest.lines().next().unwrap();
        let metrics = http_client().get(url).send().await.unwrap().text().await.unwrap();
        metrics.lines().any(|line| line.starts_with("imserver_log_lines_dropped_total "))
    };
    let before = service.resident();
    let (begun, mut key) = (Instant::now(), 0);
    while !dropped().await {
        assert!(begun.elapsed() < 2 * DEADLINE, "after {key} chats nothing was dropped");
        for _ in 0..20 {
            key += 1;
            let send = json!({"type": "send", "clientMsgId": key.to_string(),
                "targetUserId": li.id, "content": "你好"});
            at_zhang.send(&send).await;
            at_zhang.expect("sent").await;
            at_li.expect("event").await;
        }
    }
    let after = service.resident();
    assert!(after < before + MEMORY, "{before}, then {after}");
    let url = format!("http://{}/healthz", service.addr);
    let health = http_client().get(url).timeout(DEADLINE).send().await.unwrap();
    assert_eq!(json_of(health).await["status"], "ok");
}

#[tokio::test]
async fn logs_that_nobody_reads_stop_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (mut service, _unread) = unread(home.path());
    log_much(&service).await;
    let begun = Instant::now();
    service.signal("TERM");
    let status = service.ended();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn whoever_reads_again_is_told_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let (mut service, mut reader) = unread(home.path());
    log_much(&service).await;
    let reading = std::thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        log
    });
    // What was logged last is not lost: there is room again.
    person(&service, "王五").await;
    service.signal("TERM");
    assert!(service.ended().success());
    let log = reading.join().unwrap();
    let lines = log.lines().filter(|line| !line.is_empty());
    let lines: Vec<serde_json::Value> =
        lines.map(|line| serde_json::from_str(line).expect(line)).collect();
    let says = |line: &&serde_json::Value, what: &str| {
        line["message"].as_str().is_some_and(|message| message.contains(what))
    };
    let gap = lines.iter().find(|line| says(line, "lines were dropped")).unwrap();
    assert!(gap["lines"].as_u64().unwrap() > 0, "{gap}");
    assert!(lines.iter().any(|line| says(&line, "stopped")), "the end is missing");
}

#[test]
fn a_refusal_that_nobody_reads_ends_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let (_unread, writer) = full_pipe();
    for args in [["--set", "log.format=loud"], ["--set", "database.url=sqlite:///proc/none/x.db"]] {
        let run = Run::new(home.path(), &args).stderr(writer.try_clone().unwrap());
        assert!(!run.on_free_ports().ended().status.success());
    }
}

/// An address that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_greeting_that_cannot_be_written_stops_nothing() {
    let closed = || std::io::pipe().unwrap().1;
    let (_unread, full) = full_pipe();
    let device = File::options().write(true).open("/dev/full").unwrap();
    for stdout in [Stdio::from(device), closed().into(), full.into()] {
        let home = tempfile::tempdir().unwrap();
        let addr = free();
        let run = Run::new(home.path(), &["--listen", &addr.to_string()]);
        let run = run.env("IMSERVER__METRICS__LISTEN", "127.0.0.1:0").stdout(stdout);
        let mut service = run.stderr(closed()).started(addr);
        let url = format!("http://{addr}/healthz");
        let http = http_client();
        eventually("it answers", async || {
            http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        service.signal("TERM");
        assert!(service.ended().success());
    }
}

#[test]
fn a_command_whose_answer_cannot_be_written_fails_without_a_panic() {
    let home = tempfile::tempdir().unwrap();
    let device = File::options().write(true).open("/dev/full").unwrap();
    let ended = Run::new(home.path(), &["migrate"]).stdout(device).ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
