//! Redis, or the way to it, fails: it is noticed, it heals, and a gap says that it happened.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::bus::Incoming;

use super::{Net, gap, until_health, until_it_flows};
use crate::{
    contracts::bus::{Replica, notice, user},
    harness::{Figures, Proxy, Redis, redis::url_of},
};

/// What a machine that stalls may add.
const HASTE: Duration = Duration::from_secs(8);

/// How soon a link that is cut silently must be noticed: within 15 s.
const NOTICED: Duration = Duration::from_secs(15).saturating_add(HASTE);

/// How soon all must be live after a fault has ended: within 7 s.
const LIVE: Duration = Duration::from_secs(7).saturating_add(HASTE);

/// Two replicas that have heard each other.
async fn pair(redis: &Redis) -> (Net, Replica, Replica) {
    let net = Net::on([redis.url()]);
    // Several commands' worth of users, of whom the last must hear again as well.
    let users: Vec<_> = (1..=250).map(user).collect();
    let mut one = net.replica(&users).await;
    let mut two = net.replica(&users).await;
    until_it_flows(&one, user(1), &mut two).await;
    until_it_flows(&two, user(250), &mut one).await;
    (net, one, two)
}

/// After a fault has ended: how long it takes until both hear each other again. Both must have been
/// told of the gap by then.
async fn recover(one: &mut Replica, two: &mut Replica) -> Duration {
    let begun = Instant::now();
    let (there, back) =
        (until_it_flows(one, user(250), two).await, until_it_flows(two, user(1), one));
    let ((_, gap_there), (_, gap_back)) = (there, back.await);
    let live = begun.elapsed();
    if !gap_there {
        gap(two).await;
    }
    if !gap_back {
        gap(one).await;
    }
    // Each of them is sound, not merely one direction of it.
    until_health(one, true).await;
    until_health(two, true).await;
    live
}

#[tokio::test]
async fn redis_is_killed_and_started_again() {
    let mut redis = Redis::start();
    let (_net, mut one, mut two) = pair(&redis).await;

    redis.kill();
    let noticed = until_health(&one, false).await.max(until_health(&two, false).await);
    redis.start_again();
    let live = recover(&mut one, &mut two).await;

    Figures::of("bus_redis_killed")
        .time("noticed after", noticed)
        .time("live after its start", live);
    assert!(noticed < NOTICED && live < LIVE);
}

#[tokio::test]
async fn redis_stays_away_for_longer() {
    let mut redis = Redis::start();
    let (net, mut one, mut two) = pair(&redis).await;

    redis.kill();
    let away = Instant::now();
    // What is wanted meanwhile is refused in time, and stands in the end all the same.
    let refused = two.bus.subscribe(user(1_000)).await;
    assert!(refused.is_err() && away.elapsed() < NOTICED, "{refused:?}");
    two.bus.unsubscribe(user(2));
    tokio::time::sleep(Duration::from_secs(20).saturating_sub(away.elapsed())).await;
    redis.start_again();
    let live = recover(&mut one, &mut two).await;

    Figures::of("bus_redis_away_for_20_s").time("live after its start", live);
    assert!(live < LIVE);
    until_it_flows(&one, user(1_000), &mut two).await;
    assert_eq!(net.subscribers(&redis, user(2)), 1, "nobody has ended it");
}

#[tokio::test]
async fn redis_is_down_at_the_start() {
    let mut redis = Redis::start();
    redis.kill();
    let net = Net::on([redis.url()]);
    let begun = Instant::now();
    let mut one = net.replica(&[]).await;
    let mut two = net.replica(&[]).await;
    assert!(begun.elapsed() < NOTICED, "a start does not wait for a Redis that is away");
    assert!(one.bus.health().is_err() && two.bus.health().is_err());
    let subscribing = [(&one, 1), (&two, 250)].map(|(replica, id)| {
        let bus = Arc::clone(&replica.bus);
        tokio::spawn(async move { bus.subscribe(user(id)).await })
    });
    redis.start_again();
    for subscribed in subscribing {
        subscribed.await.unwrap().unwrap();
    }
    recover(&mut one, &mut two).await;
}

#[tokio::test]
async fn redis_is_frozen() {
    let redis = Redis::start();
    let (_net, mut one, mut two) = pair(&redis).await;

    redis.freeze();
    let frozen = Instant::now();
    let noticed = until_health(&one, false).await.max(until_health(&two, false).await);
    // All the attempts that are made meanwhile connect, since the kernel answers, and then hang.
    let mut calls = 0;
    while frozen.elapsed() < Duration::from_secs(15) {
        one.bus.publish(user(1), notice("into the frost"));
        calls += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Had they waited for an answer, there would be a few.
    assert!(calls > 200, "{calls}");
    redis.thaw();
    let live = recover(&mut one, &mut two).await;

    Figures::of("bus_redis_frozen")
        .time("noticed after", noticed)
        .time("live after it thawed", live);
    assert!(noticed < NOTICED && live < LIVE);
}

#[tokio::test]
async fn a_link_is_cut_silently() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr()).await;
    let net = Net::on([redis.url()]);
    let mut near = net.replica(&[user(1), user(250)]).await;
    let mut far = net.by_way_of(url_of(proxy.addr())).replica(&[user(1), user(250)]).await;
    until_it_flows(&near, user(1), &mut far).await;
    until_it_flows(&far, user(1), &mut near).await;

    proxy.silence();
    let cut = Instant::now();
    let noticed = until_health(&far, false).await;
    // Both directions, so that it is not the publisher alone.
    while !far.bus.health().unwrap_err().contains("subscriber") {
        assert!(cut.elapsed() < NOTICED, "{:?}", far.bus.health());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let noticed_by_both = cut.elapsed();
    // Its own link says nothing of this to the other one, and it must hear of it all the same.
    far.bus.publish(user(1), notice("lost"));
    // Long enough that the waits between attempts are the longest.
    tokio::time::sleep(Duration::from_secs(25).saturating_sub(cut.elapsed())).await;
    assert_eq!(near.bus.health(), Ok(()));
    proxy.heal();
    let live = recover(&mut near, &mut far).await;

    let figures = Figures::of("bus_link_silent");
    figures.time("noticed after", noticed);
    figures.time("noticed in both directions after", noticed_by_both);
    figures.time("live after it healed", live);
    assert!(noticed < NOTICED && live < LIVE);
}

/// The gap is that of the replica whose link broke: the other one has lost nothing.
#[tokio::test]
async fn a_link_is_reset_again_and_again() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr()).await;
    let net = Net::on([redis.url()]);
    let mut near = net.replica(&[user(1), user(250)]).await;
    let mut far = net.by_way_of(url_of(proxy.addr())).replica(&[user(1), user(250)]).await;
    for _ in 0..5 {
        until_health(&far, true).await;
        proxy.cut();
        until_health(&far, false).await;
        proxy.heal();
        let (_, was_gap) = until_it_flows(&near, user(250), &mut far).await;
        if !was_gap {
            gap(&mut far).await;
        }
        until_it_flows(&far, user(1), &mut near).await;
    }
}

#[tokio::test]
async fn what_a_publisher_loses_is_told_to_the_others() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr()).await;
    let net = Net::on([redis.url()]);
    let mut near = net.replica(&[user(1)]).await;
    let far = net.by_way_of(url_of(proxy.addr())).replica(&[]).await;
    assert_eq!(far.mark(user(1), &mut near).await, []);

    proxy.cut();
    far.bus.publish(user(1), notice("lost"));
    until_health(&far, false).await;
    proxy.heal();

    // The link of the one that listens has stood all the time.
    assert_eq!(near.hear().await, Incoming::Gap);
    assert_eq!(near.bus.health(), Ok(()));
}

#[tokio::test]
async fn flushall_changes_nothing() {
    let redis = Redis::start();
    let (_net, one, mut two) = pair(&redis).await;
    assert!(redis.ask("FLUSHALL").unwrap().starts_with("+OK"));
    assert_eq!(one.mark(user(250), &mut two).await, []);
}

#[tokio::test]
async fn one_of_two_instances_dies() {
    let mut redis = [Redis::start(), Redis::start()];
    let net = Net::on(redis.iter().map(Redis::url));
    let users: Vec<_> = (1..=100).map(user).collect();
    let mut one = net.replica(&users).await;
    let two = net.replica(&[]).await;
    for user in &users {
        assert_eq!(two.mark(*user, &mut one).await, []);
    }
    let (first, second): (Vec<_>, Vec<_>) =
        users.iter().copied().partition(|user| net.subscribers(&redis[0], *user) == 1);
    assert!(first.len() > 30 && second.len() > 30, "{} and {}", first.len(), second.len());
    assert!(second.iter().all(|user| net.subscribers(&redis[1], *user) == 1));

    redis[1].kill();
    until_health(&one, false).await;
    assert!(one.bus.health().unwrap_err().starts_with("redis 2 "), "{:?}", one.bus.health());
    for user in &first {
        assert_eq!(two.mark(*user, &mut one).await, [], "the other instance is well");
    }
    redis[1].start_again();
    let (_, was_gap) = until_it_flows(&two, second[0], &mut one).await;
    if !was_gap {
        gap(&mut one).await;
    }
    for user in &second {
        until_it_flows(&two, *user, &mut one).await;
    }
}
