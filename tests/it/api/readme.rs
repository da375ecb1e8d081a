//! The tours of both READMEs, run as they stand.

use serde_json::Value;

use crate::harness::{
    Server,
    tour::{self, OUTPUT, commands, json},
};

const ENGLISH: &str = include_str!("../../../README.md");
const CHINESE: &str = include_str!("../../../README.zh-CN.md");
const CLIENT: &str = include_str!("../../../examples/chat.py");

/// Where the READMEs have the service.
const ADDRESS: &str = "127.0.0.1:8080";

/// Runs the tour; returns what each block printed.
fn run_tour(readme: &str, server: &Server) -> Vec<String> {
    let addr = server.addr.to_string();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("examples")).unwrap();
    let client = home.path().join("examples/chat.py");
    std::fs::write(client, CLIENT.replace(ADDRESS, &addr)).unwrap();
    // A person waits a second for the client to be ready; here it may take as long as it takes.
    let until_ready = format!("\nuntil grep -q '\"ready\"' {OUTPUT}; do sleep 0.05; done\n");
    tour::run(home.path(), readme, &[(ADDRESS, &addr), ("\nsleep 1\n", &until_ready)])
}

async fn the_tour_works(readme: &'static str) {
    let server = Server::start();
    let server = tokio::task::spawn_blocking(move || (run_tour(readme, &server), server));
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
