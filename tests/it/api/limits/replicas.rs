//! Limits where there are several replicas: what they count together, with Redis and without, and what each
//! counts by itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use wiremock::MockServer;

use super::{burst, forged, keys, knock, login, metric, wechat};
use crate::harness::{
    DEADLINE, Figures, Redis, Server, Start, eventually, postgres, server::assert_problem,
};

/// The rate of the user who logs in too often, all of a minute's at once or not, and for how long that goes
/// on. So few a minute that a busy machine answers many times as much.
const PER_MIN: u32 = 60;
const FLOOD: Duration = Duration::from_secs(10);

/// So many replicas on one Postgres and this Redis.
async fn replicas(count: usize, redis: &Redis, start: impl Fn() -> Start) -> Vec<Server> {
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().to_owned();
    let run = |_| {
        start()
            .set("database.url", &database)
            .set("bus.url", redis.url())
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .set("log.filter", "info")
            .run()
    };
    (0..count).map(run).collect()
}

/// Logs in without a pause until the time is over, each time as soon as the last was answered; returns how
/// many logins passed, and how many were refused.
async fn flood(server: &Server, name: &str, until: Instant) -> (u32, u32) {
    let (mut passed, mut refused) = (0, 0);
    while Instant::now() < until {
        let answer = server.post("/v1/login/demo", &json!({"name": name})).await;
        match answer.status().as_u16() {
            200 => passed += 1,
            429 => refused += 1,
            status => panic!("{status}"),
        }
    }
    (passed, refused)
}

async fn fallbacks(servers: &[Server]) -> f64 {
    let mut sum = 0.0;
    for server in servers {
        sum += metric(server, "imserver_limit_fallbacks_total", "").await;
    }
    sum
}

#[tokio::test]
async fn three_replicas_keep_one_limit_of_logins() {
    let redis = Redis::start();
    let start = || Start::default().set("limits.logins_per_min", PER_MIN);
    let servers = replicas(3, &redis, start).await;
    // A replica that gets no answer in 300 ms counts alone, as it should, and whoever is seldom refused
    // does not flood. On a machine that is as busy as that, it is not shown how they count together.
    for round in 0..8 {
        let name = format!("张三 {round}");
        let before = fallbacks(&servers).await;
        let begun = Instant::now();
        let floods = (0..6).map(|sender| flood(&servers[sender % 3], &name, begun + FLOOD));
        let (mut passed, mut refused) = (0, 0);
        for (through, back) in join_all(floods).await {
            passed += through;
            refused += back;
        }
        let took = begun.elapsed();
        if fallbacks(&servers).await > before || refused < 2 * passed {
            println!("{passed} passed, {refused} refused, or counted alone for a moment; again");
            continue;
        }
        let allowed = |time: Duration| f64::from(PER_MIN) * (1.0 + time.as_secs_f64() / 60.0);
        let passed = f64::from(passed);
        let figures = Figures::of("limits_over_replicas");
        figures.amount("passed", passed, "").amount("allowed", allowed(took), "");
        figures.time("within", took);
        assert!(passed >= 0.95 * allowed(FLOOD), "{passed} of {}", allowed(FLOOD));
        assert!(passed <= 1.05 * allowed(took), "{passed} of {}", allowed(took));
        return;
    }
    panic!("the machine never was calm enough");
}

#[tokio::test]
async fn sends_are_counted_by_each_replica_and_wait_for_no_redis() {
    const BURST: usize = 10;
    let redis = Redis::start();
    let start = || Start::default().set("limits.send_burst", BURST).set("limits.sends_per_sec", 1);
    let servers = replicas(2, &redis, start).await;
    let (zhang, li) = (servers[0].person("张三").await, servers[0].person("李四").await);
    let before = fallbacks(&servers).await;
    for (number, server) in servers.iter().enumerate() {
        let begun = Instant::now();
        let mut socket = zhang.at(server).online().await;
        let (sent, refused) = burst(&mut socket, &li, &keys(&number.to_string(), 40)).await;
        let most = BURST + usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
        assert!((BURST..=most).contains(&sent.len()), "{} sent", sent.len());
        assert_eq!(sent.len() + refused.len(), 40);
        // The next one is counted while Redis does not answer.
        redis.freeze();
    }
    redis.thaw();
    assert!(fallbacks(&servers).await - before < 0.5, "a send has waited for Redis");
    let found = redis.ask("KEYS *:limit:*").unwrap();
    assert!(!found.contains(":limit:send:"), "{found}");
}

#[tokio::test]
async fn failures_are_counted_by_all_replicas_together() {
    let servers = replicas(3, Redis::shared(), Start::default).await;
    let zhang = servers[0].person("张三").await;
    let (begun, mut refused) = (Instant::now(), 0);
    for _ in 0..8 {
        for server in &servers {
            match knock(server, zhang.id, &forged(), &[]).await {
                401 => {}
                429 => refused += 1,
                status => panic!("{status}"),
            }
        }
    }
    // 24 were tried, and one comes back every 6 s.
    let back = usize::try_from(begun.elapsed().as_secs() / 6).unwrap() + 1;
    assert!(refused <= 14 && refused + back >= 14, "{refused}, and {back} came back");
    assert_eq!(knock(&servers[1], zhang.id, &zhang.token, &[]).await, 101);
}

#[tokio::test]
async fn without_redis_sends_go_on_within_local_limits_and_wechat_logins_wait() {
    let mut redis = Redis::start();
    let (stub, _) = wechat().await;
    let servers = replicas(2, &redis, || {
        let start = with_wechat(Start::default(), &stub);
        start.set("limits.send_burst", 10).set("limits.sends_per_sec", 1)
    })
    .await;
    let (zhang, li) = (servers[0].person("张三").await, servers[0].person("李四").await);
    let mut socket = zhang.online().await;
    assert_eq!(login(&servers[0], "good").send().await.unwrap().status(), 200);
    redis.kill();

    let closed = login(&servers[0], "good").send().await.unwrap();
    assert_problem(closed, 503, "unavailable").await;
    assert!(metric(&servers[0], "imserver_logins_closed_total", "").await >= 1.0);
    // What cannot fail is not closed, and whoever has a session comes in.
    let wang = servers[1].person("王五").await;
    assert_eq!(knock(&servers[1], wang.id, &wang.token, &[]).await, 101);
    let begun = Instant::now();
    let all = keys("alone", 60);
    let (sent, refused) = burst(&mut socket, &li, &all).await;
    let most = 10 + usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!((9..=most).contains(&sent.len()), "{} sent", sent.len());
    assert_eq!(sent.len() + refused.len(), 60);
    assert!(metric(&servers[0], "imserver_limit_fallbacks_total", "").await >= 1.0);

    redis.start_again();
    eventually("logins are open again", || async {
        login(&servers[0], "good").send().await.unwrap().status() == 200
    })
    .await;
}

fn with_wechat(start: Start, stub: &MockServer) -> Start {
    start
        .set("wechat.base_url", stub.uri())
        .set("wechat.appid", "wx1")
        .set("wechat.secret", "the-app-secret")
}

#[tokio::test]
async fn the_limiter_changes_no_order_whatever_becomes_of_redis() {
    let redis = Redis::start();
    let servers = replicas(1, &redis, || Start::default().set("limits.send_burst", 500)).await;
    let (zhang, li) = (servers[0].person("张三").await, servers[0].person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let mut all = Vec::new();
    for (round, is_frozen) in [false, true, true, false].into_iter().enumerate() {
        if is_frozen {
            redis.freeze();
        } else {
            redis.thaw();
        }
        for key in keys(&round.to_string(), 50) {
            let frame =
                json!({"type": "send", "clientMsgId": key, "targetUserId": li.id, "content": key});
            at_zhang.send(&frame).await;
            all.push(key);
        }
        tokio::task::yield_now().await;
    }
    for key in &all {
        assert_eq!(&at_zhang.until("sent").await["clientMsgId"], key);
        assert_eq!(&at_li.until("event").await["chat"]["clientMsgId"], key);
    }
}

#[tokio::test]
async fn what_was_sent_before_a_goodbye_is_committed() {
    let redis = Redis::start();
    let servers = replicas(1, &redis, Start::default).await;
    let (zhang, li) = (servers[0].person("张三").await, servers[0].person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    // The limiter's answer is under way when the socket ends.
    redis.freeze();
    let all = keys("last words", 20);
    for key in &all {
        let frame =
            json!({"type": "send", "clientMsgId": key, "targetUserId": li.id, "content": key});
        at_zhang.send(&frame).await;
    }
    drop(at_zhang);
    for key in &all {
        assert_eq!(&at_li.until("event").await["chat"]["clientMsgId"], key);
    }
    redis.thaw();
}

#[tokio::test]
async fn with_the_limits_off_redis_is_not_asked() {
    let redis = Redis::start();
    let servers = replicas(1, &redis, || Start::default().set("limits.enabled", false)).await;
    let (zhang, li) = (servers[0].person("张三").await, servers[0].person("李四").await);
    for key in keys("free", 100) {
        zhang.send(li.id, &key, "x").await;
    }
    let request = || zhang.request(Method::GET, "/v1/conversations").timeout(DEADLINE);
    assert_eq!(request().send().await.unwrap().status(), 200);
    let found = redis.ask("KEYS *:limit:*").unwrap();
    assert!(found.starts_with("*0"), "{found}");
}
