//! Several replicas on one Postgres and one Redis: what happens at one is seen at the other.
//!
//! The comparison with the database is switched off as far as it can be, so that only the bus can
//! have brought what arrives.

mod closing;
mod failover;
mod orders;
mod refusals;
mod seen;

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Redis, Server, Start, eventually, postgres,
    server::{assert_problem, json_of},
};

struct Replicas {
    a: Server,
    b: Server,
    database: String,
}

async fn replicas() -> Replicas {
    replicas_on(Redis::shared()).await
}

async fn replicas_on(redis: &Redis) -> Replicas {
    let database = postgres::database().await;
    // Databases have names of their own; channels are told apart by theirs.
    let namespace = database.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let start = || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", redis.url())
            .set("bus.namespace", &namespace)
            .set("delivery.reconcile_secs", 3_600)
            .set("auth.demo_login", true)
            .run()
    };
    Replicas { a: start(), b: start(), database }
}

#[tokio::test]
async fn a_chat_crosses_replicas_both_ways() {
    let Replicas { a, b, .. } = replicas().await;
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for (round, content) in ["你好", "在吗？", "👋"].into_iter().enumerate() {
        let key = format!("zhang-{round}");
        at_zhang
            .send(&json!({"type": "send", "clientMsgId": key, "targetUserId": li.id, "content": content}))
            .await;
        let sent = at_zhang.expect("sent").await;
        let event = at_li.expect("event").await;
        assert_eq!(sent["chat"], event["chat"]);
        assert_eq!(event["seq"], 2 * round + 1);
        let answered = li.send(zhang.id, &format!("li-{round}"), content).await;
        assert_eq!(at_zhang.expect("event").await["chat"], answered["chat"]);
        assert_eq!(at_li.expect("event").await["chat"], answered["chat"]);
    }
    let conversation = at_conversation(&zhang.at(&b)).await;
    at_li.send(&json!({"type": "read", "conversationId": conversation, "upTo": 1_000_000})).await;
    assert_eq!(at_zhang.expect("read").await["userId"], li.id);
    // This one may be lost; a client that types says so again and again.
    let mut again = tokio::time::interval(Duration::from_millis(2_100));
    let frame = at_zhang.frame();
    let mut frame = std::pin::pin!(frame);
    let typing = loop {
        tokio::select! {
            frame = &mut frame => break frame,
            _ = again.tick() => {
                at_li.send(&json!({"type": "typing", "targetUserId": zhang.id})).await;
            }
        }
    };
    assert_eq!(typing, json!({"type": "typing", "userId": li.id}));
}

async fn at_conversation(person: &crate::harness::Person) -> i64 {
    person.get_json("/v1/conversations").await["conversations"][0]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn who_is_online_is_the_same_everywhere() {
    let Replicas { a, b, .. } = replicas().await;
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    zhang.send(li.id, "first", "你好").await;
    let mut at_zhang = zhang.online().await;
    at_zhang.send(&json!({"type": "watch", "userIds": [li.id]})).await;
    assert_eq!(at_zhang.expect("presence").await["online"], false);
    let at_li = li.online().await;
    assert_eq!(at_zhang.expect("presence").await["online"], true);
    for server in [&a, &b] {
        let online = zhang.at(server).get_json("/getOnlineUser").await;
        assert_eq!(online[li.id.to_string()]["connections"], 1);
        assert_eq!(online[zhang.id.to_string()]["connections"], 1);
    }
    drop(at_li);
    let gone = at_zhang.expect("presence").await;
    assert_eq!(gone["online"], false);
    assert!(gone["lastSeenAt"].is_string());
    eventually("the other replica says so too", || async {
        let list = zhang.at(&b).get_json(&format!("/v1/presence?userIds={}", li.id)).await;
        list["presence"][0]["online"] == false && list["presence"][0]["lastSeenAt"].is_string()
    })
    .await;
}

#[tokio::test]
async fn a_client_of_a_dead_replica_goes_on_at_another() {
    let Replicas { mut a, b, .. } = replicas().await;
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let (mut at_li, ready) = li.at(&a).hello(&json!({})).await;
    zhang.at(&b).send(li.id, "before", "一").await;
    let seen = at_li.expect("event").await["seq"].clone();
    a.kill();
    assert_eq!(at_li.closed().await, 1006);
    zhang.at(&b).send(li.id, "meanwhile", "二").await;
    let hello = json!({"since": seen, "epoch": ready["epoch"]});
    let (mut at_li, _) = li.hello(&hello).await;
    let missed = at_li.expect("event").await;
    assert_eq!((&missed["seq"], &missed["chat"]["content"]), (&json!(2), &json!("二")));
    at_li.expect_quiet().await;
    let again = json!({"clientMsgId": "before", "targetUserId": li.id, "content": "一"});
    let repeat = zhang.at(&b).post("/v1/chats", &again).await;
    assert_eq!(repeat.status(), 200);
    assert_eq!(json_of(repeat).await["seq"], 1);
}

#[tokio::test]
async fn without_redis_conversations_are_read_all_the_same() {
    let (database, mut redis) = (postgres::database().await, Redis::start());
    let start = Start::default().set("database.url", database).set("bus.url", redis.url());
    let server = start.set("auth.demo_login", true).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "first", "你好").await;
    let _at_li = li.online().await;
    let peer = async || {
        let list = zhang.get_json("/v1/conversations").await;
        assert_eq!(list["conversations"][0]["lastChat"]["content"], "你好");
        list["conversations"][0]["peer"].clone()
    };
    eventually("the peer is online", async || peer().await["online"] == true).await;
    redis.kill();
    assert_eq!(peer().await["online"], false);
    // Whoever asks for nothing else is told that it is not known.
    let presence = zhang.get(&format!("/v1/presence?userIds={}", li.id)).await;
    assert_problem(presence, 503, "unavailable").await;
}
