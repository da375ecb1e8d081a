//! What does not start says which setting it is and what to do, on standard error, and shows no secret.

use std::{fs, net::TcpListener};

use super::{home, written};
use crate::harness::Run;

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    for (variable, value, words) in [
        ("IMSERVER__DATABSE__URL", "sqlite://x", &["databse", "database"][..]),
        ("IMSERVER__SERVER__LISTNE", "x", &["server", "listne", "listen"]),
        ("IMSERVER__SERVER__LISTEN", "nowhere", &["server.listen"]),
        ("IMSERVER__SERVER__DRAIN_SECS", "soon", &["server.drain_secs", "integer"]),
        ("IMSERVER__SERVER__DRAIN_SECS", "-1", &["server.drain_secs", "integer"]),
        ("IMSERVER__AUTH__DEMO_LOGIN", "perhaps", &["auth.demo_login", "boolean"]),
        ("IMSERVER__AUTH__IDLE_SECS", "0", &["auth.idle_secs", "1 to"]),
        ("IMSERVER__CHAT__MAX_CONTENT_CHARS", "0", &["chat.max_content_chars", "1 to"]),
        (
            "IMSERVER__SERVER__ALLOWED_ORIGINS",
            "chat.example",
            &["server.allowed_origins", "https://"],
        ),
        ("IMSERVER__SERVER__TRUSTED_PROXIES", "10.0.0.0/99", &["server.trusted_proxies"]),
        ("IMSERVER__METRICS__LISTEN", "here", &["metrics.listen"]),
        ("IMSERVER__BUS__URL", "kafka://", &["bus.url", "memory://"]),
        ("IMSERVER__LOG__FORMAT", "xml", &["log.format"]),
        ("IMSERVER__LOG__FILTER", "a=b=c", &["log.filter"]),
        ("IMSERVER__WECHAT__APPID", "wx1", &["wechat.appid", "wechat.secret", "set both"]),
        ("IMSERVER__DATABASE__URL", "sqlite://", &["database.url", "sqlite://PATH"]),
    ] {
        let home = home();
        let said = Run::new(home.path(), &[]).on_free_ports().env(variable, value).refusal();
        for word in words {
            assert!(said.contains(word), "{variable}={value}: {word} is not in {said}");
        }
        assert!(said.starts_with("imserver: ") && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{variable}: nothing was made");
    }
    let home = home();
    for (args, word) in [
        (&["--set", "auth.demologin=true"][..], "demologin"),
        (&["--set", "nothing"], "SECTION.KEY=VALUE"),
        (&["--listen", "nowhere"], "server.listen"),
        (&["--nothing"], "--nothing"),
        (&["dance"], "dance"),
    ] {
        let said = Run::new(home.path(), args).refusal();
        assert!(said.contains(word), "{args:?}: {said}");
    }
}

#[test]
fn no_refusal_shows_a_secret() {
    let home = home();
    for (variable, value) in [
        ("IMSERVER__DATABASE__URL", "postgres://u:hunter2@h/d"),
        ("IMSERVER__DATABASE", "postgres://u:hunter2@h/d"),
        ("IMSERVER__BUS__URL", "redis://:hunter2@h"),
        ("IMSERVER__WECHAT__SECRET", "hunter2"),
        ("IMSERVER__WECHAT", "hunter2"),
        ("IMSERVER__WECHAT__BASE_URL", "//u:hunter2@h"),
        ("IMSERVER__SERVER__PUBLIC_URL", "ftp://u:hunter2@h"),
        ("IMSERVER__SERVER__ALLOWED_ORIGINS", "https://u:hunter2@h"),
    ] {
        let said = Run::new(home.path(), &[]).on_free_ports().env(variable, value).refusal();
        assert!(!said.contains("hunter2"), "{variable}: {said}");
    }
    for text in [
        "[wechat]\nsecret = hunter2\n",
        "[wechat]\nappid = 'wx1'\nsecret = ['hunter2']\n",
        "[[wechat.apps]]\nappid = 'wx1'\nsecret = ['hunter2']\n",
        "[[wechat.apps]]\nsecret = 'hunter2'\n",
        "[[auth.jwt.keys]]\nalgorithm = 'HS256'\nkey = ['hunter2']\n",
        "[[auth.jwt.keys]]\nalgorithm = 'hunter2'\nkey = 'hunter2'\n",
        "[[auth.jwt.keys]]\nalgorithm = 'RS256'\nkey = 'hunter2'\n",
        "[auth.jwt]\nkeys = 'hunter2'\n",
        "[auth.usersig]\napp_id = 1\nsecret = ['hunter2']\n",
        "database = 'postgres://u:hunter2@h/d'\n",
        "[database]\nurl = { password = 'hunter2' }\n",
        "[database\nurl = 'postgres://u:hunter2@h/d'\n",
        "[database]\nurl = 'postgres://u:hunter2@h/d\n",
    ] {
        let file = written(home.path(), "settings.toml", text);
        let run = Run::new(home.path(), &["--config", file.to_str().unwrap()]).on_free_ports();
        let said = run.refusal();
        assert!(!said.contains("hunter2") && said.lines().count() == 1, "{text}: {said}");
    }
}

#[test]
fn a_file_of_settings_that_cannot_be_read_is_named() {
    let home = home();
    fs::create_dir(home.path().join("folder")).unwrap();
    written(home.path(), "bytes.toml", [0xff, 0xfe, 0x00]);
    written(home.path(), "broken.toml", "[server]\nlisten = \n");
    for name in ["missing.toml", "folder", "bytes.toml", "broken.toml"] {
        let by_flag = Run::new(home.path(), &["--config", name]).on_free_ports();
        let by_variable = Run::new(home.path(), &[]).on_free_ports().env("IMSERVER_CONFIG", name);
        for said in [by_flag.refusal(), by_variable.refusal()] {
            assert!(said.contains(name) && said.contains("settings file"), "{said}");
        }
    }
    let said = Run::new(home.path(), &["--config", "broken.toml"]).refusal();
    assert!(said.contains("line 2"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["server.listen", "metrics.listen"] {
        let home = home();
        let setting = format!("{key}={address}");
        let said = Run::new(home.path(), &["--set", &setting]).on_free_ports().refusal();
        for word in [key, &address, "set another port"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(!home.path().join("data").exists(), "refused before a database was made");
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_refused() {
    let home = home();
    fs::create_dir(home.path().join("folder")).unwrap();
    written(
        home.path(),
        "text",
        "no database at all, and longer than the head of one would be\n".repeat(9),
    );
    for path in ["folder", "text", "text/imserver.db", "/proc/imserver/imserver.db"] {
        let url = format!("sqlite://{path}");
        for args in [&["--database-url", &url][..], &["--database-url", &url, "migrate"]] {
            let said = Run::new(home.path(), args).on_free_ports().refusal();
            assert!(said.contains("database.url") && said.contains(path), "{said}");
        }
    }
}
