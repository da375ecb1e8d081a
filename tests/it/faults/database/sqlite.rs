//! The file of a service that runs alone: full, unwritable, locked, taken away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{is_well, only_reads, readiness, send};
use crate::harness::{Server, Start, eventually, server::assert_problem};

fn start() -> Start {
    Start::default().set("log.filter", "info")
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// How far the server may write into a file; `unlimited` ends it. Beyond, writes fail.
fn limit_files(server: &Server, bytes: &str) {
    let limited = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:")])
        .status();
    assert!(limited.unwrap().success());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_ends_nothing_for_good() {
    let server = start().files(4_096).run();
    let zhang = server.person("张三").await;
    assert_eq!(send(&zhang, "before").await, 201);
    let wal = fs::metadata(beside(&server.database(), "-wal")).unwrap().len();
    for round in 0..2 {
        limit_files(&server, &wal.to_string());
        for number in 0..3 {
            assert_eq!(send(&zhang, &format!("{round}-{number}")).await, 503);
        }
        let login = serde_json::json!({"name": format!("新人{round}")});
        assert_problem(server.post("/v1/login/demo", &login).await, 503, "unavailable").await;
        only_reads(&server, &zhang).await;
        limit_files(&server, "unlimited");
        // Nobody sends.
        is_well(&server).await;
        assert_eq!(send(&zhang, &format!("{round}-0")).await, 201);
        server.person(&format!("新人{round}")).await;
    }
    let events = zhang.get_json("/v1/events?since=0").await;
    assert_eq!(events["lastSeq"], 3, "what was refused is not there: {events}");
}

#[tokio::test]
async fn a_file_that_another_process_locks_is_written_again_once_it_is_free() {
    let server = start().run();
    let zhang = server.person("张三").await;
    assert_eq!(send(&zhang, "before").await, 201);
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    assert_eq!(send(&zhang, "locked out").await, 503);
    only_reads(&server, &zhang).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    is_well(&server).await;
    assert_eq!(send(&zhang, "after").await, 201);
}

#[tokio::test]
async fn nothing_is_acknowledged_in_a_file_that_was_taken_away() {
    let server = start().run();
    let zhang = server.person("张三").await;
    assert_eq!(send(&zhang, "before").await, 201);
    let database = server.database();
    for (number, part) in ["", "-wal"].into_iter().enumerate() {
        let (path, away) = (beside(&database, part), beside(&database, ".away"));
        fs::rename(&path, &away).unwrap();
        assert_eq!(send(&zhang, &format!("{number} away")).await, 503, "{part}");
        assert_eq!(readiness(&server).await, (503, vec!["database".to_owned()]));
        // Another one in its place is not it.
        fs::copy(&away, &path).unwrap();
        assert_eq!(send(&zhang, &format!("{number} replaced")).await, 503, "{part}");
        let says = path.file_name().unwrap().to_str().unwrap().to_owned() + " was deleted";
        eventually("it says so", async || server.log().contains(&says)).await;
        // Put back, it is.
        fs::rename(&away, &path).unwrap();
        is_well(&server).await;
        assert_eq!(send(&zhang, &format!("{number} back")).await, 201);
    }
    for part in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&database, part)).unwrap();
    }
    for number in 0..3 {
        assert_eq!(send(&zhang, &format!("gone {number}")).await, 503);
    }
    assert!(!database.exists(), "no new one is made in its place");
}
