//! What a chat to five hundred people costs each part. Not a test but a measurement of the release build:
//! `cargo test --release --test it -- --ignored cost_of_a_large_conversation`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use imserver::{
    bus::{
        Bus, Signal, WideEvent,
        redis::{RedisBus, Timing},
    },
    domain::{ClientMsgId, ConversationId, Destination, UserId},
    protocol::event::EventBody,
    redis::Instances,
    store::{Appended, Committed, GroupBegun, NewChat, NewGroup, Store, postgres::PgStore},
};
use url::Url;

use super::{Cluster, replica};
use crate::{
    contracts::store::{chat, cost::spent},
    harness::{DEADLINE, Figures, Redis, cpu, postgres},
};

const MEMBERS: usize = 500;
const CHATS: usize = 1_000;

/// How many chats are under way at once. So few that no queue on their way is full.
const TOGETHER: usize = 10;

/// How an event reaches the other replicas.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Once for each replica.
    Wide,
    /// On the channel of each member.
    Each,
}

fn publish(bus: &RedisBus, way: Way, Committed { chat, places }: &Committed) {
    let own = Some((chat.user_id, chat.client_msg_id.clone()));
    let event = WideEvent { body: EventBody::chat(chat), own, places: Arc::from(&places[..]) };
    match way {
        Way::Wide => bus.publish_wide(event),
        Way::Each => {
            for (user, frame) in event.frames() {
                bus.publish(user, Signal::Event(frame));
            }
        }
    }
}

/// A replica that has no sockets and publishes, on a thread of its own.
struct Publisher {
    orders: mpsc::Sender<(Way, Vec<Committed>)>,
    /// The processor time of the thread after each order.
    spent: mpsc::Receiver<Duration>,
}

impl Publisher {
    fn start(redis: Url) -> Self {
        let (orders, next) = mpsc::channel::<(Way, Vec<Committed>)>();
        let (answer, spent) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let instances = Instances::new(&[redis]).unwrap();
                let connecting = RedisBus::connect(&instances, "imserver", Timing::default());
                let (bus, _receiver) = connecting.await;
                while let Ok((way, chats)) = next.recv() {
                    for committed in &chats {
                        publish(&bus, way, committed);
                    }
                    while bus.queued() > 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    answer.send(cpu::of_this_thread()).unwrap();
                }
            });
        });
        Self { orders, spent }
    }

    fn publish(&self, way: Way, chats: Vec<Committed>) -> Duration {
        self.orders.send((way, chats)).unwrap();
        self.spent.recv_timeout(DEADLINE).unwrap()
    }
}

async fn append(
    store: &dyn Store,
    group: ConversationId,
    sender: UserId,
    round: usize,
) -> Vec<Committed> {
    let mut all = Vec::new();
    for batch in 0..CHATS / TOGETHER {
        let batch: Vec<NewChat> = (0..TOGETHER)
            .map(|nth| NewChat {
                destination: Destination::Conversation(group),
                ..chat(sender.get(), 1, &format!("{round}-{batch}-{nth}"), &"x".repeat(100))
            })
            .collect();
        for answer in store.append(&batch).await.unwrap() {
            let Appended::Committed(committed) = answer else { panic!("{answer:?}") };
            all.push(committed);
        }
    }
    all
}

fn processor_time_of(redis: &Redis) -> Duration {
    let answer = redis.ask("INFO cpu").unwrap();
    let used = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        Duration::from_secs_f64(line.parse().unwrap())
    };
    used("used_cpu_sys:") + used("used_cpu_user:")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of the release build, which takes a minute"]
async fn cost_of_a_large_conversation() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let quiet = || replica(&database, redis.url().as_str()).set("delivery.reconcile_secs", 3_600);
    let cluster = Cluster::of([quiet(), quiet(), quiet()]).await;
    let shown = Arc::new(AtomicUsize::new(0));
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let person = cluster.replicas[number % 3].person(&format!("member {number}")).await;
        members.push(UserId::new(person.id).unwrap());
        let mut frames = person.online().await.into_stream();
        let shown = Arc::clone(&shown);
        tokio::spawn(async move {
            while let Some(Ok(frame)) = frames.next().await {
                let is_event = frame.to_text().is_ok_and(|text| text.contains(r#""type":"event""#));
                shown.fetch_add(usize::from(is_event), Ordering::Relaxed);
            }
        });
    }
    let store: Arc<dyn Store> = Arc::new(PgStore::open(&database).await.unwrap());
    let new = NewGroup {
        creator: members[0],
        key: ClientMsgId::random(),
        title: None,
        members: members.iter().copied().collect(),
    };
    let GroupBegun::Begun(group, _) = store.begin_group(&new).await.unwrap() else {
        panic!("it is a new one")
    };
    let publisher = Publisher::start(redis.url());
    let figures = Figures::of("cost_of_a_large_conversation");
    figures.count("members", MEMBERS).count("chats", CHATS);
    for (round, way) in [Way::Each, Way::Wide, Way::Each, Way::Wide].into_iter().enumerate() {
        let part = |name: &str, spent: Duration| {
            let a_chat = spent / u32::try_from(CHATS).unwrap();
            figures.micros(format!("round {round}, {way:?}: {name} a chat"), a_chat);
        };
        let (before, begun) = (spent(&database).await, Instant::now());
        let chats = append(&*store, group, members[0], round).await;
        part("Postgres", spent(&database).await.saturating_sub(before));
        part("time of its commit", begun.elapsed());
        let replicas = || cluster.replicas.iter().map(|replica| cpu::of_process(replica.pid()));
        let before = (processor_time_of(&redis), replicas().sum::<Duration>());
        let (begun, mut published) = (Instant::now(), Vec::new());
        for some in chats.chunks(TOGETHER) {
            let expected = shown.load(Ordering::Relaxed) + some.len() * MEMBERS;
            published.push(tokio::task::block_in_place(|| publisher.publish(way, some.to_vec())));
            let wait = Instant::now();
            while shown.load(Ordering::Relaxed) < expected {
                assert!(
                    wait.elapsed() < DEADLINE,
                    "{} of {expected}",
                    shown.load(Ordering::Relaxed)
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        part("the publisher", published[published.len() - 1].saturating_sub(published[0]));
        part("Redis", processor_time_of(&redis).saturating_sub(before.0));
        part("three replicas", replicas().sum::<Duration>().saturating_sub(before.1));
        part("time until shown", begun.elapsed());
    }
    let mut connection = postgres::connect(&database).await;
    let scans: i64 = sqlx::query_scalar(
        "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'timelines'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    figures.count("scans of all counters", scans);
}
