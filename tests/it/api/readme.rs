//! The tours of both READMEs, run as they stand.

use std::{path::Path, process::Command, time::Instant};

use serde_json::Value;

use crate::harness::{DEADLINE, Server};

const ENGLISH: &str = include_str!("../../../README.md");
const CHINESE: &str = include_str!("../../../README.zh-CN.md");
const CLIENT: &str = include_str!("../../../examples/chat.py");

/// Where the READMEs have the service.
const ADDRESS: &str = "127.0.0.1:8080";

/// The file with what the tour prints.
const OUTPUT: &str = "printed";

/// Printed between two blocks.
const MARK: &str = "-- the next block --";

/// The blocks that are marked `sh`. Those that build or fetch something are `console`.
fn blocks(readme: &str) -> Vec<&str> {
    readme.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Runs the tour in one shell; returns what each block printed.
fn tour(readme: &str, server: &Server) -> Vec<String> {
    let addr = server.addr.to_string();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("examples")).unwrap();
    let client = home.path().join("examples/chat.py");
    std::fs::write(client, CLIENT.replace(ADDRESS, &addr)).unwrap();

    let mark = format!("\necho '{MARK}'\n");
    let script = blocks(readme).join(&mark).replace(ADDRESS, &addr);
    // A person waits a second for the client to be ready; here it may take as long as it takes.
    let until_ready = format!("until grep -q '\"ready\"' {OUTPUT}; do sleep 0.05; done");
    assert_eq!(script.matches("\nsleep 1\n").count(), 1, "the tour waits once");
    let script = script.replace("sleep 1", &until_ready);

    let output = run(home.path(), &format!("set -eu\n{script}\n"));
    output.split(&format!("{MARK}\n")).map(str::to_owned).collect()
}

/// Runs a script with the shell; it must succeed, and in time.
fn run(home: &Path, script: &str) -> String {
    let [out, err] = [OUTPUT, "errors"].map(|name| home.join(name));
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .current_dir(home)
        .env("PYTHONUTF8", "1")
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = shell.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > DEADLINE {
            shell.kill().unwrap();
            shell.wait().unwrap();
            break None;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let [out, err] = [out, err].map(|path| std::fs::read_to_string(path).unwrap());
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{out}\n{err}");
    assert_eq!(err, "", "{out}");
    out
}

/// The JSON that a block printed, whether or not each began a line: two programs print at once.
fn json(block: &str) -> Vec<Value> {
    let lines: String = block.lines().filter(|line| line.starts_with(['{', '['])).collect();
    serde_json::Deserializer::from_str(&lines).into_iter().map(Result::unwrap).collect()
}

async fn the_tour_works(readme: &'static str) {
    let server = Server::start();
    let server = tokio::task::spawn_blocking(move || (tour(readme, &server), server));
    let (printed, _server) = server.await.unwrap();
    let [login, send, repeat, socket, resume, look, group, legacy, logout] = &printed[..] else {
        panic!("{} blocks", printed.len());
    };
    assert!(login.contains("1000000") && login.contains("1000001"), "{login}");

    // The answer and the two frames may come in either order.
    let lines = json(send);
    let of = |kind: &str| lines.iter().find(|line| line["type"] == kind).unwrap();
    let sent = lines.iter().find(|line| line.get("type").is_none()).unwrap();
    assert_eq!((lines.len(), &sent["seq"]), (3, &Value::from(1)), "{send}");
    assert_eq!((&of("ready")["userId"], &of("ready")["lastSeq"]), (&1_000_001.into(), &0.into()));
    assert_eq!((&of("event")["chat"], &sent["chat"]["content"]), (&sent["chat"], &"你好".into()));
    assert_eq!(json(repeat), std::slice::from_ref(sent));

    let lines = json(socket);
    assert_eq!((lines.len(), &lines[1]["type"]), (2, &"sent".into()), "{socket}");
    assert_eq!((&lines[1]["seq"], &lines[1]["chat"]["content"]), (&2.into(), &"在吗？".into()));

    let lines = json(resume);
    let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_i64()).collect();
    assert_eq!(seqs, [None, Some(1), Some(2)], "{resume}");

    let [conversations, events] = &json(look)[..] else { panic!("{look}") };
    assert_eq!(conversations["conversations"][0]["unread"], 2);
    assert_eq!(events["events"].as_array().unwrap().len(), 2);

    let lines = json(group);
    let told: Vec<_> = lines.iter().map(|line| line["event"].as_str()).collect();
    assert_eq!(told, [None, Some("chat"), Some("conversation"), None, Some("changed")], "{group}");
    assert_eq!(lines[1]["chat"]["body"]["event"], "group_created");
    assert_eq!(
        (&lines[2]["conversation"]["title"], &lines[3]["type"]),
        (&"周末爬山".into(), &"sent".into())
    );
    assert_eq!(lines[3]["chat"]["mentions"], Value::from(vec![1_000_001]));
    assert_eq!(
        (&lines[4]["chat"]["state"], &lines[4]["chat"]["content"]),
        (&"recalled".into(), &"".into())
    );

    assert!(legacy.contains("MSG SEND SUCCESS"), "{legacy}");
    assert_eq!(json(legacy)[0][0]["content"], "你好");
    assert_eq!(json(logout)[0]["code"], "unauthorized");
}

#[tokio::test]
async fn the_english_tour_works() {
    the_tour_works(ENGLISH).await;
}

#[tokio::test]
async fn the_chinese_tour_works() {
    the_tour_works(CHINESE).await;
}

#[test]
fn both_tours_are_the_same_but_for_the_language() {
    let commands = |readme| {
        let lines = blocks(readme).join("\n");
        lines.lines().filter(|line| !line.starts_with("echo")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(commands(ENGLISH), commands(CHINESE));
}

#[test]
fn the_version_of_rust_that_is_named_is_the_one_that_is_needed() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    for (text, words) in [
        (ENGLISH, format!("Rust {needed} or newer")),
        (CHINESE, format!("Rust {needed} 以上")),
        (include_str!("../../../dev"), format!("Install Rust, {needed} or newer")),
    ] {
        assert!(text.contains(&words), "{words}");
    }
}
