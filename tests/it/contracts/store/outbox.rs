//! The outbox: it tells of each chat, in the order of its conversation, and forgets after a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use imserver::{
    clock::{Clock, Timestamp},
    domain::ReplicaId,
    outbox::{Handler, HandlerError, Pace, Reader, reader_job},
    store::{
        Appended, CHAT_CREATED, CONVERSATION_CREATED, OutboxCursor, OutboxEntry, OutboxPage, Store,
        StoreError,
        batcher::{Batcher, LINGER},
    },
};
use parking_lot::Mutex;

use super::{
    Database, chat, committed, populated,
    readers::{PACE, Seen, readers_that_die, write},
    send,
};
use crate::harness::eventually;

/// Reads on until nothing more is there. Leaves out that conversations begin.
pub(super) async fn read_on(
    store: &dyn Store,
    cursor: &mut Option<OutboxCursor>,
) -> Vec<OutboxEntry> {
    let mut entries = Vec::new();
    loop {
        let page = store.read_outbox(cursor.as_ref(), 3).await.unwrap();
        assert!(page.entries.len() <= 3 && (!page.has_more || page.entries.len() == 3));
        *cursor = Some(page.cursor);
        if page.entries.is_empty() {
            return entries;
        }
        let entry = page.entries.into_iter().filter(|entry| entry.kind != CONVERSATION_CREATED);
        entries.extend(entry);
    }
}

/// The chats that entries tell of.
pub(super) fn chats(entries: &[OutboxEntry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.chat.unwrap().get()).collect()
}

pub(super) async fn it_tells_of_chats_while_it_is_on<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let replica = database.open().await;
    let mut cursor = None;
    send(&*store, 1, 2, "before").await;
    assert!(read_on(&*store, &mut cursor).await.is_empty());

    // One that begins conversations and one as usual; what commits nothing is not told.
    for round in 0..2 {
        replica.switch_outbox(true).await.unwrap();
        replica.switch_outbox(true).await.unwrap();
        let key = |key: &str| format!("{key}{round}");
        let batch = [
            chat(3, 1, &key("a"), "x"),
            chat(1, 2, &key("b"), "x"),
            chat(1, 2, &key("b"), "x"),
            chat(2, 9, &key("c"), "x"),
            chat(3, 3, &key("d"), "x"),
            chat(1, 3, &key("e"), "x"),
        ];
        let answers = store.append(&batch).await.unwrap();
        let chats: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Appended::Committed(committed) => Some(committed.chat),
                _ => None,
            })
            .collect();
        let told = read_on(&*replica, &mut cursor).await;
        assert_eq!((chats.len(), told.len()), (4, 4));
        assert!(told.is_sorted_by(|one, next| one.id < next.id), "{told:?}");
        for (told, chat) in told.iter().zip(&chats) {
            assert_eq!(told.kind, CHAT_CREATED);
            assert_eq!((told.chat, told.conversation), (Some(chat.id), Some(chat.conversation_id)));
            assert_eq!((told.created_at, &told.payload), (chat.create_time, &None));
        }
        assert!(matches!(store.append(&batch).await.unwrap()[0], Appended::Repeat(_)));
        assert!(read_on(&*store, &mut cursor).await.is_empty(), "a repeat is nothing new");

        store.switch_outbox(false).await.unwrap();
        send(&*replica, 1, 2, "after").await;
        assert!(read_on(&*store, &mut cursor).await.is_empty());
    }
    // Whoever comes later goes by what was said last.
    store.switch_outbox(true).await.unwrap();
    let later = database.open().await;
    let last = send(&*later, 2, 2, "later").await.chat.id;
    assert_eq!(chats(&read_on(&*store, &mut cursor).await), [last.get()]);
    assert_eq!(read_on(&*store, &mut None).await.len(), 9);
}

pub(super) async fn a_reader_goes_on_from_the_text_of_its_place<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    send(&*store, 1, 1, "begins").await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..7 {
        sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    }
    let replica = database.open().await;
    let mut place: Option<String> = None;
    let mut read = async |limit| -> OutboxPage {
        let cursor = place.as_ref().map(|text| text.parse().unwrap());
        let page = replica.read_outbox(cursor.as_ref(), limit).await.unwrap();
        place = Some(page.cursor.to_string());
        page
    };
    let page = read(3).await;
    assert_eq!((chats(&page.entries), page.has_more), (sent[..3].to_vec(), true));
    // What comes in between comes in its turn.
    sent.push(send(&*store, 2, 1, "x").await.chat.id.get());
    let mut seen = chats(&page.entries);
    loop {
        let page = read(2).await;
        if page.entries.is_empty() {
            assert!(!page.has_more);
            break;
        }
        seen.extend(chats(&page.entries));
    }
    assert_eq!(seen, sent);
    assert!(read(100).await.entries.is_empty());
    let last = send(&*store, 1, 1, "x").await.chat.id.get();
    let page = read(100).await;
    assert_eq!((chats(&page.entries), page.has_more), (vec![last], false));
    // Another reader begins with the oldest, whatever others have read.
    let page = store.read_outbox(None, 1).await.unwrap();
    assert_eq!(chats(&page.entries), sent[..1]);
    // A page holds something, if there is something.
    let page = store.read_outbox(Some(&page.cursor), 0).await.unwrap();
    assert_eq!(chats(&page.entries), sent[1..2]);
}

pub(super) async fn a_new_history_is_read_from_the_beginning<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    }
    let mut within = Some(store.read_outbox(None, 2).await.unwrap().cursor);
    let mut at_end = None;
    assert_eq!(chats(&read_on(&*store, &mut at_end).await), sent);
    let epoch = store.rotate_epoch().await.unwrap();
    sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    for cursor in [&mut within, &mut at_end] {
        assert_ne!(cursor.as_ref().unwrap().epoch(), epoch);
        assert_eq!(chats(&read_on(&*store, cursor).await), sent);
        assert_eq!(cursor.as_ref().unwrap().epoch(), epoch);
        assert!(read_on(&*store, cursor).await.is_empty());
    }
}

pub(super) async fn a_place_in_another_kind_of_database_is_refused<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let epoch = store.epoch().await.unwrap();
    let mut refused = 0;
    for place in ["0", "0.1_0"] {
        let cursor = format!("{epoch}.{place}").parse().unwrap();
        match store.read_outbox(Some(&cursor), 10).await {
            Ok(page) => assert!(page.entries.is_empty()),
            Err(error) => {
                assert!(matches!(error, StoreError::Rejected(_)), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

pub(super) async fn old_entries_are_dropped_page_by_page<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..6 {
        sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    }
    let mut cursor = Some(store.read_outbox(None, 1).await.unwrap().cursor);
    let old = format!("UPDATE outbox SET created_at = 1000 WHERE chat_id <= {}", sent[2]);
    database.tamper(&old).await;
    let drop = async |before| store.drop_outbox(Timestamp::from_millis(before), 2).await.unwrap();
    assert_eq!(drop(1_000).await, 0);
    assert_eq!((drop(1_001).await, drop(1_001).await, drop(1_001).await), (2, 1, 0));
    // Who had not come that far goes on with what is left.
    assert_eq!(chats(&read_on(&*store, &mut cursor).await), sent[3..]);
    let ids: Vec<_> = read_on(&*store, &mut None).await.into_iter().map(|entry| entry.id).collect();
    assert_eq!((drop(i64::MAX).await, drop(i64::MAX).await), (2, 1));
    assert!(read_on(&*store, &mut None).await.is_empty());
    // An id does not come back.
    let next = send(&*store, 1, 2, "x").await.chat.id.get();
    for cursor in [&mut cursor, &mut None] {
        let told = read_on(&*store, cursor).await;
        assert_eq!(chats(&told), [next]);
        assert!(told[0].id > ids[2], "{told:?}");
    }
}

pub(super) async fn kinds_of_a_newer_version_are_passed_on<D: Database>() {
    let (database, store) = populated::<D>(1).await;
    database
        .tamper(
            r#"INSERT INTO outbox (kind, payload, created_at)
               VALUES ('moon.risen', '{"phase": "满"}', 1234)"#,
        )
        .await;
    let told = read_on(&*store, &mut None).await;
    let [OutboxEntry { kind, payload, conversation: None, chat: None, created_at, .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((kind.as_str(), payload.as_deref()), ("moon.risen", Some(r#"{"phase": "满"}"#)));
    assert_eq!(created_at.as_millis(), 1_234);
}

/// Readers die all the time, and fail, while everybody writes.
pub(super) async fn readers_that_die_miss_nothing<D: Database>() {
    let (database, store) = populated::<D>(20).await;
    store.switch_outbox(true).await.unwrap();
    let seen = Arc::new(Seen::default());
    let stores = vec![store.clone(), database.open().await];
    let reading = tokio::spawn(readers_that_die(stores, seen.clone()));
    let replicas = [
        Batcher::start(store, LINGER, Box::new(|_| ())),
        Batcher::start(database.open().await, LINGER, Box::new(|_| ())),
    ];
    let sent = write(&replicas, 150, 3).await;
    assert_eq!(sent.len(), 16 * 150);
    eventually("all were read", async || seen.len() >= sent.len()).await;
    reading.abort();
    seen.check(&sent);
}

/// Fails, hangs, and then takes what it gets.
#[derive(Default)]
struct Moody {
    calls: Mutex<Vec<Vec<i64>>>,
}

#[async_trait]
impl Handler for Moody {
    async fn handle(&self, entries: &[OutboxEntry]) -> Result<(), HandlerError> {
        let calls = {
            let mut calls = self.calls.lock();
            calls.push(chats(entries));
            calls.len()
        };
        match calls {
            1 => Err("not today".into()),
            2 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

/// Takes what it gets after so long.
struct Slow(Duration, AtomicBool);

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, _: &[OutboxEntry]) -> Result<(), HandlerError> {
        tokio::time::sleep(self.0).await;
        self.1.store(true, Ordering::Relaxed);
        Ok(())
    }
}

pub(super) async fn nobody_takes_the_work_while_a_handler_is_at_it<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let (lease, handling) = (Duration::from_secs(4), Duration::from_millis(3_600));
    let slow = Arc::new(Slow(Duration::from_millis(3_500), AtomicBool::new(false)));
    let pace = Pace { lease, handling, ..PACE };
    let reader = Reader::new(store.clone(), slow.clone(), Clock::system(), "slow", pace);
    let reading = tokio::spawn(reader.run());
    // A good part of the lease is over, and yet it is not renewed.
    tokio::time::sleep(lease / 4).await;
    send(&*store, 1, 2, "x").await;
    let job = reader_job("slow");
    while !slow.1.load(Ordering::Relaxed) {
        let taken = store.take_job(&job, ReplicaId::random(), lease).await.unwrap();
        assert_eq!(taken, None, "another one has it, too");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    reading.abort();
}

pub(super) async fn what_a_handler_does_not_take_comes_again<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let moody = Arc::new(Moody::default());
    let pace = Pace { handling: Duration::from_millis(100), page: 2, ..PACE };
    let reader = Reader::new(store.clone(), moody.clone(), Clock::system(), "moody", pace);
    let first = send(&*store, 1, 2, "x").await.chat.id.get();
    let reading = tokio::spawn(reader.run());
    eventually("it was taken", async || moody.calls.lock().len() >= 3).await;
    let new = [chat(1, 2, "a", "x"), chat(1, 2, "b", "x"), chat(2, 1, "c", "x")];
    let new = store.append(&new).await.unwrap().into_iter().map(committed);
    let new: Vec<i64> = new.map(|committed| committed.chat.id.get()).collect();
    eventually("all were taken", async || moody.calls.lock().len() >= 5).await;
    reading.abort();
    let expected =
        [vec![first], vec![first], vec![first], vec![new[0], new[1]], vec![new[2]]].to_vec();
    assert_eq!(*moody.calls.lock(), expected);

    // Readers of other names have places of their own.
    let seen = Arc::new(Seen::default());
    let reader = Reader::new(store.clone(), seen.clone(), Clock::system(), "other", PACE);
    let reading = tokio::spawn(reader.run());
    eventually("the other one has all", async || seen.len() >= 4).await;
    reading.abort();
}
