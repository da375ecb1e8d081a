//! Webhooks, from the outbox to somebody who is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use imserver::{
    clock::Clock,
    config::Endpoint,
    http_client::OutboundClient,
    media::MediaLinks,
    outbox::{
        Pace,
        events::Events,
        webhooks::{EventId, Timing, WebhookError, Webhooks},
    },
    signing::SigningKey,
    store::{CHAT_CREATED, CHAT_RECALLED, Delivery, Parked, Store},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Database, populated, send, user};
use crate::harness::{
    Receiver, eventually,
    receiver::{Answer, SECRET},
};

const NAME: &str = "crm";
const MILLI: Duration = Duration::from_millis(1);

/// Everything in moments.
fn timing() -> Timing {
    Timing {
        attempt: 2_000 * MILLI,
        begin: 500 * MILLI,
        waits: vec![30 * MILLI; 1_000],
        interval: 10 * MILLI,
        pace: Pace {
            // A replica that comes after another one waits for so long.
            lease: Duration::from_secs(6),
            interval: 5 * MILLI,
            handling: Duration::from_secs(5),
            page: 50,
        },
        ..Timing::default()
    }
}

fn endpoint(url: &str, kinds: &[&str]) -> Endpoint {
    Endpoint {
        name: NAME.to_owned(),
        url: url.parse().unwrap(),
        key: SigningKey::parse(SECRET).unwrap(),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

/// A replica that tells endpoints, until it is dropped.
struct Replica {
    webhooks: Webhooks,
    _work: JoinSet<()>,
}

fn start_with(
    store: &Arc<dyn Store>,
    endpoints: Vec<Endpoint>,
    allow_private: bool,
    timing: &Timing,
) -> Replica {
    let clock = Clock::system();
    let links = MediaLinks::new(String::new(), clock.clone());
    let webhooks = Webhooks::new(Arc::clone(store), clock, endpoints);
    let client = OutboundClient::new(allow_private).unwrap();
    let events = Events::new(Arc::clone(store), links);
    let work = webhooks.work(&client, &events, timing).into_iter().collect();
    Replica { webhooks, _work: work }
}

/// One that tells a receiver of new chats.
fn start(store: &Arc<dyn Store>, receiver: &Receiver, timing: &Timing) -> Replica {
    start_with(store, vec![endpoint(&receiver.url(), &[CHAT_CREATED])], true, timing)
}

async fn parked(store: &dyn Store) -> Parked {
    store.parked(NAME).await.unwrap()
}

async fn deliveries(store: &dyn Store) -> Vec<Delivery> {
    store.deliveries(NAME, None, 100).await.unwrap()
}

/// Waits until nothing is parked and so many chats have been taken. Returns their words.
async fn all_taken(store: &dyn Store, receiver: &Receiver, count: usize) -> Vec<String> {
    eventually("all were taken", async || {
        receiver.words().len() >= count && parked(store).await.due == 0
    })
    .await;
    receiver.words()
}

fn words_begin(body: &Value, beginning: &str) -> bool {
    body["data"]["chat"]["content"].as_str().is_some_and(|words| words.starts_with(beginning))
}

/// These of the words, in their order.
fn of<'a>(words: &'a [String], beginning: &str) -> Vec<&'a str> {
    words.iter().map(String::as_str).filter(|words| words.starts_with(beginning)).collect()
}

fn numbered(beginning: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{beginning}{number}")).collect()
}

pub(super) async fn an_endpoint_is_told_what_it_wants_to_know_in_order<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let _replica = start(&store, &receiver, &timing());
    for number in 0..30 {
        send(&*store, 1, 2, &format!("a{number}")).await;
        send(&*store, 4, 3, &format!("b{number}")).await;
    }
    let words = all_taken(&*store, &receiver, 60).await;
    assert_eq!(of(&words, "a"), numbered("a", 30));
    assert_eq!(of(&words, "b"), numbered("b", 30));
    let received = receiver.received();
    assert_eq!(received.len(), 60, "each once");
    assert!(received.iter().all(|it| it.kind() == CHAT_CREATED));
    let ids: BTreeSet<_> = received.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), 60);
    let first = &received[0].body;
    assert_eq!(first["timestamp"], first["data"]["chat"]["createTime"]);
    assert_eq!(first.as_object().unwrap().len(), 3);
}

pub(super) async fn a_lane_that_fails_holds_up_no_other<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    store.switch_outbox(true).await.unwrap();
    let fail = |body: &Value| Answer::Status(if words_begin(body, "a") { 500 } else { 200 });
    let receiver = Receiver::start(fail).await;
    let _replica = start(&store, &receiver, &timing());
    for number in 0..20 {
        send(&*store, 1, 2, &format!("a{number}")).await;
        send(&*store, 4, 3, &format!("b{number}")).await;
    }
    eventually("the other lane is told", async || receiver.words().len() == 20).await;
    eventually("this one is parked", async || parked(&*store).await.due == 20).await;
    let tried: BTreeSet<_> = receiver
        .received()
        .iter()
        .filter(|it| !it.is_taken)
        .map(|it| it.words().to_owned())
        .collect();
    assert_eq!(tried, BTreeSet::from(["a0".to_owned()]), "nothing overtakes");
    let failures: Vec<_> = deliveries(&*store).await.into_iter().map(|it| it.failure).collect();
    assert_eq!(failures[0].as_deref(), Some("status 500"));
    receiver.answer(|_| Answer::Status(200));
    let words = all_taken(&*store, &receiver, 40).await;
    assert_eq!(of(&words, "a"), numbered("a", 20));
    assert_eq!(of(&words, "b"), numbered("b", 20));
}

pub(super) async fn an_endpoint_that_is_away_misses_nothing<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{addr}/hook");
    let _replica = start_with(&store, vec![endpoint(&url, &[CHAT_CREATED])], true, &timing());
    for number in 0..5 {
        send(&*store, 1, 2, &format!("a{number}")).await;
    }
    eventually("all is parked", async || parked(&*store).await.due == 5).await;
    let failure = deliveries(&*store).await.remove(0).failure;
    assert_eq!(failure.as_deref(), Some("no connection"));
    let receiver = Receiver::start_at(addr, |_| Answer::Status(200)).await;
    assert_eq!(all_taken(&*store, &receiver, 5).await, numbered("a", 5));
}

pub(super) async fn a_chat_that_was_recalled_has_no_words<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(503)).await;
    let kinds = [CHAT_CREATED, CHAT_RECALLED];
    let _replica = start_with(&store, vec![endpoint(&receiver.url(), &kinds)], true, &timing());
    let chat = send(&*store, 1, 2, "a secret").await.chat;
    eventually("it was tried", async || !receiver.received().is_empty()).await;
    store.recall(user(1), chat.id, Duration::from_mins(2)).await.unwrap();
    // An attempt may have been on its way.
    let newest = || receiver.received().pop().unwrap();
    eventually("it is tried without words", async || newest().words().is_empty()).await;
    receiver.answer(|_| Answer::Status(200));
    let taken = || receiver.received().into_iter().filter(|it| it.is_taken).collect::<Vec<_>>();
    eventually("both were taken", async || taken().len() == 2).await;
    for (taken, kind) in taken().iter().zip(kinds) {
        assert_eq!((taken.kind(), taken.words()), (kind, ""));
        assert_eq!(taken.body["data"]["chat"]["state"], "recalled");
    }
}

pub(super) async fn an_endpoint_that_is_gone_is_left_alone<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(410)).await;
    let replica = start(&store, &receiver, &timing());
    send(&*store, 1, 2, "a0").await;
    let state = async || replica.webhooks.states().await.unwrap().remove(0);
    eventually("it is off", async || state().await.off_since.is_some()).await;
    send(&*store, 1, 2, "a1").await;
    send(&*store, 2, 2, "b0").await;
    tokio::time::sleep(200 * MILLI).await;
    assert_eq!(receiver.received().len(), 1);
    receiver.answer(|_| Answer::Status(200));
    tokio::time::sleep(100 * MILLI).await;
    assert_eq!(receiver.received().len(), 1, "it is off, whatever it would say");

    // At another URL it is another one.
    drop(replica);
    let url = format!("{}?moved", receiver.url());
    let moved = start_with(&store, vec![endpoint(&url, &[CHAT_CREATED])], true, &timing());
    eventually("all were taken", async || receiver.words().len() == 3).await;
    assert_eq!(moved.webhooks.states().await.unwrap()[0].off_since, None);
    drop(moved);

    // A repeat switches it on.
    let replica = start(&store, &receiver, &timing());
    let state = async || replica.webhooks.states().await.unwrap().remove(0);
    assert!(state().await.off_since.is_some());
    let first: EventId = receiver.received()[0].id.parse().unwrap();
    assert_eq!(replica.webhooks.repeat(NAME, &[first]).await.unwrap(), 1);
    assert_eq!(state().await.off_since, None);
    let unknown = replica.webhooks.repeat("nobody", &[first]).await;
    assert!(matches!(unknown, Err(WebhookError::NoEndpoint)));
}

pub(super) async fn odd_answers_do_no_harm<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    store.switch_outbox(true).await.unwrap();
    let other = Receiver::start(|_| Answer::Status(200)).await;
    let elsewhere = other.url();
    let answer = move |body: &Value| match body["data"]["chat"]["content"].as_str().unwrap() {
        "redirect" => Answer::Redirect(elsewhere.clone()),
        "late" => Answer::Late(Duration::from_mins(1)),
        "endless" => Answer::Endless,
        "after" => Answer::Status(200),
        words => panic!("{words}"),
    };
    let receiver = Receiver::start(answer).await;
    let waits = vec![Duration::from_mins(1)];
    let _replica = start(&store, &receiver, &Timing { waits, ..timing() });
    let begun = Instant::now();
    for (to, words) in [(1, "redirect"), (2, "late"), (3, "endless")] {
        send(&*store, 1, to, words).await;
    }
    eventually("two have failed", async || parked(&*store).await.due == 2).await;
    assert!(begun.elapsed() < Duration::from_secs(15));
    let failures: Vec<_> =
        deliveries(&*store).await.into_iter().map(|it| it.failure.unwrap()).collect();
    assert_eq!(failures, ["status 307", "no answer in time"]);
    assert!(other.received().is_empty(), "nothing follows a redirect");
    send(&*store, 2, 3, "after").await;
    let is_told = || receiver.words().iter().any(|words| words == "after");
    eventually("the reader goes on", async || is_told()).await;
    let endless = receiver.received().into_iter().filter(|it| it.words() == "endless");
    assert_eq!(endless.count(), 1, "it was taken");
}

pub(super) async fn no_address_of_ones_own_network_is_asked<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let port = receiver.addr.port();
    let hosts = ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"];
    let endpoints = hosts.iter().enumerate().map(|(number, host)| Endpoint {
        name: number.to_string(),
        ..endpoint(&format!("http://{host}:{port}/hook"), &[CHAT_CREATED])
    });
    let _replica = start_with(&store, endpoints.collect(), false, &timing());
    send(&*store, 1, 1, "a0").await;
    for (number, host) in hosts.iter().enumerate() {
        let failure = async || {
            let tried = store.deliveries(&number.to_string(), None, 1).await.unwrap();
            tried.into_iter().next().and_then(|delivery| delivery.failure)
        };
        eventually("it was tried", async || failure().await.is_some()).await;
        let failure = failure().await;
        assert_eq!(failure.as_deref(), Some("the host has no public address"), "{host}");
    }
    assert!(receiver.received().is_empty());
}

pub(super) async fn what_was_given_up_can_be_repeated<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let fail = |body: &Value| Answer::Status(if words_begin(body, "bad") { 404 } else { 200 });
    let receiver = Receiver::start(fail).await;
    let waits = vec![30 * MILLI; 2];
    let replica = start(&store, &receiver, &Timing { waits, ..timing() });
    for words in ["bad", "good", "bad too"] {
        send(&*store, 1, 2, words).await;
    }
    eventually("two are given up", async || parked(&*store).await.dead == 2).await;
    assert_eq!(receiver.words(), ["good"], "the lane went on");
    let tries: Vec<_> = receiver.received().into_iter().filter(|it| it.words() == "bad").collect();
    assert_eq!(tries.len(), 3);
    assert!(tries.iter().all(|it| it.id == tries[0].id), "a repeat has the same id");
    let dead = deliveries(&*store).await;
    assert!(dead.iter().all(|it| it.is_dead && it.attempts == 3));
    assert_eq!(dead[0].failure.as_deref(), Some("status 404"));

    receiver.answer(|_| Answer::Status(200));
    let ids = dead.iter().map(|it| EventId::of(&it.entry)).collect::<Vec<_>>();
    let unknown = EventId { at: ids[0].at.after(MILLI), ..ids[0] };
    assert_eq!(replica.webhooks.repeat(NAME, &[ids[1]]).await.unwrap(), 1);
    eventually("one was taken", async || receiver.words() == ["good", "bad too"]).await;
    eventually("it is not parked", async || parked(&*store).await == Parked { due: 0, dead: 1 })
        .await;
    // Nor does it matter that it was taken before.
    assert_eq!(replica.webhooks.repeat(NAME, &ids).await.unwrap(), 2);
    assert_eq!(all_taken(&*store, &receiver, 3).await, ["good", "bad too", "bad"]);
    assert_eq!(replica.webhooks.repeat(NAME, &[unknown]).await.unwrap(), 0);

    // Whoever has waited for days has one try.
    receiver.answer(|_| Answer::Status(500));
    drop(replica);
    let patient = Timing { give_up: Duration::ZERO, ..timing() };
    let _replica = start(&store, &receiver, &patient);
    send(&*store, 1, 2, "late").await;
    eventually("it is given up", async || parked(&*store).await == Parked { due: 0, dead: 1 })
        .await;
    assert_eq!(deliveries(&*store).await[0].attempts, 1);
}

pub(super) async fn all_since_a_time_can_be_repeated<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let replica = start(&store, &receiver, &timing());
    let mut sent = Vec::new();
    for number in 0..6 {
        sent.push(send(&*store, 1, 2, &format!("a{number}")).await.chat);
        tokio::time::sleep(5 * MILLI).await;
    }
    all_taken(&*store, &receiver, 6).await;
    assert_eq!(receiver.received().len(), 6);
    replica.webhooks.repeat_since(NAME, sent[2].create_time).await.unwrap();
    eventually("they come again", async || receiver.received().len() >= 10).await;
    send(&*store, 1, 2, "a6").await;
    all_taken(&*store, &receiver, 7).await;
    let again: Vec<_> = receiver.received()[6..].iter().map(|it| it.words().to_owned()).collect();
    assert_eq!(again, ["a2", "a3", "a4", "a5", "a6"]);
    // Nothing has happened since.
    let later = Clock::system().now().after(Duration::from_mins(1));
    replica.webhooks.repeat_since(NAME, later).await.unwrap();
}

pub(super) async fn too_many_parked_deliveries_stop_the_reader<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(500)).await;
    let pace = Pace { page: 2, ..timing().pace };
    for number in 0..10 {
        send(&*store, 1, 2, &format!("a{number}")).await;
    }
    let _replica = start(&store, &receiver, &Timing { max_parked: 3, pace, ..timing() });
    eventually("it is full", async || parked(&*store).await.due >= 3).await;
    tokio::time::sleep(200 * MILLI).await;
    assert_eq!(parked(&*store).await.due, 4, "a page beyond at most");
    receiver.answer(|_| Answer::Status(200));
    assert_eq!(all_taken(&*store, &receiver, 10).await, numbered("a", 10));
}

pub(super) async fn a_busy_lane_that_is_refused_stops_no_other<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    store.switch_outbox(true).await.unwrap();
    let fail = |body: &Value| Answer::Status(if words_begin(body, "a") { 500 } else { 200 });
    let receiver = Receiver::start(fail).await;
    let pace = Pace { page: 4, ..timing().pace };
    let timing = Timing { max_parked: 3, max_in_lane: 3, pace, ..timing() };
    let replica = start(&store, &receiver, &timing);
    for number in 0..20 {
        send(&*store, 1, 2, &format!("a{number}")).await;
        send(&*store, 4, 3, &format!("b{number}")).await;
    }
    eventually("the other lane is told", async || receiver.words().len() == 20).await;
    let all = async || parked(&*store).await;
    eventually("the rest is given up", async || all().await.due + all().await.dead == 20).await;
    // A page may come before the endpoint has taken anything.
    assert!(all().await.due <= 3 + 2, "{:?}", all().await);
    let why = deliveries(&*store).await.pop().unwrap().failure;
    assert_eq!(why.as_deref(), Some("too many of its lane wait"));
    receiver.answer(|_| Answer::Status(200));
    eventually("what waited is taken", async || all().await.due == 0).await;
    let dead = deliveries(&*store).await;
    let ids = dead.iter().map(|it| EventId::of(&it.entry)).collect::<Vec<_>>();
    replica.webhooks.repeat(NAME, &ids).await.unwrap();
    assert_eq!(of(&all_taken(&*store, &receiver, 40).await, "a"), numbered("a", 20));
}

pub(super) async fn the_end_of_an_outage_ends_its_waits<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    store.switch_outbox(true).await.unwrap();
    let receiver = Receiver::start(|_| Answer::Status(503)).await;
    let waits = vec![Duration::from_hours(1)];
    let _replica = start(&store, &receiver, &Timing { waits, outage: Duration::ZERO, ..timing() });
    for (from, words) in [(1, "a0"), (2, "b0"), (3, "c0"), (1, "a1")] {
        send(&*store, from, from, words).await;
    }
    eventually("all is parked", async || parked(&*store).await.due == 4).await;
    let fail = |body: &Value| Answer::Status(if words_begin(body, "c") { 500 } else { 200 });
    receiver.answer(fail);
    send(&*store, 4, 4, "d0").await;
    eventually("what waited is taken", async || receiver.words().len() == 4).await;
    assert_eq!(of(&receiver.words(), "a"), ["a0", "a1"]);
    // What fails all the same was tried once more.
    let left = async || deliveries(&*store).await.remove(0);
    eventually("it was tried once more", async || left().await.is_dead).await;
    let tries = receiver.received().into_iter().filter(|it| it.words() == "c0");
    assert_eq!(tries.count(), 2);
}

/// Replicas are killed all the time, wherever they are, and the receiver fails and dawdles.
pub(super) async fn replicas_that_die_lose_nothing<D: Database>() {
    let (database, store) = populated::<D>(6).await;
    store.switch_outbox(true).await.unwrap();
    let calls = AtomicU32::new(0);
    let receiver = Receiver::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) % 11 {
        3 => Answer::Status(500),
        7 => Answer::Late(20 * MILLI),
        // Longer than an attempt: it is taken, and yet comes again.
        9 => Answer::Late(300 * MILLI),
        _ => Answer::Status(200),
    })
    .await;
    let timing = Timing {
        attempt: 150 * MILLI,
        begin: 100 * MILLI,
        pace: Pace { lease: 400 * MILLI, handling: 350 * MILLI, page: 20, ..timing().pace },
        ..timing()
    };
    let stores = [store.clone(), database.open().await];
    let url = receiver.url();
    let dying = tokio::spawn(async move {
        let mut random = SmallRng::seed_from_u64(5);
        for store in stores.iter().cycle() {
            let told = vec![endpoint(&url, &[CHAT_CREATED])];
            let replica = start_with(store, told, true, &timing);
            tokio::time::sleep(Duration::from_millis(random.random_range(100..1_500))).await;
            drop(replica);
        }
    });
    let pairs = [(1, 2), (3, 4), (5, 6), (1, 6), (2, 2)];
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..200 {
        let (one, other) = pairs[number % pairs.len()];
        let lane = format!("{one}-{other}: ");
        let words = format!("{lane}{number}");
        send(&*store, one, other, &words).await;
        sent.entry(lane).or_default().push(words);
        tokio::time::sleep(5 * MILLI).await;
    }
    let begun = Instant::now();
    while receiver.words().len() < 200 {
        assert!(begun.elapsed() < Duration::from_mins(2), "{} were taken", receiver.words().len());
        tokio::time::sleep(50 * MILLI).await;
    }
    dying.abort();
    let words = receiver.words();
    for (lane, sent) in sent {
        assert_eq!(of(&words, &lane), sent);
    }
    assert!(receiver.received().len() >= 200);
}
