//! What closes sockets, over replicas: in the order in which they opened, and also without Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{Replicas, replicas, replicas_on};
use crate::harness::{
    Person, Proxy, Redis, Seen, Socket, Start, eventually, postgres, redis::url_of,
    server::assert_problem,
};

#[tokio::test]
async fn what_closes_sockets_closes_them_everywhere() {
    let Replicas { a, b, .. } = replicas().await;
    let zhang = a.person("张三").await;
    let there = zhang.at(&b);
    let mut kicked = there.online().await;
    let response = zhang.get(&format!("/close?userId={}", zhang.id)).await;
    assert_eq!(response.text().await.unwrap(), "ok");
    assert_eq!(kicked.closed().await, 4403);
    let (mut first, _) = zhang.hello(&json!({"deviceId": "phone"})).await;
    let (mut second, _) = there.hello(&json!({"deviceId": "phone"})).await;
    assert_eq!(first.closed().await, 4409);
    assert_eq!(zhang.post("/v1/logout", &json!({})).await.status(), 204);
    assert_eq!(second.closed().await, 4401);

    let (phone, tablet) = (a.person("张三").await, b.person("张三").await);
    let mut sockets = [phone.at(&b).online().await, tablet.online().await, phone.online().await];
    let begun = Instant::now();
    assert_eq!(phone.post("/v1/logout", &json!({"everywhere": true})).await.status(), 204);
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4401);
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_close_that_redis_loses_is_found_in_the_database() {
    let mut redis = Redis::start();
    let Replicas { a, b, .. } = replicas_on(&redis).await;
    let zhang = a.person("张三").await;
    let mut there = zhang.at(&b).online().await;
    let mut bystander = b.person("李四").await.online().await;
    redis.kill();
    let begun = Instant::now();
    let response = zhang.get(&format!("/close?userId={}", zhang.id)).await;
    assert_eq!(response.text().await.unwrap(), "ok");
    let mut later = zhang.at(&b).online().await;
    assert_eq!(there.closed().await, 4403);
    let after = begun.elapsed();
    println!("closed {after:.1?} after /close, without Redis");
    assert!(after < Duration::from_secs(30), "{after:?}");
    // At least one more look, and the order itself should it still come.
    redis.start_again();
    tokio::time::sleep(Duration::from_secs(11)).await;
    later.expect_quiet().await;
    bystander.expect_quiet().await;
}

/// Less than it takes until a socket that opened is looked at again: what closes sooner than this was
/// closed by the orders themselves.
const AT_ONCE: Duration = Duration::from_secs(6);

/// Opens a socket of a device; returns it with its id once it is ready. `Err`: it was closed before.
async fn open(person: &Person) -> (Socket, Result<i64, u16>) {
    let mut socket = person.connect().await;
    socket.send(&json!({"type": "hello", "deviceId": "phone"})).await;
    let first = match socket.next().await {
        Seen::Frame(ready) => Ok(ready["connectionId"].as_i64().unwrap()),
        Seen::Closed(code) => Err(code),
    };
    (socket, first)
}

#[tokio::test]
async fn of_two_sockets_of_a_device_the_one_that_opened_later_stays() {
    const ROUNDS: usize = 50;
    let Replicas { a, b, .. } = replicas().await;
    let here = a.person("张三").await;
    let there = here.at(&b);
    let mut survivors = [0; 2];
    let mut last: Option<Socket> = None;
    // The machine may stall; the orders do not.
    let mut late = 0;
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let opened = join_all([open(&here), open(&there)]).await;
        let mut sockets = Vec::new();
        let mut ids = Vec::new();
        for (at, (socket, ready)) in opened.into_iter().enumerate() {
            match ready {
                Ok(id) => {
                    ids.push(id);
                    sockets.push((id, at, socket));
                }
                Err(code) => assert_eq!(code, 4409),
            }
        }
        if let Some(mut last) = last.take() {
            assert_eq!(last.closed().await, 4409, "the one of the round before goes");
        }
        sockets.sort_unstable_by_key(|(id, ..)| *id);
        let (_, at, mut newest) = sockets.pop().expect("one of them stays");
        for (id, _, mut older) in sockets {
            assert_eq!(older.closed().await, 4409, "round {round}: {id} of {ids:?}");
        }
        late += usize::from(begun.elapsed() >= AT_ONCE);
        assert!(late <= 3, "round {round}: {:?}", begun.elapsed());
        newest.expect_quiet().await;
        survivors[at] += 1;
        last = Some(newest);
    }
    println!("{ROUNDS} rounds, stayed at A and B: {survivors:?}");
}

#[tokio::test]
async fn a_late_hello_does_not_close_what_opened_after_it() {
    let Replicas { a, b, .. } = replicas().await;
    let here = a.person("张三").await;
    for there in [here.at(&b), here.clone()] {
        let mut early = here.connect().await;
        let begun = Instant::now();
        let (mut late, _) = there.hello(&json!({"deviceId": "phone"})).await;
        early.send(&json!({"type": "hello", "deviceId": "phone"})).await;
        assert_eq!(early.closed().await, 4409);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        late.expect_quiet().await;
    }
}

#[tokio::test]
async fn what_opened_while_redis_was_away_is_put_in_order_when_it_is_back() {
    let mut redis = Redis::start();
    let Replicas { a, b, .. } = replicas_on(&redis).await;
    let here = a.person("张三").await;
    let there = here.at(&b);
    redis.kill();
    let phone = json!({"deviceId": "phone"});
    let (mut older, _) = here.hello(&phone).await;
    let mut oldest_of_six = here.online().await;
    let mut staying = Vec::new();
    for at in [&here, &there, &here, &there] {
        staying.push(at.online().await);
    }
    let (mut newer, _) = there.hello(&phone).await;
    older.expect_quiet().await;
    oldest_of_six.expect_quiet().await;
    redis.start_again();
    assert_eq!(older.closed().await, 4409);
    assert_eq!(oldest_of_six.closed().await, 4409);
    newer.expect_quiet().await;
    for socket in &mut staying {
        socket.expect_quiet().await;
    }
}

/// Longer than it takes until a socket that has opened was looked at again.
const LOOKED_AT: Duration = Duration::from_secs(9);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_deaf_learns_what_it_must_close() {
    let (redis, database) = (Redis::start(), postgres::database().await);
    let proxy = Proxy::start(redis.addr()).await;
    let start = |bus| {
        let start = Start::default().set("database.url", &database).set("bus.url", bus);
        start.set("auth.demo_login", true).set("log.filter", "info")
    };
    let (a, b) = block_in_place(|| (start(url_of(proxy.addr())).run(), start(redis.url()).run()));
    let here = a.person("张三").await;
    let there = here.at(&b);
    let phone = json!({"deviceId": "phone"});
    let (mut older, _) = here.hello(&phone).await;
    tokio::time::sleep(LOOKED_AT).await;
    proxy.cut();
    eventually("it is deaf", async || a.get("/readyz").await.text().await.unwrap().contains("bus"))
        .await;
    let (mut newer, _) = there.hello(&phone).await;
    // The other one has said it again by then, and says it no more.
    tokio::time::sleep(LOOKED_AT).await;
    older.expect_quiet().await;
    proxy.heal();
    eventually("it hears", async || !a.get("/readyz").await.text().await.unwrap().contains("bus"))
        .await;
    assert_eq!(older.closed().await, 4409);
    newer.expect_quiet().await;
}

#[tokio::test]
async fn a_sixth_socket_on_another_replica_closes_the_oldest() {
    let Replicas { a, b, .. } = replicas().await;
    let here = a.person("张三").await;
    let there = here.at(&b);
    let mut sockets = Vec::new();
    for at in [&here, &there, &here, &there, &here] {
        sockets.push(at.online().await);
    }
    let begun = Instant::now();
    sockets.push(there.online().await);
    assert_eq!(sockets.remove(0).closed().await, 4409);
    println!("the oldest of six was closed {:.1?} after the sixth opened", begun.elapsed());
    // It does not go on: five are as many as may be.
    tokio::time::sleep(Duration::from_secs(9)).await;
    for socket in &mut sockets {
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_device_that_changes_replicas_takes_no_place_of_others() {
    let Replicas { a, b, .. } = replicas().await;
    let here = a.person("张三").await;
    let there = here.at(&b);
    let device = |name: &str| json!({"deviceId": name});
    let mut sockets = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        sockets.push(here.hello(&device(name)).await.0);
    }
    let (mut moved, _) = there.hello(&device("e")).await;
    assert_eq!(sockets.pop().unwrap().closed().await, 4409);
    tokio::time::sleep(Duration::from_secs(9)).await;
    moved.expect_quiet().await;
    for socket in &mut sockets {
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn sockets_that_were_open_on_a_dead_replica_count_no_more() {
    let Replicas { mut a, b, .. } = replicas().await;
    let here = a.person("张三").await;
    let there = here.at(&b);
    let mut staying = vec![there.online().await, there.online().await];
    let _lost = [here.online().await, here.online().await, here.online().await];
    eventually("all five are known", || async {
        there.get_json("/getOnlineUser").await[here.id.to_string()]["connections"] == 5
    })
    .await;
    a.kill();
    for _ in 0..3 {
        staying.push(there.online().await);
    }
    // Beyond when they are looked at, and the lease of the dead one.
    tokio::time::sleep(Duration::from_secs(17)).await;
    for socket in &mut staying {
        socket.expect_quiet().await;
    }
}

/// What waits for the database is anonymous: a token alone could not be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_nothing_opens_and_nothing_is_closed() {
    let url: url::Url = postgres::database().await.parse().unwrap();
    let proxy = Proxy::start(format!("127.0.0.1:{}", url.port().unwrap()).parse().unwrap()).await;
    let mut through = url.clone();
    through.set_port(Some(proxy.addr().port())).unwrap();
    let server = Start::default()
        .set("database.url", through)
        .set("bus.single_replica", true)
        .set("auth.anonymous", true)
        .run();
    let mut socket = Socket::legacy(server.addr, 7).await;
    proxy.cut();
    assert_problem(server.get("/close?userId=7").await, 503, "unavailable").await;
    let refused = Socket::open(server.addr, "/imserver/7", &[]).await.err().unwrap();
    assert_eq!(refused.status(), 503);
    proxy.heal();
    let frame = json!({"userId": 7, "targetUserId": 7, "content": "还在"});
    eventually("the database is back", || async {
        server.post("/push", &frame).await.status() == 200
    })
    .await;
    let Seen::Frame(Value::Array(chats)) = socket.next().await else {
        panic!("the socket did not stay")
    };
    assert_eq!(chats[0]["content"], "还在");
    eventually("it closes", || async { server.get("/close?userId=7").await.status() == 200 }).await;
    assert_eq!(socket.closed().await, 4403);
}
