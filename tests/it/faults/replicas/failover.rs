//! Redis changes its master, or there are two of them: replicas that stay at the old one move, and
//! those that share none say so.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::harness::{
    Proxy, Redis, Server, Socket, Start, eventually, postgres, redis::url_of, server::json_of,
};

fn start(database: &str, bus: &url::Url) -> Start {
    Start::default()
        .set("database.url", database)
        .set("bus.url", bus)
        .set("auth.demo_login", true)
        .set("log.filter", "info")
}

/// Says that one is typing, again and again since that may be lost, until the other sees it.
async fn types_until_seen(from: &mut Socket, to: &mut Socket, target: i64, typist: i64) {
    let seen = to.frame();
    let mut seen = std::pin::pin!(seen);
    let mut again = tokio::time::interval(Duration::from_millis(2_100));
    let frame: Value = loop {
        tokio::select! {
            frame = &mut seen => break frame,
            _ = again.tick() => {
                from.send(&json!({"type": "typing", "targetUserId": target})).await;
            }
        }
    };
    assert_eq!(frame, json!({"type": "typing", "userId": typist}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stays_at_the_old_master_moves_to_the_new_one() {
    let (database, old, new) = (postgres::database().await, Redis::start(), Redis::start());
    let name = Proxy::start(old.addr()).await;
    let start = || start(&database, &url_of(name.addr())).set("delivery.reconcile_secs", 3_600);
    let (a, mut b) = block_in_place(|| (start().run(), start().run()));
    let (zhang, li) = (a.person("张三").await, a.person("李四").await);
    zhang.send(li.id, "first", "你好").await;
    let mut at_zhang = zhang.online().await;

    old.follow(&new);
    name.lead_to(new.addr());
    b.kill();
    block_in_place(|| b.start_again());
    let mut at_li = li.at(&b).online().await;

    types_until_seen(&mut at_zhang, &mut at_li, li.id, zhang.id).await;
    types_until_seen(&mut at_li, &mut at_zhang, zhang.id, li.id).await;
    zhang.send(li.id, "there", "在吗？").await;
    let chat = |frame: Value| frame["chat"]["content"].clone();
    while chat(at_li.frame().await) != "在吗？" {}
    eventually("presence has moved too", async || {
        let path = format!("/v1/presence?userIds={}", li.id);
        let answer = zhang.get(&path).await;
        answer.status() == 200 && json_of(answer).await["presence"][0]["online"] == true
    })
    .await;
    for server in [&a, &b] {
        eventually("all is well", async || reasons(server).await.is_empty()).await;
    }
}

/// What a replica says is wrong.
async fn reasons(server: &Server) -> Vec<Value> {
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status(), 200);
    json_of(answer).await["reasons"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_share_no_redis_say_so_until_they_do() {
    let (database, one, other) = (postgres::database().await, Redis::start(), Redis::start());
    let name = Proxy::start(other.addr()).await;
    let urls = [one.url(), url_of(name.addr())];
    let start = |bus| start(&database, bus).set("delivery.reconcile_secs", 1).run();
    let (a, b) = block_in_place(|| (start(&urls[0]), start(&urls[1])));
    for server in [&a, &b] {
        eventually("it says so", async || reasons(server).await == ["bus_split"]).await;
        assert_eq!(server.log().matches("share no Redis").count(), 1, "{}", server.log());
    }
    // As when the old master is gone from the name.
    name.lead_to(one.addr());
    for server in [&a, &b] {
        eventually("all is well", async || reasons(server).await.is_empty()).await;
    }
}
