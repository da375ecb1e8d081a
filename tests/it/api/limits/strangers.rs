//! Conversations that a user begins.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{burst, keys, metric};
use crate::harness::{
    Cutter, Person, Redis, Server, Socket, Start, postgres,
    server::{assert_problem, json_of},
};

async fn people(server: &Server, count: usize) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(server.person(&format!("stranger {number}")).await);
    }
    people
}

fn chat(key: &str, from: &Person, to: &Person) -> Value {
    json!({"userId": from.id, "clientMsgId": key, "targetUserId": to.id, "content": "你好"})
}

#[tokio::test]
async fn a_conversation_too_many_is_429_and_the_others_go_on() {
    let server = Start::default().set("limits.new_conversations_per_day", 3).run();
    let zhang = server.person("张三").await;
    let strangers = people(&server, 7).await;
    // Nobody, oneself, and whoever has written before, are none that one begins.
    let nobody = json!({"clientMsgId": "n", "targetUserId": 99, "content": "x"});
    for _ in 0..5 {
        assert_problem(zhang.post("/v1/chats", &nobody).await, 404, "user_not_found").await;
    }
    zhang.send(zhang.id, "self", "x").await;
    strangers[6].send(zhang.id, "first", "x").await;
    zhang.send(strangers[6].id, "answer", "x").await;

    let mut socket = zhang.online().await;
    zhang.send(strangers[0].id, "0", "你好").await;
    socket.expect("event").await;
    // Many at once to one person are one conversation.
    let (sent, refused) = burst(&mut socket, &strangers[1], &keys("at once", 20)).await;
    assert_eq!((sent, refused.len()), (keys("at once", 20), 0));
    let mut legacy = Socket::open(
        server.addr,
        &format!("/imserver/{}", zhang.id),
        &[("authorization", &format!("Bearer {}", zhang.token))],
    )
    .await
    .ok()
    .unwrap();
    legacy.send(&chat("2", &zhang, &strangers[2])).await;
    assert!(legacy.frame().await.is_array());

    let one_more = |key: &str| chat(key, &zhang, &strangers[3]);
    for path in ["/v1/chats", "/push"] {
        let refused = zhang.post(path, &one_more(path)).await;
        let wait = refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
        // A third of a day gives one more.
        assert!((28_000..=28_800).contains(&wait), "{wait}");
        assert_problem(refused, 429, "rate_limited").await;
    }
    legacy.send(&one_more("legacy")).await;
    assert_eq!(legacy.frame().await["code"], "rate_limited");
    let mut frame = one_more("v1");
    frame["type"] = "send".into();
    socket.until("event").await;
    socket.send(&frame).await;
    let refused = socket.expect("error").await;
    assert_eq!((&refused["code"], &refused["clientMsgId"]), (&json!("rate_limited"), &json!("v1")));
    assert!(refused["retryAfterMs"].as_u64().unwrap() > 28_000_000, "{refused}");

    // Those that have begun go on, and so do repeats, and others may write to whom they like.
    for (number, stranger) in strangers[..3].iter().enumerate() {
        zhang.send(stranger.id, &format!("again {number}"), "还在").await;
    }
    let repeat = zhang.post("/v1/chats", &chat("0", &zhang, &strangers[0])).await;
    assert_eq!(repeat.status(), 200);
    strangers[3].send(strangers[4].id, "k", "x").await;
    strangers[3].send(zhang.id, "k2", "x").await;
    zhang.send(strangers[3].id, "answered", "x").await;
    assert!(
        metric(&server, "imserver_limit_refusals_total", "limit=\"new_conversation\"").await >= 4.0
    );
}

#[tokio::test]
async fn a_repeat_of_a_groups_key_begins_nothing_and_is_never_refused() {
    let server = Start::default().set("limits.new_conversations_per_day", 1).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let group = |key: &str| json!({"kind": "group", "key": key, "userIds": [li.id]});
    let first = zhang.post("/v1/conversations", &group("k")).await;
    assert_eq!(first.status(), 201);
    let refused = zhang.post("/v1/conversations", &group("other")).await;
    assert_problem(refused, 429, "rate_limited").await;
    let again = zhang.post("/v1/conversations", &group("k")).await;
    assert_eq!(again.status(), 200);
    assert_eq!(json_of(again).await["id"], json_of(first).await["id"]);
    let otherwise = json!({"kind": "group", "key": "k", "title": "爬山", "userIds": [li.id]});
    assert_problem(zhang.post("/v1/conversations", &otherwise).await, 409, "key_reused").await;
}

#[tokio::test]
async fn anonymous_users_begin_no_more_and_without_limits_there_is_none() {
    let server = Start::default().set("limits.new_conversations_per_day", 2).run();
    let push = async |server: &Server, to: i64| {
        let chat = json!({"userId": 1, "targetUserId": to, "content": "x"});
        server.request(Method::POST, "/push").body(chat.to_string()).send().await.unwrap()
    };
    for to in [2, 3, 2, 3] {
        assert_eq!(push(&server, to).await.status(), 200);
    }
    assert_problem(push(&server, 4).await, 429, "rate_limited").await;

    let free = Start::default()
        .set("limits.new_conversations_per_day", 2)
        .set("limits.enabled", false)
        .run();
    for to in 2..10 {
        assert_eq!(push(&free, to).await.status(), 200);
    }
}

#[tokio::test]
async fn the_order_of_chats_is_kept_where_some_are_first_ones() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let strangers = people(&server, 20).await;
    let mut socket = zhang.online().await;
    for round in 0..2 {
        for stranger in &strangers {
            let mut frame = chat(&format!("{round}-{}", stranger.id), &zhang, stranger);
            frame["type"] = "send".into();
            socket.send(&frame).await;
        }
    }
    for round in 0..2 {
        for stranger in &strangers {
            let sent = socket.expect("sent").await;
            assert_eq!(sent["clientMsgId"], format!("{round}-{}", stranger.id));
        }
    }
}

#[tokio::test]
async fn each_replica_counts_what_begins_there_and_what_has_begun_goes_on_everywhere() {
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().to_owned();
    let start = || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", Redis::shared().url())
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .set("limits.new_conversations_per_day", 2)
            .set("log.filter", "info")
            .run()
    };
    let (a, b) = (start(), start());
    let zhang = a.person("张三").await;
    let strangers = people(&a, 6).await;
    for (number, stranger) in strangers[..4].iter().enumerate() {
        let at = [&a, &b][number % 2];
        zhang.at(at).send(stranger.id, &number.to_string(), "x").await;
    }
    // A user has the day's number of them at each replica.
    for at in [&a, &b] {
        let refused = zhang.at(at).post("/v1/chats", &chat("k", &zhang, &strangers[4])).await;
        assert_problem(refused, 429, "rate_limited").await;
        // What began at the other goes on here.
        for stranger in &strangers[..4] {
            zhang
                .at(at)
                .send(stranger.id, &format!("again {} {}", at.addr, stranger.id), "x")
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_talks_already_is_not_looked_up_again() {
    const SENDS: usize = 40;
    let mut url: url::Url = postgres::database().await.parse().unwrap();
    let to = format!("127.0.0.1:{}", url.port().unwrap()).parse().unwrap();
    let between = Cutter::start(to).await;
    url.set_port(Some(between.addr().port())).unwrap();
    url.set_query(Some("sslmode=disable"));
    let start = Start::default()
        .set("database.url", &url)
        .set("bus.single_replica", true)
        .set("auth.demo_login", true)
        .set("limits.sends_per_sec", 1_000)
        .set("delivery.reconcile_secs", 3_600)
        .set("log.filter", "info");
    let server = block_in_place(|| start.run());
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut socket = zhang.online().await;
    burst(&mut socket, &li, &keys("first", 1)).await;
    let before = between.statements();
    for key in keys("more", SENDS) {
        let (sent, _) = burst(&mut socket, &li, std::slice::from_ref(&key)).await;
        assert_eq!(sent, [key]);
    }
    let spent = between.statements() - before;
    // One for each chat; and what the service asks by itself meanwhile.
    assert!(spent < SENDS * 3 / 2, "{spent} statements for {SENDS} sends");
    let shown = json_of(zhang.get("/v1/conversations").await).await;
    assert_eq!(shown["conversations"].as_array().unwrap().len(), 1);
}
