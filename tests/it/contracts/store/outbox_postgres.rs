//! The outbox where commits overtake each other, and transactions have numbers before they have locks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    domain::{ChatId, ConversationId},
    store::{
        Appended, Outbox, Store, StoreError,
        batcher::{Batcher, LINGER},
        postgres::PgStore,
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::task::JoinSet;

use super::{
    Database, chat, committed,
    outbox::{chats, read_on},
    populated,
    postgres::PgDatabase,
    readers::{Seen, Sent, readers_that_die, write},
    send,
};
use crate::harness::{DEADLINE, Figures, postgres};

/// Begins a transaction that has its number from the start.
async fn begin(connection: &mut PgConnection) -> Transaction<'_, Postgres> {
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *transaction).await.unwrap();
    transaction
}

/// Tells of a chat, within the locks of its conversation.
async fn tell(
    transaction: &mut Transaction<'_, Postgres>,
    users: [i64; 2],
    conversation: ConversationId,
) -> i64 {
    sqlx::query(
        "SELECT 1 FROM timelines WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE",
    )
    .bind(&users[..])
    .execute(&mut **transaction)
    .await
    .unwrap();
    sqlx::query_scalar(
        "INSERT INTO outbox (kind, conversation_id, chat_id)
         VALUES ('chat.created', $1, nextval('chat_ids')) RETURNING chat_id",
    )
    .bind(conversation.get())
    .fetch_one(&mut **transaction)
    .await
    .unwrap()
}

/// A database of four users, where the first two have a conversation, of which the outbox tells.
async fn talking() -> (PgDatabase, Arc<dyn Store>, ConversationId) {
    let (database, store) = populated::<PgDatabase>(4).await;
    let conversation = send(&*store, 1, 2, "begins").await.chat.conversation_id;
    store.switch_outbox(true).await.unwrap();
    (database, store, conversation)
}

/// Below the oldest number that is under way, which is that of the one who hangs, the later of two chats
/// has ended and the earlier one is not counted. So numbers alone would show them in the wrong order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_taken_early_overtakes_nobody() {
    let (database, store, conversation) = talking().await;
    let mut one = postgres::connect(database.url()).await;
    let mut other = postgres::connect(database.url()).await;
    let (mut cursor, mut seen) = (None, Vec::new());
    let mut look = async || {
        let entries = read_on(&*store, &mut cursor).await;
        seen.extend(chats(&entries));
        seen.clone()
    };
    let mut early = begin(&mut one).await;
    let mut hanging = begin(&mut other).await;
    let elsewhere = ConversationId::new(77).unwrap();
    let third = tell(&mut hanging, [3, 4], elsewhere).await;
    assert!(look().await.is_empty());
    let first = send(&*store, 1, 2, "the first").await.chat.id.get();
    let second = tell(&mut early, [1, 2], conversation).await;
    early.commit().await.unwrap();
    assert_eq!(look().await, [first, second]);
    hanging.commit().await.unwrap();
    assert_eq!(look().await, [first, second, third]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_hangs_holds_back_nobody_else() {
    let (database, store, _) = talking().await;
    let mut connection = postgres::connect(database.url()).await;
    let mut hanging = begin(&mut connection).await;
    let elsewhere = ConversationId::new(77).unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(tell(&mut hanging, [3, 4], elsewhere).await);
    }
    let mut cursor = None;
    for _ in 0..4 {
        let sent = send(&*store, 1, 2, "x").await.chat.id.get();
        assert_eq!(chats(&read_on(&*store, &mut cursor).await), [sent]);
        assert!(read_on(&*store, &mut cursor).await.is_empty());
    }
    // Its entries have lower ids than those that were read, and fill more than a page.
    let sent = send(&*store, 1, 2, "x").await.chat.id.get();
    hanging.commit().await.unwrap();
    let last = send(&*store, 1, 2, "x").await.chat.id.get();
    let expected: Vec<_> = held.iter().copied().chain([sent, last]).collect();
    assert_eq!(chats(&read_on(&*store, &mut cursor).await), expected);
    assert!(read_on(&*store, &mut cursor).await.is_empty());
    // One that is taken back is nothing.
    let mut hanging = begin(&mut connection).await;
    tell(&mut hanging, [3, 4], elsewhere).await;
    assert!(read_on(&*store, &mut cursor).await.is_empty());
    hanging.rollback().await.unwrap();
    assert!(read_on(&*store, &mut cursor).await.is_empty());
}

/// A snapshot does not list transactions that are younger than the youngest that has ended. One of them
/// may have drawn an id already, below those that are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_drawn_by_a_younger_transaction_is_read_later() {
    // Of its own, so that nobody else's transactions end meanwhile.
    let cluster = tokio::task::spawn_blocking(postgres::Cluster::private).await.unwrap();
    let url = cluster.database().await;
    let store = PgStore::open(&url).await.unwrap();
    let [mut one, mut other] = [postgres::connect(&url).await, postgres::connect(&url).await];
    let mut older = begin(&mut one).await;
    let mut younger = begin(&mut other).await;
    let lower = tell(&mut younger, [3, 4], ConversationId::new(77).unwrap()).await;
    let higher = tell(&mut older, [1, 2], ConversationId::new(7).unwrap()).await;
    older.commit().await.unwrap();
    // Once: each look is a transaction that ends.
    let page = store.read_outbox(None, 10).await.unwrap();
    assert_eq!(chats(&page.entries), [higher]);
    let mut cursor = Some(page.cursor);
    younger.commit().await.unwrap();
    assert_eq!(chats(&read_on(&store, &mut cursor).await), [lower]);
    assert!(read_on(&store, &mut cursor).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_drawn_after_the_locks() {
    let (database, store, conversation) = talking().await;
    // The second begins a conversation, so that it is not as usual.
    for (sender, target, key) in [(1, 2, "a"), (2, 2, "b")] {
        let mut connection = postgres::connect(database.url()).await;
        let mut cursor = None;
        read_on(&*store, &mut cursor).await;
        let mut expected = Vec::new();
        // On a machine that stalls for two seconds it is tried again.
        while expected.is_empty() {
            let mut holder = begin(&mut connection).await;
            sqlx::query("SELECT 1 FROM timelines WHERE user_id = 2 FOR NO KEY UPDATE")
                .execute(&mut *holder)
                .await
                .unwrap();
            let waiting = {
                let store = store.clone();
                tokio::spawn(async move { store.append(&[chat(sender, target, key, "x")]).await })
            };
            waits(&database, "WITH ").await;
            let first = tell(&mut holder, [2, 2], conversation).await;
            holder.commit().await.unwrap();
            match waiting.await.unwrap() {
                Ok(mut answers) => {
                    expected = vec![first, committed(answers.remove(0)).chat.id.get()];
                }
                Err(error) => {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                    read_on(&*store, &mut cursor).await;
                }
            }
        }
        let told = read_on(&*store, &mut cursor).await;
        assert_eq!(chats(&told), expected);
        assert!(told[0].id < told[1].id);
    }
}

/// Until a statement of the service that begins like this waits for a lock.
async fn waits(database: &PgDatabase, statement: &str) {
    let mut connection = postgres::connect(database.url()).await;
    let begun = Instant::now();
    loop {
        let is_waiting: bool = sqlx::query_scalar(
            "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'imserver'
                 AND wait_event_type = 'Lock' AND starts_with(query, $1)",
        )
        .bind(statement)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        if is_waiting {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "nobody waits: {statement}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Or a chat that has read the flag as it was would be missing between two that have not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_waits_for_batches_that_are_under_way() {
    let (database, store) = populated::<PgDatabase>(2).await;
    send(&*store, 1, 2, "begins").await;
    let other = database.open().await;
    let mut connection = postgres::connect(database.url()).await;
    let mut is_shown = false;
    for key in 0.. {
        let mut holder = begin(&mut connection).await;
        sqlx::query("SELECT 1 FROM timelines WHERE user_id = 2 FOR NO KEY UPDATE")
            .execute(&mut *holder)
            .await
            .unwrap();
        let (batch, switch) = (store.clone(), other.clone());
        let chat = chat(1, 2, &format!("k{key}"), "x");
        let batch = tokio::spawn(async move { batch.append(&[chat]).await });
        waits(&database, "WITH ").await;
        let switch = tokio::spawn(async move { switch.switch_outbox(true).await });
        waits(&database, "LOCK TABLE outbox").await;
        assert!(!switch.is_finished());
        holder.rollback().await.unwrap();
        switch.await.unwrap().unwrap();
        match batch.await.unwrap() {
            Ok(answers) => {
                assert!(matches!(answers[0], Appended::Committed(_)));
                is_shown = true;
                break;
            }
            // On a machine that stalls for two seconds it is tried again.
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
        }
        other.switch_outbox(false).await.unwrap();
    }
    assert!(is_shown);
    let next = send(&*store, 1, 2, "x").await.chat.id.get();
    assert_eq!(chats(&read_on(&*store, &mut None).await), [next]);
}

/// A dump brings numbers of transactions that another server has given out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_has_written_is_read_in_the_new_history() {
    let (database, store, _) = talking().await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    }
    database.tamper("UPDATE outbox SET xid = (9000000000000 + id)::text::xid8").await;
    store.rotate_epoch().await.unwrap();
    sent.push(send(&*store, 1, 2, "x").await.chat.id.get());
    let mut cursor = None;
    assert_eq!(chats(&read_on(&*store, &mut cursor).await), sent);
    for _ in 0..3 {
        let next = send(&*store, 1, 2, "x").await.chat.id.get();
        assert_eq!(chats(&read_on(&*store, &mut cursor).await), [next]);
        assert!(read_on(&*store, &mut cursor).await.is_empty());
    }
}

/// Tells of so many chats of two users, each in a transaction that has its number some time before its
/// locks. Some are taken back.
async fn write_early(
    url: String,
    users: [i64; 2],
    conversation: ConversationId,
    count: u32,
) -> Vec<(ConversationId, ChatId)> {
    let mut connection = postgres::connect(&url).await;
    let mut random = SmallRng::seed_from_u64(users[0].unsigned_abs());
    let mut told = Vec::new();
    for n in 1..=count {
        let mut transaction = begin(&mut connection).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..3_000))).await;
        let chat = tell(&mut transaction, users, conversation).await;
        if n % 10 == 0 {
            transaction.rollback().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
            told.push((conversation, ChatId::new(chat).unwrap()));
        }
    }
    told
}

/// Sixteen writers with so many chats each, eight who take their numbers early with so many each, one who
/// hangs all the time, and readers that die: everything is read, and in order.
async fn readers_miss_nothing(each: i64, at_once: i64, early: u32, deadline: Duration) {
    let (database, store) = populated::<PgDatabase>(20).await;
    let mut conversations = HashMap::new();
    for sender in 1..=8 {
        let chat = send(&*store, sender, sender + 1, "begins").await.chat;
        conversations.insert(sender, chat.conversation_id);
    }
    store.switch_outbox(true).await.unwrap();
    let mut connection = postgres::connect(database.url()).await;
    let mut hanging = begin(&mut connection).await;
    let elsewhere = ConversationId::new(7_777_777).unwrap();
    let held = tell(&mut hanging, [0, 0], elsewhere).await;

    let seen = Arc::new(Seen::default());
    let stores = vec![store.clone(), database.open().await];
    let reading = tokio::spawn(readers_that_die(stores, seen.clone()));
    let mut early_writers = JoinSet::new();
    for (sender, conversation) in conversations {
        let users = [sender, sender + 1];
        early_writers.spawn(write_early(database.url().to_owned(), users, conversation, early));
    }
    let mut replicas = Vec::new();
    for _ in 0..4 {
        replicas.push(Batcher::start(database.open().await, LINGER, Box::new(|_| ())));
    }
    let begun = Instant::now();
    let mut sent: Sent = write(&replicas, each, at_once).await;
    sent.extend(early_writers.join_all().await.into_iter().flatten());
    let figures = Figures::of(format!("outbox_of_{}_chats", sent.len()));
    figures.time("written within", begun.elapsed());
    let until_read = async |count: usize| {
        while seen.len() < count {
            assert!(begun.elapsed() < deadline, "{} of {count} were read", seen.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_read(sent.len()).await;
    figures.time("read within", begun.elapsed());
    seen.check(&sent);
    hanging.commit().await.unwrap();
    sent.insert((elsewhere, ChatId::new(held).unwrap()));
    until_read(sent.len()).await;
    reading.abort();
    seen.check(&sent);
    seen.note(&figures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_taken_early_under_load_hide_nothing() {
    readers_miss_nothing(250, 4, 100, Duration::from_mins(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes minutes"]
async fn a_hundred_thousand_chats_through_the_outbox() {
    readers_miss_nothing(5_700, 60, 1_250, Duration::from_mins(20)).await;
}
