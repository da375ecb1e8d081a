//! More is published than Redis takes: it costs what is published, and nobody waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::bus::{
    Bus, Incoming,
    redis::{PUBLISH_QUEUE, PUBLISH_QUEUE_BYTES},
};

use super::{Net, gap, until_it_flows};
use crate::{
    contracts::bus::{BusFactory, Replica, notice, user},
    harness::{DEADLINE, Figures, Redis, eventually},
};

#[tokio::test]
async fn an_overflow_is_bounded_and_makes_nobody_wait() {
    let redis = Redis::start();
    let net = Net::on([redis.url()]);
    let mut listener = net.replica(&[user(1)]).await;
    let (bus, _receiver) = net.bus().await;
    redis.freeze();

    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for number in 0..PUBLISH_QUEUE * 4 {
        let call = Instant::now();
        bus.publish(user(1), notice(&number.to_string()));
        slowest = slowest.max(call.elapsed());
    }
    assert!(bus.queued() <= PUBLISH_QUEUE);
    let figures = Figures::of("publishing_to_a_frozen_redis");
    figures.count("published", PUBLISH_QUEUE * 4).time("within", begun.elapsed());
    figures.time("slowest", slowest);
    assert!(begun.elapsed() < DEADLINE);

    redis.thaw();
    // The others are told that some did not come.
    gap(&mut listener).await;
    let publisher = net.replica(&[]).await;
    until_it_flows(&publisher, user(1), &mut listener).await;
    eventually("the queue is empty", async || bus.queued() == 0).await;
}

#[tokio::test]
async fn long_signals_are_bounded_by_their_bytes() {
    let redis = Redis::start();
    let net = Net::on([redis.url()]);
    let (bus, receiver) = net.bus().await;
    redis.freeze();
    let long = notice(&"x".repeat(100_000));
    for _ in 0..1_000 {
        bus.publish(user(1), long.clone());
    }
    assert!(bus.queued() > 0 && bus.queued() <= PUBLISH_QUEUE_BYTES / 100_000);
    eventually("a dead link drops what waits", async || bus.queued() == 0).await;
    // And what was dropped takes no place any more.
    for _ in 0..100 {
        bus.publish(user(1), notice("short"));
    }
    assert!(bus.queued() <= 100);
    redis.thaw();
    let mut listener = net.replica(&[user(1)]).await;
    let publisher = Replica { bus: Arc::new(bus), receiver };
    until_it_flows(&publisher, user(1), &mut listener).await;
}

/// What was said long ago may do harm, so it is not kept for when the link is back.
#[tokio::test]
async fn a_dead_link_drops_what_waits() {
    let mut redis = Redis::start();
    let net = Net::on([redis.url()]);
    let (bus, _receiver) = net.bus().await;
    redis.kill();
    for _ in 0..PUBLISH_QUEUE {
        bus.publish(user(1), notice("too late"));
    }
    eventually("all are dropped", async || bus.queued() == 0).await;
    redis.start_again();
    let (mut listener, publisher) = (net.replica(&[user(1)]).await, net.replica(&[]).await);
    eventually("the link stands", async || bus.health().is_ok()).await;
    let heard = publisher.mark(user(1), &mut listener).await;
    // The one that lost them may have said so by now.
    assert!(heard.iter().all(|heard| *heard == Incoming::Gap), "{} heard", heard.len());
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let net = Net::start().await;
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[user(1)]).await;
    let begun = Instant::now();
    let mut heard = 0;
    for first in (0..40_000).step_by(4_000) {
        for number in first..first + 4_000 {
            publisher.bus.publish(user(1), notice(&number.to_string()));
        }
        for number in first..first + 4_000 {
            let expected = Incoming::Signal(user(1), notice(&number.to_string()));
            assert_eq!(listener.hear().await, expected);
            heard += 1;
        }
    }
    Figures::of("signals_of_the_bus").count("signals", heard).time("within", begun.elapsed());
}
