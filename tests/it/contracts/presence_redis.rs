//! Presence over a real Redis, with whole registers in the part of replicas: what they show while one
//! of them dies, freezes, or Redis does. The figures are printed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    domain::{ConnectionId, UserId},
    presence::{
        Connection, Presence, PresenceError, Transition,
        redis::{RedisPresence, SOURCE, Script, Times},
    },
    redis::Instances,
};
use parking_lot::Mutex;
use url::Url;

use crate::harness::{DEADLINE, Redis, eventually};

/// Shorter than the real ones, and long enough that a busy machine is not taken for a dead replica.
const TIMES: Times = Times {
    heartbeat: Duration::from_millis(300),
    lease: Duration::from_secs(3),
    grace: Duration::from_millis(300),
    answer: DEADLINE,
};

/// A register, and what it has heard of each user.
struct Replica {
    presence: Arc<RedisPresence>,
    heard: Arc<Mutex<BTreeMap<i64, Vec<Transition>>>>,
}

impl Replica {
    async fn start(urls: &[Url], namespace: &str, times: Times) -> Self {
        let (instances, script) = (Instances::new(urls).unwrap(), Script::new(SOURCE, namespace));
        let (presence, mut transitions) =
            RedisPresence::connect_with(&instances, times, script).await;
        let heard: Arc<Mutex<BTreeMap<i64, Vec<Transition>>>> = Arc::default();
        let hearing = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(transition) = transitions.recv().await {
                hearing.lock().entry(transition.user.get()).or_default().push(transition);
            }
        });
        Self { presence: Arc::new(presence), heard }
    }

    async fn join(&self, who: i64, socket: i64) -> Result<(), PresenceError> {
        self.presence.join(user(who), connection(socket)).await
    }

    async fn leave(&self, who: i64, socket: i64) -> Result<(), PresenceError> {
        self.presence.leave(user(who), connection(socket)).await
    }

    /// Users who have sockets, and how many; nobody if Redis does not answer.
    async fn list(&self) -> Vec<(i64, u32)> {
        let listed = self.presence.list(None, 100_000).await.unwrap_or_default();
        listed.iter().map(|online| (online.user.get(), online.connections)).collect()
    }

    /// What was heard of a user, in order.
    fn heard_of(&self, who: i64) -> Vec<bool> {
        let heard = self.heard.lock();
        let of = heard.get(&who).map(Vec::as_slice).unwrap_or_default();
        assert!(of.windows(2).all(|two| two[0].version < two[1].version), "{of:?}");
        of.iter().map(|transition| transition.online).collect()
    }

    async fn until_listed(&self, what: &str, expected: &[(i64, u32)]) -> Duration {
        let begun = Instant::now();
        eventually(what, || async { self.list().await == expected }).await;
        begun.elapsed()
    }

    async fn until_heard(&self, who: i64, online: bool) {
        let what = format!("{who} is announced, online: {online}");
        eventually(&what, || async { self.heard_of(who).last() == Some(&online) }).await;
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn connection(id: i64) -> ConnectionId {
    ConnectionId::new(id).unwrap()
}

fn urls(redis: &Redis) -> Vec<Url> {
    vec![redis.url()]
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_disconnects_here_and_connects_there_is_online() {
    const ROUNDS: i64 = 1_000;
    let redis = Redis::start();
    // Time enough for a round under load.
    let times = Times { grace: Duration::from_secs(5), lease: Duration::from_secs(15), ..TIMES };
    let a = Replica::start(&urls(&redis), "rounds", times).await;
    let b = Replica::start(&urls(&redis), "rounds", times).await;
    let begun = Instant::now();
    a.join(1, 1).await.unwrap();
    for round in 1..=ROUNDS {
        let (from, to) = if round % 2 == 1 { (&a, &b) } else { (&b, &a) };
        let (left, joined) = tokio::join!(from.leave(1, round), to.join(1, round + 1));
        left.unwrap();
        joined.unwrap();
        for replica in [&a, &b] {
            assert_eq!(replica.list().await, [(1, 1)], "after round {round}");
            assert_eq!(replica.presence.online(&[user(1)]).await.unwrap(), [user(1)]);
        }
    }
    println!("{ROUNDS} rounds of a change of replicas in {:.1?}: all right", begun.elapsed());
    a.leave(1, ROUNDS + 1).await.unwrap();
    for replica in [&a, &b] {
        replica.until_heard(1, false).await;
        assert_eq!(replica.heard_of(1), [true, false]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_within_the_grace_are_seen_by_no_replica() {
    let redis = Redis::start();
    let times = Times { grace: Duration::from_secs(5), lease: Duration::from_secs(15), ..TIMES };
    let a = Replica::start(&urls(&redis), "grace", times).await;
    let b = Replica::start(&urls(&redis), "grace", times).await;
    for who in 1..=100 {
        a.join(who, who).await.unwrap();
    }
    // As in a rolling restart: the replica says that it leaves, and its clients come back elsewhere.
    a.presence.close().await;
    assert_eq!(b.list().await, []);
    for who in 1..=100 {
        b.join(who, 1_000 + who).await.unwrap();
    }
    assert!(a.join(101, 101).await.is_err(), "a register that is closed takes nobody");
    tokio::time::sleep(times.grace).await;
    for who in 1..=100 {
        b.leave(who, 1_000 + who).await.unwrap();
    }
    for who in 1..=100 {
        b.until_heard(who, false).await;
        assert_eq!(b.heard_of(who), [true, false]);
    }
    println!("100 users changed to another replica: announced once, when they came");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_of_all_takes_a_transition_for_its_own() {
    let redis = Redis::start();
    let replicas = [
        Replica::start(&urls(&redis), "own", TIMES).await,
        Replica::start(&urls(&redis), "own", TIMES).await,
        Replica::start(&urls(&redis), "own", TIMES).await,
    ];
    // What waits for too long is written later.
    for who in 1..=50 {
        let _ = replicas[0].join(who, who).await;
    }
    for who in 1..=50 {
        for replica in &replicas {
            replica.until_heard(who, true).await;
        }
        let _ = replicas[0].leave(who, who).await;
    }
    for who in 1..=50 {
        for replica in &replicas {
            replica.until_heard(who, false).await;
        }
        for place in 0..2 {
            let heard = replicas.each_ref().map(|replica| replica.heard.lock()[&who][place]);
            assert!(heard.iter().all(|transition| transition.version == heard[0].version));
            let owners = heard.iter().filter(|transition| transition.is_ours).count();
            assert_eq!(owners, 1, "{heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sockets_of_a_dead_replica_are_in_doubt_before_they_are_gone() {
    let redis = Redis::start();
    let times = Times { lease: Duration::from_mins(1), ..TIMES };
    let dying = Replica::start(&urls(&redis), "doubt", times).await;
    let living = Replica::start(&urls(&redis), "doubt", times).await;
    // What waits for too long is written later.
    let _ = tokio::join!(dying.join(1, 1), living.join(1, 2));
    let seen = |first| {
        let living = &living;
        async move {
            let known = living.presence.connections(&[user(1)]).await.unwrap_or_default();
            let sure = |connection: &Connection| (connection.id.get(), connection.is_sure);
            let known: Vec<_> = known.values().flatten().map(sure).collect();
            known == [(1, first), (2, true)]
        }
    };
    eventually("both replicas are heard", || seen(true)).await;
    drop(dying.presence);
    eventually("one of them is not heard any more", || seen(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_leaves_no_ghosts() {
    const USERS: i64 = 5_000;
    let redis = Redis::start();
    let dying = Replica::start(&urls(&redis), "ghosts", TIMES).await;
    let living = Replica::start(&urls(&redis), "ghosts", TIMES).await;
    let joins = (1..=USERS).map(|who| dying.join(who, who));
    for joined in futures_util::future::join_all(joins).await {
        // What waits for too long is written later.
        let _ = joined;
    }
    living.join(1, 9_999).await.unwrap();
    eventually("all are listed", || async { living.list().await.len() == 5_000 }).await;
    drop(dying.presence);
    let after = living.until_listed("the dead one's users go", &[(1, 1)]).await;
    for who in 2..=USERS {
        living.until_heard(who, false).await;
    }
    assert_eq!(living.heard_of(1), [true]);
    println!(
        "{USERS} users of a dead replica: 0 ghosts {after:.1?} later, lease {:?}",
        TIMES.lease
    );
}

#[test]
fn a_replica_that_was_frozen_comes_back_whole() {
    let redis = Redis::start();
    let one = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (frozen_runtime, runtime) = (one().unwrap(), one().unwrap());
    let frozen = frozen_runtime.block_on(Replica::start(&urls(&redis), "frozen", TIMES));
    let living = runtime.block_on(Replica::start(&urls(&redis), "frozen", TIMES));
    frozen_runtime.block_on(async {
        for who in 1..=200 {
            frozen.join(who, who).await.unwrap();
        }
    });
    // The only thread of all its tasks stands still.
    frozen_runtime.spawn(async { std::thread::sleep(TIMES.lease * 3) });
    let gone = runtime.block_on(living.until_listed("the frozen one is taken for dead", &[]));
    let all: Vec<_> = (1..=200).map(|who| (who, 1)).collect();
    let back = runtime.block_on(living.until_listed("it is back", &all));
    runtime.block_on(async {
        for who in 1..=200 {
            living.until_heard(who, true).await;
            assert_eq!(living.heard_of(who), [true, false, true]);
        }
    });
    println!("200 users of a frozen replica: gone after {gone:.1?}, all back {back:.1?} later");
    frozen_runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_rebuilt_after_redis_has_forgotten_it() {
    let redis = Redis::start();
    let a = Replica::start(&urls(&redis), "flushed", TIMES).await;
    let b = Replica::start(&urls(&redis), "flushed", TIMES).await;
    for who in 1..=300 {
        a.join(who, who).await.unwrap();
        b.join(who + 200, 1_000 + who).await.unwrap();
    }
    a.leave(1, 1).await.unwrap();
    redis.ask("FLUSHALL").unwrap();
    let expected: Vec<_> =
        (2..=500).map(|who| (who, if (201..=300).contains(&who) { 2 } else { 1 })).collect();
    let after = a.until_listed("all are back", &expected).await;
    println!("599 sockets after FLUSHALL: rebuilt in {after:.1?}, heartbeat {:?}", TIMES.heartbeat);
    for replica in [&a, &b] {
        replica.until_heard(1, false).await;
        // Versions rise across what was forgotten: this looks at all that was heard.
        (1..=500).for_each(|who| assert!(!replica.heard_of(who).is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_rebuilt_after_redis_was_away() {
    let mut redis = Redis::start();
    let a = Replica::start(&urls(&redis), "away", TIMES).await;
    let b = Replica::start(&urls(&redis), "away", TIMES).await;
    for who in 1..=100 {
        a.join(who, who).await.unwrap();
    }
    b.until_heard(100, true).await;
    redis.kill();
    let begun = Instant::now();
    assert!(a.join(101, 101).await.is_err());
    assert!(a.leave(1, 1).await.is_err());
    assert!(matches!(a.presence.online(&[user(1)]).await, Err(PresenceError::Unavailable(_))));
    println!("three calls with Redis killed: {:.1?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10));
    redis.start_again();
    let expected: Vec<_> = (2..=101).map(|who| (who, 1)).collect();
    let after = b.until_listed("all are back", &expected).await;
    println!("100 sockets after a restart of Redis: rebuilt in {after:.1?}");
    for replica in [&a, &b] {
        replica.until_heard(1, false).await;
        replica.until_heard(101, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_holds_nobody_up_for_long_and_forgets_nothing() {
    let redis = Redis::start();
    // The lease outlives it: only what is remembered is repaired.
    let answer = Times::default().answer;
    let times = Times { lease: Duration::from_mins(1), answer, ..TIMES };
    let a = Replica::start(&urls(&redis), "stopped", times).await;
    let _ = a.join(1, 1).await;
    a.until_listed("the first one is written", &[(1, 1)]).await;
    redis.freeze();
    for (what, took) in [
        ("join", timed(a.join(2, 2)).await),
        ("leave", timed(a.leave(1, 1)).await),
        ("online", timed(async { a.presence.online(&[user(1)]).await.map(|_| ()) }).await),
    ] {
        println!("{what} with Redis frozen: {took:.1?}");
        assert!(took < Duration::from_secs(5));
    }
    redis.thaw();
    let after = a.until_listed("what was remembered is written", &[(2, 1)]).await;
    println!("written {after:.1?} after it went on");
    a.until_heard(1, false).await;
    a.until_heard(2, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_starts_with_what_it_once_had_is_put_right() {
    let mut redis = Redis::start();
    let times = Times { lease: Duration::from_mins(1), ..TIMES };
    let a = Replica::start(&urls(&redis), "restored", times).await;
    a.join(1, 1).await.unwrap();
    a.join(2, 2).await.unwrap();
    redis.ask("SAVE").unwrap();
    a.leave(1, 1).await.unwrap();
    a.join(3, 3).await.unwrap();
    redis.kill();
    redis.start_again();
    assert!(redis.ask("DBSIZE").unwrap() != ":0\r\n+OK\r\n", "it has kept nothing");
    let after = a.until_listed("the ghost goes and the lost one is back", &[(2, 1), (3, 1)]).await;
    println!("a Redis with an old snapshot: put right in {after:.1?}");
}

#[tokio::test]
async fn however_many_sockets_open_at_once_all_are_written() {
    const SOCKETS: i64 = 4_200;
    let redis = Redis::start();
    let times = Times { lease: Duration::from_mins(1), ..TIMES };
    let a = Replica::start(&urls(&redis), "many", times).await;
    let joins = (1..=SOCKETS).map(|socket| (64, socket)).chain([(1, 1)]);
    let joins = joins.map(|(who, socket)| a.join(who, socket));
    let begun = Instant::now();
    for joined in futures_util::future::join_all(joins).await {
        joined.unwrap();
    }
    assert_eq!(a.list().await, [(1, 1), (64, 4_200)]);
    println!("{SOCKETS} sockets at once: all written in {:.1?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_while_a_replica_did_not_listen_is_heard_later() {
    let redis = Redis::start();
    let a = Replica::start(&urls(&redis), "deaf", TIMES).await;
    let b = Replica::start(&urls(&redis), "deaf", TIMES).await;
    for who in 1..=20 {
        redis.ask("CLIENT KILL TYPE pubsub").unwrap();
        a.join(who, who).await.unwrap();
        for replica in [&a, &b] {
            replica.until_heard(who, true).await;
            assert_eq!(replica.heard_of(who), [true]);
        }
    }
}

async fn timed(call: impl Future<Output = Result<(), PresenceError>>) -> Duration {
    let begun = Instant::now();
    assert!(call.await.is_err());
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_are_one_register() {
    let (one, two) = (Redis::start(), Redis::start());
    let both = [one.url(), two.url()];
    let a = Replica::start(&both, "spread", TIMES).await;
    let b = Replica::start(&both, "spread", TIMES).await;
    for who in 1..=1_000 {
        a.join(who, who).await.unwrap();
    }
    let all: Vec<_> = (1..=1_000).map(|who| (who, 1)).collect();
    assert_eq!(b.list().await, all);
    let asked: Vec<_> = [700, 2_000, 3].map(user).into();
    assert_eq!(b.presence.online(&asked).await.unwrap(), [user(700), user(3)]);
    b.until_heard(1_000, true).await;
    for redis in [&one, &two] {
        let keys = redis.ask("DBSIZE").unwrap();
        assert_ne!(keys.lines().next(), Some(":0"), "each keeps a share");
    }
    a.presence.close().await;
    assert_eq!(b.list().await, []);
}

/// How a Redis refuses to write, and how it is made to take writes again.
const REFUSALS: [(&str, &str, &str); 3] = [
    ("OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ("READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ("NOREPLICAS", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_written_is_not_taken_for_offline() {
    let redis = Redis::start();
    let (a, b) = (
        Replica::start(&urls(&redis), "refused", TIMES).await,
        Replica::start(&urls(&redis), "refused", TIMES).await,
    );
    for (socket, (code, refuse, accept)) in (1..).zip(REFUSALS) {
        assert!(redis.ask(refuse).unwrap().starts_with("+OK"));
        assert!(a.join(socket, socket).await.is_err());
        // Nor by the other one, which has had nothing to write.
        let answers = [
            b.presence.online(&[user(socket)]).await.err(),
            b.presence.connections(&[user(socket)]).await.err(),
            b.presence.list(None, 10).await.err(),
        ];
        for answer in answers {
            let error = answer.unwrap_or_else(|| panic!("an answer in spite of {code}"));
            assert!(error.to_string().contains(code), "{error}");
        }
        assert!(redis.ask(accept).unwrap().starts_with("+OK"));
        eventually("it is written", async || {
            b.presence.online(&[user(socket)]).await.is_ok_and(|online| !online.is_empty())
        })
        .await;
    }
}
