//! Connections that are dead, and sessions that are over, are noticed without anybody's help.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Figures, Redis, Seen, Server, eventually, replica_on, server::json_of};

/// The kernel's timers of the open connections of a server, from `/proc`; 2 is keepalive.
fn timers(server: &Server) -> Vec<u8> {
    let port = format!(":{:04X}", server.addr.port());
    let table = server.proc("net/tcp");
    let open = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    open.filter(|fields| fields[1].ends_with(&port) && fields[3] == "01")
        .map(|fields| fields[5].split_once(':').unwrap().0.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn the_kernel_asks_whether_peers_live() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let _socket = zhang.online().await;
    eventually("each connection has its keepalive timer", async || {
        let timers = timers(&server);
        !timers.is_empty() && timers.iter().all(|timer| *timer == 2)
    })
    .await;
}

#[tokio::test]
async fn sessions_that_end_close_their_sockets_with_redis_away() {
    let mut redis = Redis::start();
    let start = replica_on(&redis).await;
    let (a, b) = (start().run(), start().set("auth.max_secs", 8).run());
    let zhang = a.person("张三").await;
    // A session that ends of age, and one that stays.
    let (li, wang) = (b.person("李四").await, a.person("王五").await);
    let mut revoked = zhang.at(&b).online().await;
    let mut expired = li.online().await;
    let mut staying = wang.at(&b).online().await;
    redis.kill();
    eventually("both have noticed", async || {
        let mut degraded = true;
        for server in [&a, &b] {
            let answer = server.get("/readyz").await;
            // Never unready for Redis.
            assert_eq!(answer.status(), 200);
            degraded &= json_of(answer).await == json!({"status": "degraded", "reasons": ["bus"]});
        }
        degraded
    })
    .await;
    let begun = Instant::now();
    assert_eq!(zhang.post("/v1/logout", &json!({})).await.status(), 204);
    // Nobody can tell the other replica: it asks the database.
    assert_eq!(revoked.next().await, Seen::Closed(4401));
    let figures = Figures::of("sessions_that_end_without_redis");
    figures.time("revoked at another replica, closed after", begun.elapsed());
    assert_eq!(expired.next().await, Seen::Closed(4401));
    figures.time("both closed after", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(30));
    staying.expect_quiet().await;
}
