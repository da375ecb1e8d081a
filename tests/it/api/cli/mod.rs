//! The program as somebody starts it: what it says, what it refuses, which setting wins.

mod admin;
mod data;
mod refusals;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::harness::{
    DEADLINE, Run, eventually,
    process::Running,
    server::{http_client, json_of},
};

fn home() -> TempDir {
    tempdir().unwrap()
}

async fn post(service: &Running, path: &str, token: &str, body: &Value) -> reqwest::Response {
    let url = format!("http://{}{path}", service.addr);
    let request = http_client().post(url).timeout(DEADLINE).body(body.to_string());
    request.bearer_auth(token).send().await.unwrap()
}

async fn get(service: &Running, path: &str, token: &str) -> Value {
    let url = format!("http://{}{path}", service.addr);
    let request = http_client().get(url).timeout(DEADLINE).bearer_auth(token);
    json_of(request.send().await.unwrap()).await
}

/// Logs in by this name; returns the token and the user.
async fn log_in(service: &Running, name: &str) -> (String, Value) {
    let url = format!("http://{}/v1/login/demo", service.addr);
    let body = json!({"name": name}).to_string();
    let answer = http_client().post(url).timeout(DEADLINE).body(body).send().await;
    let login = json_of(answer.unwrap()).await;
    (login["token"].as_str().unwrap().to_owned(), login["user"].clone())
}

/// The longest chat that [`longest_chat`] tries.
const MOST: usize = 12;

/// Finds `chat.max_content_chars` by sending chats to oneself: the longest that is taken.
async fn longest_chat(service: &Running) -> usize {
    let (token, user) = log_in(service, "张三").await;
    let mut longest = 0;
    for length in 1..=MOST {
        let body = json!({
            "clientMsgId": format!("k{length}"),
            "targetUserId": user["id"],
            "content": "字".repeat(length),
        });
        if post(service, "/v1/chats", &token, &body).await.status() == 201 {
            longest = length;
        }
    }
    longest
}

fn written(home: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = home.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn help_and_version_say_what_matters() {
    let home = home();
    let help = Run::new(home.path(), &["--help"]).ended();
    assert!(help.status.success() && help.stderr.is_empty());
    for word in [
        "127.0.0.1:8080",
        "./data",
        "config/default.toml",
        "IMSERVER__SECTION__KEY",
        "--config",
        "IMSERVER_CONFIG",
        "--listen",
        "--database-url",
        "--set",
        "serve",
        "migrate",
        "healthcheck",
        "admin",
        "--version",
    ] {
        assert!(help.stdout.contains(word), "{word} is not in the help:\n{}", help.stdout);
    }
    let admin = Run::new(home.path(), &["admin", "--help"]).ended();
    for word in ["rotate-epoch", "erase-user", "export-user", "api-key"] {
        assert!(admin.stdout.contains(word), "{}", admin.stdout);
    }
    let version = Run::new(home.path(), &["--version"]).ended();
    assert_eq!(version.stdout, format!("imserver {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "asking makes no database");
}

#[tokio::test]
async fn the_start_says_where_everything_is_and_what_to_do_next() {
    let home = home();
    let service = Run::new(home.path(), &[]).on_free_ports().serving();
    let data = home.path().canonicalize().unwrap().join("data/imserver.db");
    assert!(data.is_file());
    let url = format!("http://{}", service.addr);
    for words in [url.as_str(), data.to_str().unwrap(), "/metrics", &format!("Next: open {url}/")] {
        assert!(service.greeting.contains(words), "{words} is not in:\n{}", service.greeting);
    }
    let page = http_client().get(format!("{url}/")).send().await.unwrap();
    assert_eq!(page.status(), 200, "what to do next works");
}

#[tokio::test]
async fn a_file_loses_to_the_environment_and_that_to_flags() {
    let (file, variable) = ("settings.toml", "IMSERVER__CHAT__MAX_CONTENT_CHARS");
    let flag = ["--set", "chat.max_content_chars=9"];
    for (args, variables, expected) in [
        // The default is more than is tried.
        (&[][..], &[][..], MOST),
        (&["--config", file], &[], 5),
        (&[], &[("IMSERVER_CONFIG", file)], 5),
        (&["--config", file], &[(variable, "7")], 7),
        (&["--config", file, flag[0], flag[1]], &[(variable, "7")], 9),
        (&flag, &[(variable, "7")], 9),
        (&[flag[0], "chat.max_content_chars=3", flag[0], flag[1]], &[], 9),
    ] {
        let home = home();
        written(home.path(), file, "[chat]\nmax_content_chars = 5\n");
        let mut run = Run::new(home.path(), args).on_free_ports();
        for (key, value) in variables {
            run = run.env(key, value);
        }
        assert_eq!(longest_chat(&run.serving()).await, expected, "{args:?} {variables:?}");
    }
}

#[tokio::test]
async fn the_flags_for_address_and_database_win_too() {
    let home = home();
    let args = ["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://by/flag.db"];
    let service = Run::new(home.path(), &args)
        .on_free_ports()
        .env("IMSERVER__SERVER__LISTEN", "nowhere")
        .env("IMSERVER__DATABASE__URL", "sqlite://by/variable.db")
        .serving();
    assert!(service.greeting.contains("by/flag.db"), "{}", service.greeting);
    assert!(home.path().join("by/flag.db").is_file());
    assert!(!home.path().join("by/variable.db").exists());
}

#[tokio::test]
async fn metrics_are_off_with_a_warning_where_their_default_address_is_taken() {
    // By this test or by anybody else: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:9090");
    let home = home();
    let run = Run::new(home.path(), &[]).env("IMSERVER__SERVER__LISTEN", "127.0.0.1:0");
    let service = run.serving();
    assert!(service.greeting.contains("metrics      off"), "{}", service.greeting);
    eventually("the start has warned", async || {
        let log = service.log();
        log.lines().any(|line| line.contains("WARN") && line.contains("metrics.listen"))
    })
    .await;
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let home = home();
    let run = Run::new(home.path(), &[]).on_free_ports().env("IMSERVER__METRICS__LISTEN", "");
    let service = run.serving();
    assert!(service.greeting.contains("metrics      off"), "{}", service.greeting);
    assert!(!service.log().contains("WARN"));
}
