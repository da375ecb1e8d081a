//! The latest chats of a user, which the legacy routes and sockets show.

use imserver::{
    domain::{Chat, Seq},
    store::{Change, Store, TimelineRange},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{Database, chat, populated, postgres::PgDatabase, send, seq, user};
use crate::harness::{Figures, eventually, postgres};

/// All chats of the user's timeline.
async fn chats(store: &dyn Store, of: i64) -> Vec<Chat> {
    let page = store.events(user(of), Seq::ZERO, 100_000).await.unwrap();
    let chat = |change| match change {
        Change::Chat(chat) => *chat,
        other => panic!("{other:?}"),
    };
    page.events.into_iter().map(|event| chat(event.change)).collect()
}

pub(super) async fn latest_chats_outlive_the_timeline<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    for (sender, target) in [(1, 2), (3, 1), (1, 1), (4, 1), (1, 3), (2, 4)] {
        send(&*store, sender, target, "x").await;
    }
    let before = chats(&*store, 1).await;
    assert_eq!(before.len(), 5);
    store.trim_timeline(user(1), seq(3)).await.unwrap();
    assert_eq!(store.latest_chats(user(1), 10).await.unwrap(), before);
    store.trim_timeline(user(1), seq(1_000)).await.unwrap();
    assert_eq!(
        store.timeline_range(user(1)).await.unwrap(),
        TimelineRange { first: seq(6), last: seq(5) }
    );
    assert_eq!(store.latest_chats(user(1), 10).await.unwrap(), before);
    assert_eq!(store.latest_chats(user(1), 3).await.unwrap(), before[2..]);
    assert_eq!(store.latest_chats(user(1), 0).await.unwrap(), []);
}

pub(super) async fn latest_chats_are_those_of_the_timeline_whatever_the_limit<D: Database>() {
    const USERS: i64 = 24;
    let (_database, store) = populated::<D>(USERS).await;
    let mut random = SmallRng::seed_from_u64(11);
    // With some much is said, with most little, and with one nothing.
    let batch: Vec<_> = (0..400)
        .map(|n| {
            let peer = if random.random() { 2 } else { random.random_range(1..USERS) };
            let (sender, target) = if random.random() { (1, peer) } else { (peer, 1) };
            chat(sender, target, &format!("{n}"), "x")
        })
        .collect();
    for part in batch.chunks(50) {
        store.append(part).await.unwrap();
    }
    let all = chats(&*store, 1).await;
    assert!(all.iter().is_sorted_by_key(|chat| chat.id));
    for limit in [1, 2, 3, 10, 21, 22, 23, 24, 25, 100, 399, 400, 401, 1_000] {
        let latest = store.latest_chats(user(1), limit).await.unwrap();
        let first = all.len().saturating_sub(usize::try_from(limit).unwrap());
        assert_eq!(latest, all[first..], "{limit}");
    }
}

pub(super) async fn latest_chats_are_direct<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let sent = send(&*store, 1, 2, "x").await.chat;
    for statement in [
        "INSERT INTO conversations (kind, created_at) VALUES ('group', 0)",
        "INSERT INTO members (conversation_id, user_id)
         SELECT id, 1 FROM conversations WHERE kind = 'group'",
        "INSERT INTO chats (id, conversation_id, sender_id, client_msg_id, kind, content, created_at)
         SELECT 1000000, id, 1, 'in a group', 'text', 'x', 0
         FROM conversations WHERE kind = 'group'",
    ] {
        database.tamper(statement).await;
    }
    for limit in [1, 10] {
        assert_eq!(store.latest_chats(user(1), limit).await.unwrap(), [(*sent).clone()]);
    }
}

/// How many rows and index entries of chats were read so far. A connection's are counted when it ends.
async fn reads(database: &PgDatabase) -> i64 {
    let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("connections end", async || database.count(others).await == 0).await;
    let mut connection = postgres::connect(database.url()).await;
    sqlx::query_scalar(
        "SELECT seq_tup_read + idx_tup_fetch + (
                 SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'chats'
             ) FROM pg_stat_user_tables WHERE relname = 'chats'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn latest_chats_read_little_of_many_and_long_conversations() {
    const CALLS: i64 = 20;
    const CONVERSATIONS: i64 = 300;
    const LIMIT: i64 = 20;
    let (database, store) = populated::<PgDatabase>(CONVERSATIONS + 1).await;
    let batch: Vec<_> =
        (2..=CONVERSATIONS + 1).map(|peer| chat(1, peer, &format!("{peer}"), "x")).collect();
    store.append(&batch).await.unwrap();
    drop(store);
    // Long ones, of which the planner knows nothing yet. There is nothing of them in a timeline.
    let long = "INSERT INTO chats
            (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content, created_at)
        SELECT nextval('chat_ids'), v.id, 1, 1, 'long ' || n || ' ' || v.id, 'text', 'x', 0
        FROM generate_series(1, 2000) n, conversations v WHERE v.high_user <= 6";
    database.tamper(long).await;
    let before = reads(&database).await;
    let store = database.open().await;
    for _ in 0..CALLS {
        let latest = store.latest_chats(user(1), LIMIT.try_into().unwrap()).await.unwrap();
        assert_eq!(latest.len(), 20);
    }
    drop(store);
    let a_call = (reads(&database).await - before) / CALLS;
    Figures::of("latest_chats").count("rows and entries a call", a_call);
    // The last chat of each conversation, 20 chats of each long one, one of each other, and the answer:
    // an entry and a row of each.
    let chats = CONVERSATIONS + 5 * LIMIT + LIMIT + LIMIT;
    assert!(a_call <= 2 * chats, "{a_call}");
}
