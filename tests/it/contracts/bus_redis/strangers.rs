//! Who else uses the Redis, and how the bus itself does.

use imserver::bus::{Bus, Incoming};
use redis::AsyncCommands;

use super::Net;
use crate::{
    contracts::bus::{BusFactory, notice, user},
    harness::{Redis, eventually},
};

#[tokio::test]
async fn garbage_on_the_channels_is_passed_over() {
    let net = Net::start().await;
    let publisher = net.replica(&[]).await;
    let mut listener = net.replica(&[user(1)]).await;
    let client = redis::Client::open(Redis::shared().url()).unwrap();
    let mut stranger = client.get_multiplexed_async_connection().await.unwrap();
    stranger.set_response_timeout(std::time::Duration::from_secs(10));

    let channels = Redis::shared().ask(&format!("PUBSUB CHANNELS {}:*", net.namespace)).unwrap();
    let channels: Vec<_> = channels.lines().filter(|l| l.starts_with(&net.namespace)).collect();
    assert_eq!(channels.len(), 4, "a user, all replicas, and one of each replica's own");
    let head = |version: u8, kind: u8| [&[version, kind][..], &[7; 8]].concat();
    let payloads = [
        vec![],
        b"{\"type\":\"event\"}".to_vec(),
        vec![0xff; 3_000_000],
        head(1, 1),
        head(1, 99),
        head(2, 1),
        [head(1, 2), vec![0xff, 0xfe]].concat(),
        // A probe that this replica did not send.
        [head(1, 6), vec![0xff; 8]].concat(),
    ];
    for channel in channels {
        for payload in &payloads {
            let _: () = stranger.publish(channel, payload).await.unwrap();
        }
    }
    assert_eq!(publisher.mark(user(1), &mut listener).await, []);
    assert_eq!(listener.bus.health(), Ok(()));

    // What can be read and is where it belongs is heard: whoever may publish is trusted.
    let _: () = stranger.publish(net.channel(user(1)), head(1, 2)).await.unwrap();
    assert_eq!(listener.hear().await, Incoming::Signal(user(1), notice("")));
}

/// The commands that clients of a Redis last sent, and to how many channels they are subscribed.
fn clients(redis: &Redis) -> Vec<(String, usize)> {
    let list = redis.ask("CLIENT LIST").unwrap();
    let field = |line: &str, name: &str| {
        let value = line.split(' ').find_map(|field| field.strip_prefix(name));
        value.unwrap_or_default().to_owned()
    };
    list.lines()
        .filter(|line| line.starts_with("id="))
        .map(|line| (field(line, "cmd="), field(line, "sub=").parse().unwrap()))
        .filter(|(command, _)| command != "client|list")
        .collect()
}

#[tokio::test]
async fn a_pooled_connection_never_subscribes() {
    let redis = Redis::start();
    let net = Net::on([redis.url()]);
    let publisher = net.replica(&[user(1)]).await;
    let mut listener = net.replica(&[user(1), user(2)]).await;
    for _ in 0..100 {
        publisher.mark(user(1), &mut listener).await;
        listener.bus.subscribe(user(3)).await.unwrap();
        listener.bus.unsubscribe(user(3));
    }
    // A connection for each direction of each replica, and each does one thing.
    let (subscribers, publishers): (Vec<_>, Vec<_>) =
        clients(&redis).into_iter().partition(|(_, channels)| *channels > 0);
    let mut channels: Vec<_> = subscribers.iter().map(|(_, channels)| *channels).collect();
    channels.sort_unstable();
    assert_eq!(channels, [3, 5], "their own two and their users");
    assert!(subscribers.iter().all(|(command, _)| command == "subscribe"), "{subscribers:?}");
    assert_eq!(publishers.len(), 2);
    let publishing =
        |(command, _): &(String, usize)| ["publish", "set", "ping"].contains(&command.as_str());
    assert!(publishers.iter().all(publishing), "{publishers:?}");
}

#[tokio::test]
async fn a_bus_that_is_dropped_leaves_nothing_behind() {
    let redis = Redis::start();
    let net = Net::on([redis.url()]);
    let mut replica = net.replica(&[user(1)]).await;
    assert_eq!(clients(&redis).len(), 2);
    drop(replica.bus);
    assert_eq!(replica.receiver.recv().await, None);
    eventually("its connections are closed", async || clients(&redis).is_empty()).await;
}

#[tokio::test]
async fn a_password_opens_and_is_never_shown() {
    let redis = Redis::start();
    assert!(redis.ask("CONFIG SET requirepass s3cret").unwrap().starts_with("+OK"));
    let with = |password: &str| {
        let mut url = redis.url();
        url.set_password(Some(password)).unwrap();
        Net::on([url])
    };
    let right = with("s3cret");
    let publisher = right.replica(&[]).await;
    let mut listener = right.replica(&[user(1)]).await;
    assert_eq!(publisher.mark(user(1), &mut listener).await, []);

    let (refused, _) = with("hunter2").bus().await;
    let health = refused.health().unwrap_err();
    assert!(health.starts_with("redis 1 subscriber: "), "{health}");
    let shown = format!("{health} {refused:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("redis://"), "{shown}");
}
