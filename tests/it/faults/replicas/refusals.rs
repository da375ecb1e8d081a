//! Redis answers, and refuses to write: nobody is shown as offline for that.

use serde_json::json;

use crate::harness::{
    Redis, Start, eventually, postgres,
    server::{assert_problem, json_of},
};

#[tokio::test]
async fn when_redis_is_full_who_is_online_is_not_known_and_it_says_so() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let start = Start::default().set("database.url", database).set("bus.url", redis.url());
    let server = start.set("auth.demo_login", true).set("log.filter", "info").run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "first", "你好").await;
    let path = format!("/v1/presence?userIds={}", li.id);
    assert_eq!(zhang.get_json(&path).await["presence"][0]["online"], false);

    assert!(redis.ask("CONFIG SET maxmemory 1").unwrap().starts_with("+OK"));
    let mut at_li = li.online().await;
    assert_problem(zhang.get(&path).await, 503, "unavailable").await;
    eventually("it names what is wrong", async || {
        let answer = server.get("/readyz").await;
        assert_eq!(answer.status(), 200);
        json_of(answer).await == json!({"status": "degraded", "reasons": ["bus_oom"]})
    })
    .await;
    eventually("the log names it", async || server.log().contains("OOM")).await;
    // The bus needs no memory.
    zhang.send(li.id, "second", "在吗？").await;
    assert_eq!(at_li.expect("event").await["chat"]["content"], "在吗？");

    assert!(redis.ask("CONFIG SET maxmemory 0").unwrap().starts_with("+OK"));
    eventually("it is known again", async || {
        let answer = zhang.get(&path).await;
        answer.status() == 200 && json_of(answer).await["presence"][0]["online"] == true
    })
    .await;
    eventually("all is well", async || {
        json_of(server.get("/readyz").await).await == json!({"status": "ok"})
    })
    .await;
    // Once for each part that it concerns, however often it is tried.
    assert!(server.log().matches("OOM").count() <= 4, "{}", server.log());
}
