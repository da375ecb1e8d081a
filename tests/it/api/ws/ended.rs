//! Sockets that end because their session did, or that others close.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{say, tamper};
use crate::harness::{Person, Seen, Server, Socket, Start, eventually, server::assert_problem};

/// A legacy socket that is opened with a token.
async fn legacy_of(server: &Server, person: &Person) -> Socket {
    let bearer = format!("Bearer {}", person.token);
    let path = format!("/imserver/{}", person.id);
    Socket::open(server.addr, &path, &[("authorization", &bearer)]).await.ok().unwrap()
}

async fn online_at(person: &Person, device: &str) -> Socket {
    person.hello(&json!({"deviceId": device})).await.0
}

#[tokio::test]
async fn logout_closes_the_sockets_of_its_session_alone() {
    let server = Server::start();
    let (phone, tablet) = (server.person("张三").await, server.person("张三").await);
    assert_eq!(phone.id, tablet.id);
    let (mut one, mut two) = (phone.online().await, phone.online().await);
    let mut legacy = legacy_of(&server, &phone).await;
    let mut other = tablet.online().await;
    assert_eq!(phone.post("/v1/logout", &json!({})).await.status(), 204);
    for socket in [&mut one, &mut two, &mut legacy] {
        assert_eq!(socket.next().await, Seen::Closed(4401));
    }
    other.expect_quiet().await;
    assert_problem(phone.get("/v1/me").await, 401, "unauthorized").await;
}

#[tokio::test]
async fn logout_everywhere_closes_all_sockets_that_have_a_session() {
    let server = Server::start();
    let (phone, tablet) = (server.person("张三").await, server.person("张三").await);
    let mut sockets = vec![phone.online().await, tablet.online().await];
    sockets.push(legacy_of(&server, &tablet).await);
    let mut other = server.person("李四").await.online().await;
    assert_eq!(phone.post("/v1/logout", &json!({"everywhere": true})).await.status(), 204);
    for mut socket in sockets {
        assert_eq!(socket.next().await, Seen::Closed(4401));
    }
    other.expect_quiet().await;
    let mut again = server.person("张三").await.online().await;
    again.expect_quiet().await;
}

#[tokio::test]
async fn a_session_that_is_revoked_behind_the_servers_back_is_closed_within_its_time() {
    let server = Server::start();
    let (phone, tablet) = (server.person("张三").await, server.person("张三").await);
    let mut socket = phone.online().await;
    let mut legacy = legacy_of(&server, &phone).await;
    let mut other = tablet.online().await;
    tamper(&server, "UPDATE sessions SET revoked = 1 WHERE id = (SELECT min(id) FROM sessions)")
        .await;
    // The test's own deadline is below the 30 s that the contract allows.
    assert_eq!(socket.next().await, Seen::Closed(4401));
    assert_eq!(legacy.next().await, Seen::Closed(4401));
    other.expect_quiet().await;
}

#[tokio::test]
async fn a_session_ends_of_age_though_it_is_used() {
    let server = Start::default().set("auth.max_secs", 3).set("auth.idle_secs", 2).run();
    let begun = Instant::now();
    let zhang = server.person("张三").await;
    let mut socket = zhang.online().await;
    assert_eq!(socket.next().await, Seen::Closed(4401));
    assert!(begun.elapsed() > Duration::from_millis(2_900), "{:?}", begun.elapsed());
    assert_problem(zhang.get("/v1/me").await, 401, "unauthorized").await;
}

#[tokio::test]
async fn an_open_socket_is_use() {
    let server = Start::default().set("auth.idle_secs", 2).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut socket = zhang.online().await;
    let mut legacy = legacy_of(&server, &zhang).await;
    // A session beside it that nobody uses ends meanwhile. To ask whether it has is use.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_problem(li.get("/v1/me").await, 401, "unauthorized").await;
    assert_eq!(zhang.get("/v1/me").await.status(), 200);
    socket.expect_quiet().await;
    say(&mut socket, &zhang, "still here").await;
    socket.expect("sent").await;
    assert!(legacy.frame().await.is_array());
}

#[tokio::test]
async fn close_ends_all_sockets_of_a_user() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut other = li.online().await;
    let path = format!("/close?userId={}", zhang.id);
    // By a token and anonymously; on every device.
    for by_token in [true, false] {
        let mut sockets = vec![
            online_at(&zhang, "phone").await,
            online_at(&zhang, "tablet").await,
            legacy_of(&server, &zhang).await,
        ];
        let response = if by_token { zhang.get(&path).await } else { server.get(&path).await };
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap().as_str()),
            (200, "ok")
        );
        for socket in &mut sockets {
            assert_eq!(socket.next().await, Seen::Closed(4403));
        }
    }
    // Also where there are none.
    assert_eq!(zhang.get(&path).await.text().await.unwrap(), "ok");
    assert_problem(li.get(&path).await, 403, "forbidden").await;
    other.expect_quiet().await;
}

#[tokio::test]
async fn a_close_that_the_server_did_not_hear_of_is_found_within_its_time() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let (mut own, ready) = zhang.hello(&json!({})).await;
    let mut anonymous = Socket::legacy(server.addr, zhang.id).await;
    let mut later = zhang.online().await;
    let mut other = Socket::legacy(server.addr, 7).await;
    // The first two opened one after the other.
    let id = ready["connectionId"].as_i64().unwrap() + 1;
    tamper(&server, &format!("INSERT INTO closes VALUES ({}, {id})", zhang.id)).await;
    assert_eq!(own.next().await, Seen::Closed(4403));
    assert_eq!(anonymous.next().await, Seen::Closed(4403));
    later.expect_quiet().await;
    let chat = json!({"userId": 7, "targetUserId": 7, "content": "x"});
    server.post("/push", &chat).await;
    assert!(other.frame().await.is_array());
}

#[tokio::test]
async fn a_newer_socket_replaces_that_of_the_same_device() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut theirs = online_at(&li, "phone").await;
    let (mut nameless, mut tablet) = (zhang.online().await, online_at(&zhang, "tablet").await);
    let mut phone = online_at(&zhang, "phone").await;
    for _ in 0..3 {
        let newer = online_at(&zhang, "phone").await;
        assert_eq!(phone.next().await, Seen::Closed(4409));
        phone = newer;
    }
    say(&mut phone, &li, "hello").await;
    phone.expect("sent").await;
    for socket in [&mut nameless, &mut tablet, &mut theirs] {
        socket.expect("event").await;
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn the_sixth_socket_closes_the_oldest() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(zhang.online().await);
    }
    sockets.push(legacy_of(&server, &zhang).await);
    sockets.push(zhang.online().await);
    assert_eq!(sockets.remove(0).next().await, Seen::Closed(4409));
    sockets.push(legacy_of(&server, &zhang).await);
    assert_eq!(sockets.remove(0).next().await, Seen::Closed(4409));
    zhang.send(zhang.id, "k", "to all").await;
    for socket in &mut sockets {
        let frame = socket.frame().await;
        assert!(frame["type"] == "event" || frame[0]["content"] == "to all", "{frame}");
    }
}

#[tokio::test]
async fn a_device_that_comes_back_takes_no_place_of_others() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut sockets = Vec::new();
    for device in ["a", "b", "c", "d", "e"] {
        sockets.push(online_at(&zhang, device).await);
    }
    for (place, device) in [(4, "e"), (2, "c"), (2, "d")] {
        let newer = online_at(&zhang, device).await;
        assert_eq!(sockets.remove(place).next().await, Seen::Closed(4409));
        sockets.push(newer);
    }
    for socket in &mut sockets {
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_socket_that_closes_is_forgotten() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut first = zhang.online().await;
    for _ in 0..12 {
        drop(zhang.online().await);
        // Not before it is gone: a sixth one would close the first.
        let path = "/getOnlineUser";
        let key = zhang.id.to_string();
        eventually("one connection", async || zhang.get_json(path).await[&key]["connections"] == 1)
            .await;
    }
    first.expect_quiet().await;
}
