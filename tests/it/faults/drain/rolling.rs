//! Replicas that are restarted one after another, with clients that do what the contract says.

use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    faults::cluster::{self, Cluster, Load, Size},
    harness::{Figures, Person, Redis, Seen, Server, Socket, postgres, replica_on},
};

/// So many replicas of one service.
async fn replicas(count: usize, drain_secs: u64) -> Vec<Server> {
    let start = replica_on(Redis::shared()).await;
    let start = || start().set("server.drain_secs", drain_secs).set("server.drain_pause_secs", 1);
    (0..count).map(|_| start().run()).collect()
}

/// Restarts a replica as a rollout does; returns how long it drained.
async fn restart(server: &mut Server) -> Duration {
    let begun = Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    let drained = begun.elapsed();
    server.start_again();
    drained
}

/// Waits until the replica sends a socket away, and opens another one where it says.
async fn move_on(person: &Person, socket: &mut Socket, to: &Person) -> Duration {
    let reconnect = socket.until("reconnect").await;
    assert_eq!(socket.next().await, Seen::Closed(1012));
    let away = Instant::now();
    tokio::time::sleep(Duration::from_millis(reconnect["afterMs"].as_u64().unwrap())).await;
    assert_eq!(person.id, to.id);
    *socket = to.online().await;
    away.elapsed()
}

#[tokio::test]
async fn nobody_is_announced_offline_who_comes_back_within_the_grace() {
    const PEOPLE: usize = 40;
    let mut servers = replicas(2, 5).await;
    let [a, b] = &mut servers[..] else { unreachable!() };
    let watcher = b.person("watcher").await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let person = a.person(&format!("person {n}")).await;
        // They may see each other once they have a conversation.
        person.send(watcher.id, "first", "hello").await;
        people.push(person);
    }
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(person.online().await);
    }
    let mut watching = watcher.online().await;
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    watching.send(&json!({"type": "watch", "userIds": ids})).await;
    for _ in 0..PEOPLE {
        assert_eq!(watching.until("presence").await["online"], true);
    }
    let mut moving = JoinSet::new();
    for (person, mut socket) in people.iter().cloned().zip(sockets) {
        let there = person.at(b);
        moving.spawn(async move {
            let away = move_on(&person, &mut socket, &there).await;
            (away, socket)
        });
    }
    let drained = restart(a).await;
    let moved = moving.join_all().await;
    let longest = moved.iter().map(|(away, _)| *away).max().unwrap();
    // The grace, the sweep, and a busy machine.
    let (mut offline, until) = (Vec::new(), Instant::now() + Duration::from_secs(8));
    while let Ok(frame) = tokio::time::timeout_at(until.into(), watching.frame()).await {
        if frame["type"] == "presence" && frame["online"] == false {
            offline.push(frame["userId"].clone());
        }
    }
    let figures = Figures::of("moving_in_a_drain");
    figures.count("people", PEOPLE).count("announced offline", offline.len());
    figures.time("drain", drained).time("longest away", longest);
    // On a machine that stalls for the whole grace somebody is offline in truth.
    assert!(longest >= Duration::from_secs(4) || offline.is_empty(), "{offline:?}");
    // It would have been seen: who really goes is announced.
    drop(moved);
    let gone = watching.until("presence").await;
    assert_eq!(gone["online"], false, "{gone}");
}

/// How long anybody was without a socket at a time, until something has ended.
async fn longest_without_socket(load: &Load, until: impl Future) -> Duration {
    let (mut since, mut longest) = (HashMap::new(), Duration::ZERO);
    let mut until = pin!(until);
    while timeout(Duration::from_millis(20), until.as_mut()).await.is_err() {
        for (place, status) in load.statuses().iter().enumerate() {
            if status.replica.is_some() {
                since.remove(&place);
            } else {
                let since = since.entry(place).or_insert_with(Instant::now);
                longest = longest.max(since.elapsed());
            }
        }
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_keeps_the_ledger_clean() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let start = || {
        let replica = cluster::replica(&database, redis.url().as_str());
        replica.set("server.drain_secs", 4).set("server.drain_pause_secs", 1)
    };
    let mut cluster = Cluster::of([start(), start(), start()]).await;
    let mut load = Load::start(&cluster, Size::default(), "rolling_restart").await;
    let mut longest = Duration::ZERO;
    for replica in 0..3 {
        load.run_for(Duration::from_secs(1)).await;
        let restarting = async {
            assert_eq!(cluster.replicas[replica].terminate().await.code(), Some(0));
            cluster.start_again(replica);
        };
        longest = longest.max(longest_without_socket(&load, restarting).await);
        let all = load.flows(Instant::now()).await;
        load.figures.time(format!("replica {replica} restarted: all flows after"), all);
    }
    load.settle().await;
    load.figures.time("longest without a socket", longest);
    assert!(longest < Duration::from_secs(15), "{longest:?}");
}
