//! What a file does when SQLite itself runs out of something.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its assertions do")]

use bytes::Bytes;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{AvatarHash, ClientMsgId, Content, Destination, Seq, UserId, UserName},
    store::{Appended, Appends, Avatars, NewChat, Timelines, Users},
};

fn user() -> UserId {
    UserId::new(1).unwrap()
}

/// A store with a user, opened with these pragmas besides.
async fn store(folder: &TempDir, pragmas: &[(&'static str, String)]) -> SqliteStore {
    let path = folder.path().join("imserver.db");
    let mut options = connect::options(&path);
    for (key, value) in pragmas {
        options = options.pragma(*key, value.clone());
    }
    let store = SqliteStore::open_with(&path, options, Clock::system()).await.unwrap();
    let name = UserName::parse("张三").unwrap();
    store.ensure_users(&[(user(), name)]).await.unwrap();
    store
}

/// A connection behind the store's back.
async fn behind(folder: &TempDir) -> SqliteConnection {
    connect::options(&folder.path().join("imserver.db")).connect().await.unwrap()
}

fn chat(bytes: usize) -> NewChat {
    NewChat::text(
        user(),
        Destination::Direct(user()),
        ClientMsgId::random(),
        Content::parse(&"x".repeat(bytes), 100_000).unwrap(),
    )
}

async fn append(store: &SqliteStore, bytes: usize) -> Result<(), StoreError> {
    let appended = store.append(&[chat(bytes)]).await?;
    assert!(matches!(appended[..], [Appended::Committed(_)]), "{appended:?}");
    Ok(())
}

fn code(refused: &StoreError) -> String {
    let StoreError::Unavailable(sqlx::Error::Database(error)) = refused else {
        panic!("not by the database: {refused:?}");
    };
    error.code().unwrap().into_owned()
}

#[tokio::test]
async fn a_full_database_takes_chats_again_once_there_is_room() {
    const FULL: &str = "13";
    let folder = tempfile::tempdir().unwrap();
    let all = store(&folder, &[]).await;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&all.reader).await.unwrap();
    drop(all);
    let store = store(&folder, &[("max_page_count", (pages + 40).to_string())]).await;
    let refused = loop {
        if let Err(refused) = append(&store, 20_000).await {
            break refused;
        }
    };
    assert_eq!(code(&refused), FULL);
    // For the same reason again and again, and no other.
    for _ in 0..3 {
        assert_eq!(code(&append(&store, 20_000).await.unwrap_err()), FULL);
        assert_eq!(code(&store.try_writing().await.unwrap_err()), FULL);
        let picture = Bytes::from(vec![0; 200_000]);
        let hash = AvatarHash::of(&picture);
        let refused = store.set_avatar(user(), &hash, "image/png", picture).await;
        assert_eq!(code(&refused.unwrap_err()), FULL);
    }
    assert!(!store.events(user(), Seq::ZERO, 100).await.unwrap().events.is_empty(), "reads go on");
    let mut room = behind(&folder).await;
    sqlx::raw_sql("DELETE FROM chats; DELETE FROM timeline_events")
        .execute(&mut room)
        .await
        .unwrap();
    room.close().await.unwrap();
    store.try_writing().await.unwrap();
    append(&store, 20_000).await.unwrap();
}

/// In a process of its own, whose memory can be limited without harm to other tests.
#[test]
fn a_database_without_memory_takes_chats_that_need_less() {
    const ALONE: &str = "IMSERVER_TEST_ALONE";
    const NAME: &str = "a_database_without_memory_takes_chats_that_need_less";
    if std::env::var_os(ALONE).is_none() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::{NAME}"), "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        let log = String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("1 passed"), "{said}{log}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        const NOMEM: &str = "7";
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, &[]).await;
        append(&store, 100).await.unwrap();
        let mut limit = behind(&folder).await;
        // It can be lowered only: until what the trial allocates within its statement is too much.
        let mut most = 6_000_000;
        let refused = loop {
            most -= 20_000;
            let lower = format!("PRAGMA hard_heap_limit = {most}");
            sqlx::raw_sql(AssertSqlSafe(lower)).execute(&mut limit).await.unwrap();
            if let Err(refused) = store.try_writing().await {
                break refused;
            }
        };
        assert_eq!(code(&refused), NOMEM);
        for _ in 0..5 {
            append(&store, 100).await.unwrap();
            let _ = store.try_writing().await;
        }
        store.events(user(), Seq::ZERO, 100).await.unwrap();
    });
}
