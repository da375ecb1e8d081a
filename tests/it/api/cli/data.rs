//! What is kept: the schema, the data over a restart, the history, and the files of settings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{get, home, log_in, post, written};
use crate::harness::Run;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn epoch(service: &super::Running, token: &str) -> Value {
    get(service, "/v1/events", token).await["epoch"].clone()
}

#[test]
fn migrate_makes_the_schema_and_ends() {
    let home = home();
    for _ in 0..2 {
        let ended = Run::new(home.path(), &["migrate"]).ended();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert!(ended.stdout.contains("up to date"), "{}", ended.stdout);
        assert!(home.path().join("data/imserver.db").is_file());
    }
}

#[tokio::test]
async fn a_restart_keeps_everything_and_a_rotated_epoch_is_another_history() {
    let home = home();
    let start = || Run::new(home.path(), &[]).on_free_ports().serving();
    let service = start();
    let (token, user) = log_in(&service, "张三").await;
    let body = json!({"clientMsgId": "k", "targetUserId": user["id"], "content": "留下"});
    let sent = post(&service, "/v1/chats", &token, &body).await;
    assert_eq!(sent.status(), 201);
    let events = get(&service, "/v1/events?since=0", &token).await;
    let first = epoch(&service, &token).await;
    drop(service);

    let service = start();
    assert_eq!(get(&service, "/v1/me", &token).await, user, "the session stands");
    assert_eq!(get(&service, "/v1/events?since=0", &token).await, events);
    assert_eq!(post(&service, "/v1/chats", &token, &body).await.status(), 200, "a repeat");
    assert_eq!(epoch(&service, &token).await, first);
    drop(service);

    let rotated = Run::new(home.path(), &["admin", "rotate-epoch"]).ended();
    assert!(rotated.status.success(), "{}", rotated.stderr);
    let service = start();
    let second = epoch(&service, &token).await;
    assert_ne!(second, first);
    assert!(rotated.stdout.contains(second.as_str().unwrap()), "{}", rotated.stdout);
    let path = format!("/v1/events?since=0&epoch={}", first.as_str().unwrap());
    assert_eq!(get(&service, &path, &token).await["code"], "timeline_reset");
}

#[tokio::test]
async fn a_second_service_on_the_file_is_refused_and_told_by_whom() {
    let home = home();
    let first = Run::new(home.path(), &[]).on_free_ports().serving();
    let (token, user) = log_in(&first, "张三").await;
    let refused = Run::new(home.path(), &[]).on_free_ports().refusal();
    let process = format!("process {}", first.pid());
    assert!(refused.contains(&process) && refused.contains("database.url"), "{refused}");
    // What looks after a deployment works beside it.
    for args in [["migrate"].as_slice(), &["admin", "rotate-epoch"]] {
        let ended = Run::new(home.path(), args).ended();
        assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
    }
    assert_eq!(get(&first, "/v1/me", &token).await, user);
    // Killed, it leaves nothing in the way of the next one.
    drop(first);
    let next = Run::new(home.path(), &[]).on_free_ports().serving();
    assert_eq!(get(&next, "/v1/me", &token).await, user);
}

/// `section.key` of each line `key = …` of a file of settings, also of those that are commented out.
fn keys(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap();
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let Some((key, value)) = line.trim_start_matches("# ").split_once(" = ") else { continue };
        if key.chars().all(|char| char.is_ascii_lowercase() || char == '_') {
            keys.push((format!("{section}.{key}"), value.to_owned()));
        }
    }
    keys
}

#[test]
fn the_default_file_has_every_key_and_all_are_taken() {
    let keys = keys(&repository("config/default.toml"));
    let names: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
    // Those of the wire contract.
    for key in [
        "server.listen",
        "server.allowed_origins",
        "server.trusted_proxies",
        "server.drain_secs",
        "metrics.listen",
        "database.url",
        "bus.url",
        "bus.namespace",
        "bus.single_replica",
        "auth.demo_login",
        "auth.anonymous",
        "auth.idle_secs",
        "auth.max_secs",
        "users.directory",
        "wechat.base_url",
        "wechat.appid",
        "wechat.secret",
        "chat.max_content_chars",
        "chat.classic_limit",
        "delivery.reconcile_secs",
        "delivery.replay_limit",
        "limits.enabled",
        "limits.sends_per_sec",
        "limits.send_burst",
        "limits.frames_per_sec",
        "limits.failures_per_min",
    ] {
        assert!(names.contains(&key), "{key} is not in config/default.toml");
    }
    // A key that is unknown is refused, so a start with all of them shows that all are known, and
    // what the program says that it expects shows that there are no others.
    let home = home();
    let lines: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let file = written(home.path(), "all.toml", lines.join("\n"));
    let ended = Run::new(home.path(), &["--config", file.to_str().unwrap(), "migrate"]).ended();
    assert!(ended.status.success(), "{}", ended.stderr);
    let sections: std::collections::BTreeSet<_> =
        names.iter().flat_map(|key| key.match_indices('.').map(|(at, _)| &key[..at])).collect();
    for section in sections {
        let variable = section.to_uppercase().replace('.', "__");
        let variable = format!("IMSERVER__{variable}__NOTHING");
        let said = Run::new(home.path(), &["migrate"]).env(&variable, "x").refusal();
        let (_, expected) = said.split_once("expected ").unwrap();
        let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let within = names.iter().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'));
        let mut documented: std::collections::BTreeSet<_> =
            within.filter_map(|key| key.split('.').next()).collect();
        documented.retain(|key| known.contains(key));
        assert_eq!(documented.len(), known.len(), "{section}: {known:?} against {documented:?}");
    }
}

#[tokio::test]
async fn the_file_for_production_is_taken_and_opens_nothing() {
    let home = home();
    let file = repository("config/production.toml");
    let service = Run::new(home.path(), &["--config", file.to_str().unwrap()])
        .on_free_ports()
        .env("IMSERVER__SERVER__LISTEN", "0.0.0.0:0")
        .env("IMSERVER__SERVER__PUBLIC_URL", "https://chat.example.com")
        .env("IMSERVER__WECHAT__APPID", "wx1")
        .env("IMSERVER__WECHAT__SECRET", "hunter2")
        .serving();
    for line in ["demo login   off", "anonymous    off", "WeChat login on"] {
        assert!(service.greeting.contains(line), "{}", service.greeting);
    }
    assert!(!service.greeting.contains("hunter2") && !service.log().contains("hunter2"));
    assert!(!service.log().contains("WARN"), "{}", service.log());
}
