//! A database that the version before has filled: this version opens it within a minute, and loses nothing
//! that clients hold on to: sessions, places in timelines, keys, logins.

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use imserver::{
    clock::Clock,
    domain::{Epoch, Seq, User, UserId},
    store::{
        Appended, Change, NewChat, Store, TimelineRange, TokenHash, postgres::PgStore,
        sqlite::SqliteStore,
    },
};
use sqlx::{
    AssertSqlSafe, Connection, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    contracts::store::{chat, demo_user, send, wechat_user},
    harness::{DEADLINE, Figures, postgres},
};

/// The last migration of the version before.
const BEFORE: u32 = 6;
const USERS: i64 = 10_000;
const CHATS: i64 = 100_000;
const EPOCH: &str = "1f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11";
const AT_ONCE: usize = 16;

/// What is in it, in words that both databases know, on the numbers `n`. Of three users one has an openid, one
/// a demo name, and one came by the legacy routes. Each talks with the next two, and some to themselves.
const CONTENTS: [&str; 10] = [
    "INSERT INTO users (id, name, openid, demo_name, created_at)
     SELECT 999999 + n, 'user ' || n, CASE n % 3 WHEN 1 THEN 'openid-' || n END,
         CASE n % 3 WHEN 2 THEN 'demo-' || n END, 1700000000000 + n
     FROM n WHERE n <= 10000",
    "INSERT INTO sessions (token_hash, user_id, created_at, idle_expires_at, expires_at, revoked)
     SELECT TOKEN, 999999 + n, 1700000000000, 1800000000000 + n, 1900000000000 + n, n % 10 = 0
     FROM n WHERE n <= 10000",
    "INSERT INTO conversations (kind, low_user, high_user, created_at)
     SELECT 'direct', 999999 + n, 999999 + n + apart, 1700000000000
     FROM n JOIN (SELECT 0 AS apart UNION SELECT 1 UNION SELECT 2) pair ON n + apart <= 10000
     WHERE apart > 0 OR n % 10 = 0 ORDER BY n, apart",
    "INSERT INTO members (conversation_id, user_id)
     SELECT id, low_user FROM conversations UNION SELECT id, high_user FROM conversations",
    "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, created_at, client_msg_id, kind,
         content)
     SELECT n, v.id, CASE n % 2 WHEN 1 THEN v.low_user ELSE v.high_user END, 1,
         1700000000000 + n, 'key-' || n, 'text', 'chat ' || n
     FROM n JOIN conversations v
         ON v.id = 1 + (n * 7919) % (SELECT count(*) FROM conversations)",
    "INSERT INTO timeline_events (user_id, seq, kind, chat_id)
     SELECT m.user_id, row_number() OVER (PARTITION BY m.user_id ORDER BY c.id), 'chat', c.id
     FROM chats c JOIN members m ON m.conversation_id = c.conversation_id",
    "UPDATE chats SET sender_seq = (SELECT e.seq FROM timeline_events e
         WHERE e.user_id = chats.sender_id AND e.chat_id = chats.id)",
    "INSERT INTO timelines (user_id, first_seq, last_seq)
     SELECT u.id, 1, (SELECT coalesce(max(e.seq), 0) FROM timeline_events e WHERE e.user_id = u.id)
     FROM users u",
    "UPDATE conversations SET
         low_wrote = EXISTS (SELECT 1 FROM chats c
             WHERE c.conversation_id = conversations.id AND c.sender_id = conversations.low_user),
         high_wrote = EXISTS (SELECT 1 FROM chats c
             WHERE c.conversation_id = conversations.id AND c.sender_id = conversations.high_user)",
    COUNTERS,
];

/// Each database has its own.
const COUNTERS: &str = "COUNTERS";

fn contents(token: &str, counters: &str) -> impl Iterator<Item = AssertSqlSafe<String>> {
    CONTENTS.into_iter().map(move |statement| {
        if statement == COUNTERS {
            return AssertSqlSafe(counters.to_owned());
        }
        let numbers =
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)";
        AssertSqlSafe(format!("{numbers} {}", statement.replace("TOKEN", token)))
    })
}

/// The schema up to a migration.
async fn schema(migrations: &str, last: u32) -> Migrator {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(migrations).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if name[..4].parse::<u32>().unwrap() <= last {
            fs::copy(file.path(), folder.path().join(name)).unwrap();
        }
    }
    Migrator::new(folder.path()).await.unwrap()
}

/// Opens an old database.
async fn opened(what: &str, opening: impl Future<Output = Arc<dyn Store>>) -> Arc<dyn Store> {
    let begun = Instant::now();
    let store = opening.await;
    let took = begun.elapsed();
    let figures = Figures::of(format!("old_database_{what}"));
    figures.count("users", USERS).count("chats", CHATS).time("opened after", took);
    assert!(took < Duration::from_mins(1), "{took:?}");
    store
}

/// Who has which chats, and between whom each is: the same as in SQL.
struct World {
    /// In the order of the timeline.
    chats_of: BTreeMap<i64, Vec<i64>>,
    /// Sender and target of each chat, from chat 1 on.
    sides: Vec<(i64, i64)>,
}

impl World {
    fn new() -> Self {
        let mut pairs = Vec::new();
        for n in 1..=USERS {
            for apart in (0..=2).filter(|apart| n + apart <= USERS) {
                if apart > 0 || n % 10 == 0 {
                    pairs.push((999_999 + n, 999_999 + n + apart));
                }
            }
        }
        let mut chats_of: BTreeMap<i64, Vec<i64>> =
            (1..=USERS).map(|n| (999_999 + n, Vec::new())).collect();
        let mut sides = Vec::new();
        for chat in 1..=CHATS {
            let place = usize::try_from(chat * 7919).unwrap() % pairs.len();
            let (low, high) = pairs[place];
            let (sender, target) = if chat % 2 == 1 { (low, high) } else { (high, low) };
            sides.push((sender, target));
            for side in if sender == target { vec![sender] } else { vec![sender, target] } {
                chats_of.get_mut(&side).unwrap().push(chat);
            }
        }
        Self { chats_of, sides }
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

async fn keeps_everything(store: &Arc<dyn Store>) {
    let world = World::new();
    assert_eq!(store.epoch().await.unwrap(), Epoch::parse(EPOCH).unwrap(), "places still count");
    let each = || stream::iter(1..=USERS);
    each().for_each_concurrent(AT_ONCE, |n| keeps_the_session(&**store, n)).await;
    each().for_each_concurrent(AT_ONCE, |n| keeps_the_timeline(&**store, n, &world)).await;
    each().for_each_concurrent(AT_ONCE, |n| keeps_the_login(&**store, n)).await;
    keeps_keys(&**store, &world).await;
    goes_on(&**store, &world).await;
}

async fn keeps_the_session(store: &dyn Store, n: i64) {
    let token = format!("{n:032}");
    let hash = TokenHash(token.as_bytes().try_into().unwrap());
    let session = store.session(hash).await.unwrap().unwrap();
    assert_eq!((session.user, session.revoked), (user(999_999 + n), n % 10 == 0));
    let ends = (session.idle_expires_at.as_millis(), session.expires_at.as_millis());
    assert_eq!(ends, (1_800_000_000_000 + n, 1_900_000_000_000 + n));
}

async fn keeps_the_timeline(store: &dyn Store, n: i64, world: &World) {
    let of = user(999_999 + n);
    let expected = &world.chats_of[&of.get()];
    let since = Seq::new(n % 3).unwrap();
    let page = store.events(of, since, 1_000).await.unwrap();
    let last = Seq::new(expected.len().try_into().unwrap()).unwrap();
    assert_eq!(page.range, TimelineRange { first: Seq::new(1).unwrap(), last });
    let chats = page.events.iter().map(|event| match &event.change {
        Change::Chat(chat) => chat,
        other => panic!("{other:?}"),
    });
    let chats: Vec<_> = chats.collect();
    for chat in &chats {
        let (sender, target) = world.sides[usize::try_from(chat.id.get() - 1).unwrap()];
        assert_eq!((chat.user_id, chat.target.as_ref().unwrap().id), (user(sender), user(target)));
        assert_eq!(&*chat.content, format!("chat {}", chat.id));
    }
    let ids: Vec<_> = chats.iter().map(|chat| chat.id.get()).collect();
    assert_eq!(ids, expected[usize::try_from(since.get()).unwrap()..]);
    // A sample: all chats were seen above.
    if n % 50 != 0 {
        return;
    }
    let latest = store.latest_chats(of, 5).await.unwrap();
    let ids: Vec<_> = latest.iter().map(|chat| chat.id.get()).collect();
    assert_eq!(ids, expected[expected.len().saturating_sub(5)..]);
}

async fn keeps_the_login(store: &dyn Store, n: i64) {
    let found: User = match n % 3 {
        1 => wechat_user(store, &format!("openid-{n}")).await,
        2 => demo_user(store, &format!("demo-{n}")).await,
        _ => return,
    };
    assert_eq!((found.id, found.name.as_str()), (user(999_999 + n), &*format!("user {n}")));
}

async fn keeps_keys(store: &dyn Store, world: &World) {
    let some: Vec<_> = (1..=CHATS).step_by(97).collect();
    for part in some.chunks(250) {
        let again = |content: &str| -> Vec<NewChat> {
            let again = part.iter().map(|n| {
                let (sender, target) = world.sides[usize::try_from(n - 1).unwrap()];
                chat(sender, target, &format!("key-{n}"), &format!("{content} {n}"))
            });
            again.collect()
        };
        for (n, answer) in part.iter().zip(store.append(&again("chat")).await.unwrap()) {
            let Appended::Repeat(first) = answer else { panic!("chat {n}: {answer:?}") };
            assert_eq!(first.chat.id.get(), *n);
            let place = world.chats_of[&first.chat.user_id.get()].iter().position(|chat| chat == n);
            assert_eq!(
                first.sender_seq().unwrap().get(),
                1 + i64::try_from(place.unwrap()).unwrap()
            );
        }
        for answer in store.append(&again("another")).await.unwrap() {
            assert_eq!(answer, Appended::KeyReused);
        }
    }
}

async fn goes_on(store: &dyn Store, world: &World) {
    let (low, high) = (1_000_000, 1_000_001);
    let next = |of: i64| i64::try_from(world.chats_of[&of].len()).unwrap() + 1;
    let sent = send(store, low, high, "new").await;
    assert!(sent.chat.id.get() > CHATS, "{:?}", sent.chat.id);
    assert_eq!(sent.sender_seq().unwrap().get(), next(low));
    assert_eq!(store.timeline_range(user(high)).await.unwrap().last.get(), next(high));
    let new = demo_user(store, "new").await;
    assert!(new.id.get() >= 1_000_000 + USERS, "{new:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_database_of_postgres_keeps_what_clients_hold_on_to() {
    let url = postgres::database().await;
    PgStore::migrate(&url, &schema("migrations/postgres", BEFORE).await).await.unwrap();
    let mut connection = postgres::connect(&url).await;
    let counters = format!(
        "INSERT INTO service (id, epoch) VALUES (1, '{EPOCH}');
         SELECT setval('user_ids', 1009999), setval('chat_ids', 100000)"
    );
    for statement in contents("convert_to(lpad(n::text, 32, '0'), 'UTF8')", &counters) {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = opened("Postgres", async { Arc::new(PgStore::open(&url).await.unwrap()) as _ });
    keeps_everything(&store.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_database_of_sqlite_keeps_what_clients_hold_on_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imserver.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let before = schema("migrations/sqlite", BEFORE).await;
    before.run_direct(None, &mut connection, false).await.unwrap();
    let counters = format!(
        "INSERT INTO service (id, epoch, next_user_id, last_chat_id, next_connection_id)
         VALUES (1, '{EPOCH}', 1010000, 100000, 1)"
    );
    for statement in contents("CAST(printf('%032d', n) AS BLOB)", &counters) {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let open = async { Arc::new(SqliteStore::open(&path, Clock::system()).await.unwrap()) as _ };
    let store = opened("SQLite", open);
    keeps_everything(&store.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_version_before_makes_or_erases_during_the_migration_is_not_missed() {
    let url = postgres::database().await;
    PgStore::migrate(&url, &schema("migrations/postgres", 9).await).await.unwrap();
    let erased = "INSERT INTO users (id, name, demo_name, created_at) VALUES (1, 'x', 'erased', 0)";
    postgres::execute(&url, erased).await;
    let mut before = postgres::connect(&url).await;
    let mut tx = before.begin().await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO users (id, name, demo_name, created_at) VALUES (2, 'x', 'made', 0);
         UPDATE users SET demo_name = NULL, erased_at = 1 WHERE id = 1",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let opening = tokio::spawn({
        let url = url.clone();
        async move { PgStore::open(&url).await.unwrap() }
    });
    let mut observer = postgres::connect(&url).await;
    let begun = Instant::now();
    loop {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock')",
        )
        .fetch_one(&mut observer)
        .await
        .unwrap();
        if waiting {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "it does not wait");
    }
    tx.commit().await.unwrap();
    let store = opening.await.unwrap();
    assert_eq!(demo_user(&store, "made").await.id, user(2));
    assert_ne!(demo_user(&store, "erased").await.id, user(1));
}
