//! The setting that says whether the outbox tells of chats.

use imserver::{
    clock::Clock,
    store::{Outbox, OutboxEntry, sqlite::SqliteStore},
};

use crate::harness::Start;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_stays_as_it_was_said_last() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("imserver.db");
    let start = || Start::default().set("database.url", format!("sqlite://{}", path.display()));
    let set = |on: bool| start().set("outbox.enabled", on);
    let mut told = 0;
    for (key, start, is_on) in [
        ("at first", start(), false),
        ("on", set(true), true),
        ("still on", start(), true),
        ("off", set(false), false),
        ("still off", start(), false),
        ("on again", set(true), true),
    ] {
        let mut server = tokio::task::block_in_place(|| start.run());
        let zhang = server.person("张三").await;
        let chat = zhang.send(zhang.id, key, "x").await["chat"]["id"].as_i64().unwrap();
        assert!(server.terminate().await.success());
        let store = SqliteStore::open(&path, Clock::system()).await.unwrap();
        let entries = store.read_outbox(None, 100).await.unwrap().entries;
        told += usize::from(is_on);
        assert_eq!(entries.len(), told, "{key}");
        let chat_of = |entry: &OutboxEntry| entry.chat.unwrap().get();
        assert_eq!(entries.last().is_some_and(|entry| chat_of(entry) == chat), is_on, "{key}");
    }
}
