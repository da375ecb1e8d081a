//! Presence with real processes: what a replica shows of another one that dies, freezes, or shares a
//! Redis that forgets. The figures are printed.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;

use crate::harness::{Person, Redis, Server, Socket, replica_on, server::json_of};

const PEOPLE: usize = 60;

/// A socket that reads, so that it answers pings.
struct Reading(tokio::task::JoinHandle<()>);

impl Reading {
    fn of(socket: Socket) -> Self {
        let mut stream = socket.into_stream();
        Self(tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} }))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A watcher at one replica, and people with their sockets at another.
struct Scene {
    redis: Redis,
    /// Where the watcher is; it ends with the scene.
    _here: Server,
    there: Server,
    watcher: Person,
    people: Vec<(Person, Reading)>,
}

impl Scene {
    async fn set() -> Self {
        let redis = Redis::start();
        let start = replica_on(&redis).await;
        let (here, there) = (start().run(), start().run());
        let watcher = here.person("watcher").await;
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            let person = there.person(&format!("person {n}")).await;
            // Those who have a conversation see each other.
            person.send(watcher.id, "first", "hello").await;
            let socket = person.online().await;
            people.push((person, Reading::of(socket)));
        }
        let scene = Self { redis, _here: here, there, watcher, people };
        scene.until_online("all are there", PEOPLE).await;
        scene
    }

    /// How many of the people have sockets, as the watcher is told.
    async fn online(&self) -> usize {
        let answer = self.watcher.get("/getOnlineUser").await;
        if answer.status() != 200 {
            // It is not known: Redis may be busy with what it has lost.
            return usize::MAX;
        }
        let online: Value = json_of(answer).await;
        let is_online = |person: &Person| online[person.id.to_string()].is_object();
        self.people.iter().filter(|(person, _)| is_online(person)).count()
    }

    /// Waits until so many are online; returns how long it took.
    async fn until_online(&self, what: &str, count: usize) -> Duration {
        let begun = Instant::now();
        loop {
            let online = self.online().await;
            if online == count {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}: {online} of {count}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How much later than promised a busy machine may be.
const SLACK: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_replica_that_is_killed_leaves_no_ghosts() {
    let mut scene = Scene::set().await;
    scene.there.kill();
    let after = scene.until_online("ghosts stay", 0).await;
    println!("{PEOPLE} people of a replica killed by SIGKILL: 0 ghosts after {after:.1?}");
    assert!(after < Duration::from_secs(20) + SLACK, "{after:?}");
}

#[tokio::test]
async fn a_replica_that_was_frozen_has_neither_ghosts_nor_missing_people() {
    const GONE: usize = 10;
    let mut scene = Scene::set().await;
    scene.there.freeze();
    let frozen = Instant::now();
    let taken_for_dead = scene.until_online("it is taken for dead", 0).await;
    // Some go meanwhile; it cannot notice.
    let gone: Vec<_> = scene.people.drain(..GONE).collect();
    let ids: Vec<_> = gone.iter().map(|(person, _)| person.id).collect();
    drop(gone);
    tokio::time::sleep(Duration::from_secs(30).saturating_sub(frozen.elapsed())).await;
    scene.there.thaw();
    let begun = Instant::now();
    scene.until_online("all are back", PEOPLE - GONE).await;
    loop {
        let online = scene.watcher.get_json("/getOnlineUser").await;
        if ids.iter().all(|id| online[id.to_string()].is_null()) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "ghosts: {online}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = begun.elapsed();
    println!(
        "a replica frozen for 30 s: taken for dead after {taken_for_dead:.1?}; {after:.1?} after it \
         went on 0 ghosts and 0 missing"
    );
    assert!(after < Duration::from_secs(10) + SLACK, "{after:?}");
    assert!(scene.people.iter().all(|(_, socket)| !socket.0.is_finished()), "sockets were closed");
}

#[tokio::test]
async fn presence_is_rebuilt_after_redis_has_forgotten_it() {
    let scene = Scene::set().await;
    scene.redis.ask("FLUSHALL").unwrap();
    assert!(scene.online().await < PEOPLE, "nothing was forgotten");
    let after = scene.until_online("all are back", PEOPLE).await;
    println!("{PEOPLE} people after FLUSHALL: rebuilt in {after:.1?}");
    assert!(after < Duration::from_secs(10) + SLACK, "{after:?}");
}

#[tokio::test]
async fn whoever_goes_here_and_comes_there_is_online_once() {
    change_replicas(200).await;
}

/// Takes several minutes.
#[tokio::test]
#[ignore = "long: cargo test --test it -- --ignored ten_thousand_times"]
async fn whoever_goes_here_and_comes_there_ten_thousand_times_is_online_once() {
    change_replicas(10_000).await;
}

/// Somebody leaves one replica and comes to the other at the same moment, so many times.
async fn change_replicas(rounds: usize) {
    let redis = Redis::start();
    let start = replica_on(&redis).await;
    let (a, b) = (start().run(), start().run());
    let zhang = a.person("张三").await;
    let key = zhang.id.to_string();
    let begun = Instant::now();
    let mut socket = zhang.online().await;
    for round in 0..rounds {
        let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let there = zhang.at(to);
        let ((), next) = tokio::join!(async { drop(socket) }, there.online());
        socket = next;
        for server in [from, to] {
            let asked = Instant::now();
            loop {
                let online = zhang.at(server).get_json("/getOnlineUser").await;
                assert!(online[&key].is_object(), "offline after round {round}");
                if online[&key]["connections"] == 1 {
                    break;
                }
                assert!(asked.elapsed() < Duration::from_secs(20), "round {round}: {online}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    println!(
        "{rounds} rounds of a change of replicas in {:.1?}: right every time",
        begun.elapsed()
    );
}
