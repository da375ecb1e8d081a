//! How sessions end. Real time is the subject here, so some of it passes.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{World, assert_unauthorized, routes, server};
use crate::harness::{Person, Socket, eventually, handshake};

const SECOND: Duration = Duration::from_secs(1);

async fn stands(person: &Person) -> bool {
    person.get("/v1/events?since=0").await.status() == 200
}

#[tokio::test]
async fn use_extends_a_session_and_disuse_ends_it() {
    let server = server().set("auth.idle_secs", 3).run();
    let (used, unused) = (server.person("用").await, server.person("不用").await);
    let begun = Instant::now();
    while begun.elapsed() < 4 * SECOND {
        assert!(stands(&used).await, "ended in use after {:?}", begun.elapsed());
        sleep(SECOND / 10).await;
    }
    let ended = unused.get("/v1/me").await;
    assert_unauthorized(ended, "unused").await;
    assert_unauthorized(unused.get("/v1/me").await, "asking does not bring it back").await;
    let path = format!("/imserver/{}", unused.id);
    let offers = format!("imserver.v1, bearer.{}", unused.token);
    let headers = [("sec-websocket-protocol", offers.as_str())];
    let refused = handshake(&server.http, server.addr, &path, &headers).await;
    assert_unauthorized(refused, "a socket").await;
    assert!(stands(&server.person("不用").await).await, "the user logs in again");
}

#[tokio::test]
async fn no_use_carries_a_session_over_its_maximum() {
    let server = server().set("auth.max_secs", 3).set("auth.idle_secs", 2).run();
    let begun = Instant::now();
    let zhang = server.person("张三").await;
    let mut socket = zhang.online().await;
    eventually("the session has ended", async || !stands(&zhang).await).await;
    assert!(begun.elapsed() >= 3 * SECOND, "after {:?}", begun.elapsed());
    assert_eq!(socket.closed().await, 4401);
}

#[tokio::test]
async fn an_open_socket_is_use() {
    let server = server().set("auth.idle_secs", 2).run();
    let (with, without) = (server.person("在").await, server.person("不在").await);
    let mut socket = with.online().await;
    // Twice as long as a session lasts without use. To ask whether one has ended is use.
    sleep(4 * SECOND).await;
    socket.expect_quiet().await;
    assert_unauthorized(without.get("/v1/me").await, "without a socket").await;
    assert!(stands(&with).await);
}

#[tokio::test]
async fn an_answer_to_a_login_says_when_it_ends() {
    let server = server().set("auth.max_secs", 3600).run();
    let response = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    let login: serde_json::Value = response.json().await.unwrap();
    let seconds = |text: &str| {
        let clock = &text[11..19];
        clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap())
    };
    let zhang = server.person("张三").await;
    let chat = zhang.send(zhang.id, "now", "现在").await;
    let now = chat["chat"]["createTime"].as_str().unwrap();
    let ends = login["expiresAt"].as_str().unwrap();
    assert!(ends.len() == 24 && ends.ends_with('Z'), "{ends}");
    let left = (seconds(ends) - seconds(now)).rem_euclid(86_400);
    assert!((3_570..=3_600).contains(&left), "{left} s: the smaller of the two settings");
}

#[tokio::test]
async fn a_logout_ends_this_session_everywhere_and_no_other() {
    let world = World::new().await;
    let [seat, ..] = world.seats();
    let again = world.server.person(&seat.me.name).await;
    assert_eq!(again.id, seat.me.id);
    assert_ne!(again.token, seat.me.token);
    let bearer = format!("Bearer {}", seat.me.token);
    let path = format!("/imserver/{}", seat.me.id);
    let legacy = Socket::open(world.server.addr, &path, &[("authorization", &bearer)]).await;
    let (mut legacy, mut version_1) = (legacy.ok().unwrap(), seat.me.online().await);
    let mut other = again.online().await;

    let out = seat.me.request(Method::POST, "/v1/logout").send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert_eq!(legacy.closed().await, 4401);
    assert_eq!(version_1.closed().await, 4401);
    for route in routes(&seat) {
        let route = route.with_query("userId", &seat.me.id.to_string());
        assert_unauthorized(route.send_as(&world.server, seat.me).await, &route.path).await;
    }
    other.expect_quiet().await;
    assert!(stands(&again).await);
}
