//! What every `bus` implementation is held to.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    bus::{
        Bus, CloseOrder, INCOMING_QUEUE, Incoming, MAX_PLACES, Receiver, Signal, WideEvent,
        local::LocalBroker,
        redis::{RedisBus, Timing},
    },
    domain::{ClientMsgId, ConnectionId, DeviceId, ReplicaId, Seq, SessionId, UserId},
    protocol::event::{EventBody, EventFrame},
    redis::Instances,
};
use uuid::Uuid;

use crate::harness::{Redis, eventually};

/// How long anything that must happen may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A set of replicas that can hear each other and nobody else.
pub(crate) trait BusFactory {
    async fn start() -> Self;

    /// One more replica.
    async fn connect(&self) -> (Arc<dyn Bus>, Receiver);
}

struct LocalFactory(LocalBroker);

impl BusFactory for LocalFactory {
    async fn start() -> Self {
        Self(LocalBroker::default())
    }

    async fn connect(&self) -> (Arc<dyn Bus>, Receiver) {
        let (bus, receiver) = self.0.connect();
        (Arc::new(bus), receiver)
    }
}

/// On the Redis that all tests share, in a namespace of its own.
struct RedisFactory(String);

impl BusFactory for RedisFactory {
    async fn start() -> Self {
        Self(format!("contract:{}", Uuid::new_v4()))
    }

    async fn connect(&self) -> (Arc<dyn Bus>, Receiver) {
        let urls = [Redis::shared().url()];
        let instances = Instances::new(&urls).unwrap();
        let (bus, receiver) = RedisBus::connect(&instances, &self.0, Timing::default()).await;
        (Arc::new(bus), receiver)
    }
}

macro_rules! bus_contract {
    ($name:ident, $factory:ty, $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(<$factory as super::BusFactory>::start().await).await;
                }
            )+
        }
    };
    ($name:ident, $factory:ty) => {
        bus_contract!(
            $name,
            $factory,
            others_who_subscribed_hear_it_once,
            an_event_of_many_reaches_all_others_once,
            order_holds_for_each_user,
            two_publishers_each_keep_their_order,
            subscribing_twice_takes_one_unsubscription,
            every_signal_arrives_as_it_was,
            an_undrained_receiver_gets_a_gap_and_costs_the_publisher_nothing,
            health_is_good_while_the_link_stands,
            replicas_are_in_reach_of_each_other,
        );
    };
}

bus_contract!(local, super::LocalFactory);
bus_contract!(redis, super::RedisFactory);

/// One replica: its bus and what it hears.
pub(crate) struct Replica {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) receiver: Receiver,
}

impl Replica {
    pub(crate) async fn of(factory: &impl BusFactory, users: &[UserId]) -> Self {
        let (bus, receiver) = factory.connect().await;
        for &user in users {
            bus.subscribe(user).await.expect("the bus is up");
        }
        Self { bus, receiver }
    }

    /// The next thing that is heard.
    pub(crate) async fn hear(&mut self) -> Incoming {
        tokio::time::timeout(DEADLINE, self.receiver.recv())
            .await
            .expect("nothing was heard in time")
            .expect("the bus is alive")
    }

    async fn hear_signal(&mut self) -> (UserId, Signal) {
        match self.hear().await {
            Incoming::Signal(user, signal) => (user, signal),
            Incoming::Wide(event) => panic!("{event:?}"),
            Incoming::Gap => panic!("nothing was lost, and yet there is a gap"),
        }
    }

    /// Publishes `marker` to `user` from here until `to` hears it, and returns what it hears before.
    pub(crate) async fn mark(&self, user: UserId, to: &mut Self) -> Vec<Incoming> {
        let marker = Signal::Notice(format!("marker {}", Uuid::new_v4()).into());
        self.bus.publish(user, marker.clone());
        let mut before = Vec::new();
        loop {
            match to.hear().await {
                Incoming::Signal(_, signal) if signal == marker => return before,
                other => before.push(other),
            }
        }
    }
}

pub(crate) fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn notice(text: &str) -> Signal {
    Signal::Notice(text.to_owned().into())
}

async fn others_who_subscribed_hear_it_once(factory: impl BusFactory) {
    let all = user(99);
    let mut publisher = Replica::of(&factory, &[user(1), all]).await;
    let mut subscriber = Replica::of(&factory, &[user(1), all]).await;
    let mut second = Replica::of(&factory, &[user(1), user(2), all]).await;
    let mut stranger = Replica::of(&factory, &[user(2), all]).await;

    publisher.bus.publish(user(1), notice("你好"));

    let heard = [Incoming::Signal(user(1), notice("你好"))];
    assert_eq!(publisher.mark(all, &mut subscriber).await, heard);
    // The first marker was for all: it comes before the second one.
    assert_eq!(publisher.mark(all, &mut second).await[..1], heard);
    let strange = publisher.mark(all, &mut stranger).await;
    assert!(!strange.contains(&heard[0]), "a replica heard of a user whom it did not subscribe to");
    let own = subscriber.mark(all, &mut publisher).await;
    assert_eq!(own, [], "a replica heard what it published itself");
}

async fn order_holds_for_each_user(factory: impl BusFactory) {
    let users: Vec<_> = (1..=10).map(user).collect();
    let publisher = Replica::of(&factory, &[]).await;
    let mut listener = Replica::of(&factory, &users).await;

    for number in 0..1_000 {
        publisher.bus.publish(users[number % 10], notice(&number.to_string()));
    }

    let mut heard: HashMap<UserId, Vec<String>> = HashMap::new();
    for _ in 0..1_000 {
        let (user, Signal::Notice(text)) = listener.hear_signal().await else {
            panic!("only notices were published");
        };
        heard.entry(user).or_default().push(text.to_string());
    }
    for (index, user) in users.iter().enumerate() {
        let expected: Vec<_> = (index..1_000).step_by(10).map(|n| n.to_string()).collect();
        assert_eq!(heard[user], expected);
    }
}

async fn two_publishers_each_keep_their_order(factory: impl BusFactory) {
    let publishers = [Replica::of(&factory, &[]).await, Replica::of(&factory, &[]).await];
    let mut listener = Replica::of(&factory, &[user(1)]).await;

    for number in 0..200 {
        for (who, publisher) in publishers.iter().enumerate() {
            publisher.bus.publish(user(1), notice(&format!("{who}:{number}")));
        }
    }

    let mut next = [0, 0];
    for _ in 0..400 {
        let (_, Signal::Notice(text)) = listener.hear_signal().await else {
            panic!("only notices were published");
        };
        let (who, number) = text.as_str().split_once(':').unwrap();
        let next = &mut next[who.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<u32>().unwrap(), *next);
        *next += 1;
    }
    assert_eq!(next, [200, 200]);
}

async fn subscribing_twice_takes_one_unsubscription(factory: impl BusFactory) {
    let all = user(99);
    let publisher = Replica::of(&factory, &[]).await;
    let mut listener = Replica::of(&factory, &[user(1), user(1), all]).await;

    publisher.bus.publish(user(1), notice("before"));
    let heard = publisher.mark(all, &mut listener).await;
    assert_eq!(
        heard,
        [Incoming::Signal(user(1), notice("before"))],
        "subscribed twice, heard once"
    );

    listener.bus.unsubscribe(user(1));
    // An unsubscription may take its time: what is published after it has ended is not heard.
    let start = Instant::now();
    loop {
        publisher.bus.publish(user(1), notice("after"));
        if publisher.mark(all, &mut listener).await.is_empty() {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "the subscription did not end");
    }

    listener.bus.unsubscribe(user(1));
    listener.bus.subscribe(user(1)).await.unwrap();
    publisher.bus.publish(user(1), notice("again"));
    let heard = publisher.mark(all, &mut listener).await;
    assert_eq!(heard, [Incoming::Signal(user(1), notice("again"))]);
}

/// Subscribed or not: whoever of them is there.
async fn an_event_of_many_reaches_all_others_once(factory: impl BusFactory) {
    let mut publisher = Replica::of(&factory, &[user(1)]).await;
    let mut others = [Replica::of(&factory, &[user(1)]).await, Replica::of(&factory, &[]).await];
    for (own, replica) in (7..).zip(others.iter().chain([&publisher])) {
        replica.bus.subscribe(user(own)).await.unwrap();
    }
    let place = |id| (user(id), Seq::new(id * 7).unwrap());
    let event = |own, places| WideEvent {
        body: EventBody::from_wire(r#","event":"chat","chat":{"content":"你好"}}"#),
        own,
        places,
    };
    let many: Arc<[_]> = (1..=i64::try_from(MAX_PLACES).unwrap()).map(place).collect();
    let own = Some((user(2), ClientMsgId::parse("k").unwrap()));
    let events = [event(own, many), event(None, Arc::from([place(3)]))];
    for event in &events {
        publisher.bus.publish_wide(event.clone());
    }
    for (own, other) in (7..).zip(&mut others) {
        let heard = publisher.mark(user(own), other).await;
        assert!(heard == events.clone().map(Incoming::Wide), "{} were heard", heard.len());
    }
    assert_eq!(others[0].mark(user(9), &mut publisher).await, [], "not what it published itself");
    let frames: Vec<_> = events[0].frames().take(2).collect();
    let of = |(user, frame): &(UserId, EventFrame)| (*user, frame.seq.get(), frame.own.is_some());
    assert_eq!(
        frames.iter().map(of).collect::<Vec<_>>(),
        [(user(1), 7, false), (user(2), 14, true)]
    );
}

async fn every_signal_arrives_as_it_was(factory: impl BusFactory) {
    let text = r#"{"content":"你好,世界 👩‍👩‍👧‍👦 \"\\\n\u0000"}"#;
    let event = |own: Option<&str>| {
        Signal::Event(EventFrame {
            seq: Seq::new(42).unwrap(),
            own: own.map(|key| ClientMsgId::parse(key).unwrap()),
            body: EventBody::from_wire(text),
        })
    };
    let signals = [
        event(None),
        event(Some("5b0c-01")),
        event(Some(r#" ~"\:,"#)),
        Signal::Event(EventFrame {
            seq: Seq::new(imserver::domain::MAX_ID).unwrap(),
            own: None,
            body: EventBody::from_wire(""),
        }),
        Signal::Event(EventFrame {
            seq: Seq::ZERO,
            own: None,
            body: EventBody::from_wire(&"界".repeat(20_000)),
        }),
        notice(text),
        notice(""),
        Signal::Close(CloseOrder::UpTo(ConnectionId::new(1).unwrap())),
        Signal::Close(CloseOrder::Session(SessionId::new(7).unwrap())),
        Signal::Close(CloseOrder::Device {
            device: DeviceId::parse("手机 📱:1").unwrap(),
            newest: ConnectionId::new(imserver::domain::MAX_ID).unwrap(),
        }),
        Signal::Close(CloseOrder::Surplus { oldest: ConnectionId::new(5).unwrap() }),
    ];
    let publisher = Replica::of(&factory, &[]).await;
    let user = user(imserver::domain::MAX_ID);
    let mut listener = Replica::of(&factory, &[user]).await;

    for signal in signals {
        publisher.bus.publish(user, signal.clone());
        assert_eq!(listener.hear_signal().await, (user, signal));
    }
}

async fn an_undrained_receiver_gets_a_gap_and_costs_the_publisher_nothing(
    factory: impl BusFactory,
) {
    let publisher = Replica::of(&factory, &[]).await;
    let mut lazy = Replica::of(&factory, &[user(1)]).await;
    let mut keen = Replica::of(&factory, &[user(1)]).await;

    let start = Instant::now();
    let mut count = 0;
    while lazy.receiver.len() < INCOMING_QUEUE {
        let batch = Instant::now();
        for _ in 0..256 {
            publisher.bus.publish(user(1), notice(&count.to_string()));
            count += 1;
        }
        assert!(batch.elapsed() < Duration::from_secs(1), "publishing waited for a receiver");
        assert!(start.elapsed() < DEADLINE, "the queue did not fill");
        // Whoever drains keeps hearing.
        publisher.mark(user(1), &mut keen).await;
    }
    for _ in 0..256 {
        publisher.bus.publish(user(1), notice("one too many"));
    }
    publisher.mark(user(1), &mut keen).await;

    while lazy.hear().await != Incoming::Gap {}
    publisher.mark(user(1), &mut lazy).await;
}

async fn health_is_good_while_the_link_stands(factory: impl BusFactory) {
    let replica = Replica::of(&factory, &[user(1)]).await;
    assert_eq!(replica.bus.health(), Ok(()));
}

async fn replicas_are_in_reach_of_each_other(factory: impl BusFactory) {
    let (one, other) = (Replica::of(&factory, &[]).await, Replica::of(&factory, &[]).await);
    let ids = [&one, &other].map(|replica| replica.bus.replica());
    // A bus of one process needs no names.
    let [Some(first), Some(second)] = ids else {
        assert_eq!((ids, one.bus.out_of_reach(&[]).await.unwrap()), ([None; 2], vec![]));
        return;
    };
    assert_ne!(first, second);
    for replica in [&one, &other] {
        eventually("both have said that they are there", async || {
            replica.bus.out_of_reach(&[first, second]).await.unwrap().is_empty()
        })
        .await;
    }
    let nobody = ReplicaId::random();
    assert_eq!(one.bus.out_of_reach(&[second, nobody, first]).await.unwrap(), [nobody]);
    assert!(one.bus.out_of_reach(&[]).await.unwrap().is_empty());
    // All is well again after links were made anew for nothing.
    one.bus.renew();
    eventually("it is there again", async || {
        one.bus.health().is_ok() && one.bus.out_of_reach(&[second]).await.is_ok()
    })
    .await;
}
