//! Subscriptions come and go: nobody ends deaf, and nobody stays for ever.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use imserver::bus::Incoming;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::Net;
use crate::{
    contracts::bus::{BusFactory, Replica, notice, user},
    harness::{DEADLINE, Figures, Redis, eventually},
};

#[tokio::test]
async fn a_subscription_lingers_and_ends() {
    let redis = Redis::shared();
    let mut net = Net::start().await;
    net.timing.linger = Duration::from_secs(3);
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[user(1), user(2)]).await;
    assert_eq!(net.subscribers(redis, user(1)), 1);

    listener.bus.unsubscribe(user(1));
    let left = Instant::now();
    publisher.bus.publish(user(1), notice("not for a user who has left"));
    assert_eq!(publisher.mark(user(2), &mut listener).await, []);
    let lingers = net.subscribers(redis, user(1)) == 1;
    assert!(lingers || left.elapsed() >= net.timing.linger, "it lingers");
    listener.bus.subscribe(user(1)).await.unwrap();
    assert_eq!(publisher.mark(user(1), &mut listener).await, []);

    listener.bus.unsubscribe(user(1));
    eventually("it ends", async || net.subscribers(redis, user(1)) == 0).await;
    assert_eq!(net.subscribers(redis, user(2)), 1);
    listener.bus.subscribe(user(1)).await.unwrap();
    assert_eq!(publisher.mark(user(1), &mut listener).await, []);
}

#[tokio::test]
async fn ten_thousand_at_once() {
    let net = Net::start().await;
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[]).await;
    let users: Vec<_> = (1..=10_000).map(user).collect();

    let begun = Instant::now();
    try_join_all(users.iter().map(|user| listener.bus.subscribe(*user))).await.unwrap();
    let took = begun.elapsed();

    Figures::of("ten_thousand_subscriptions").time("at once", took);
    assert!(took < DEADLINE);
    // Less than what may wait for a replica.
    for users in users.chunks(5_000) {
        for user in users {
            publisher.bus.publish(*user, notice("all hear"));
        }
        for user in users {
            assert_eq!(listener.hear().await, Incoming::Signal(*user, notice("all hear")));
        }
    }
}

#[tokio::test]
async fn a_subscription_that_is_given_up_stands_all_the_same() {
    let net = Net::start().await;
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[]).await;
    let _ = tokio::time::timeout(Duration::ZERO, listener.bus.subscribe(user(1))).await;
    super::until_it_flows(&publisher, user(1), &mut listener).await;
}

/// Sockets of a few users open and close at random on several tasks, over a linger that is as short
/// as the commands take, so that all of them cross.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_leave_nobody_deaf() {
    const ROUNDS: usize = 1_000;
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut net = Net::start().await;
    net.timing.linger = Duration::from_micros(500);
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[user(99)]).await;

    for round in 0..ROUNDS {
        let sockets = (1..=6).map(|id| {
            let (bus, mut rng) = (Arc::clone(&listener.bus), StdRng::from_rng(&mut rng));
            tokio::spawn(async move {
                for _ in 0..rng.random_range(0..4) {
                    let opening = bus.subscribe(user(id));
                    if rng.random_bool(0.5) {
                        opening.await.unwrap();
                    } else {
                        // A client that leaves while its hello is being answered.
                        let patience = Duration::from_micros(rng.random_range(0..500));
                        let _ = tokio::time::timeout(patience, opening).await;
                    }
                    pause(&mut rng).await;
                    bus.unsubscribe(user(id));
                    pause(&mut rng).await;
                }
                let stays = rng.random_bool(0.5);
                if stays {
                    bus.subscribe(user(id)).await.unwrap();
                }
                (id, stays)
            })
        });
        let sockets = futures_util::future::join_all(sockets.collect::<Vec<_>>()).await;

        let mut expected = Vec::new();
        for (id, stays) in sockets.into_iter().map(Result::unwrap) {
            publisher.bus.publish(user(id), notice(&format!("{round}")));
            if stays {
                expected.push(Incoming::Signal(user(id), notice(&format!("{round}"))));
            }
        }
        assert_eq!(publisher.mark(user(99), &mut listener).await, expected, "round {round}");
        end_all(&listener);
    }
    eventually("all others end", async || {
        (1..=6).all(|id| net.subscribers(Redis::shared(), user(id)) == 0)
    })
    .await;
    assert_eq!(listener.bus.health(), Ok(()));
}

async fn pause(rng: &mut StdRng) {
    if rng.random_bool(0.7) {
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..2_000))).await;
    }
}

fn end_all(listener: &Replica) {
    for id in 1..=6 {
        listener.bus.unsubscribe(user(id));
    }
}
