//! Requests without a valid token, and tokens where none belongs.

use reqwest::Method;

use super::{World, assert_unauthorized, routes, server};
use crate::harness::{Server, handshake, server::assert_problem};

/// Values of `Authorization` that are no valid token of this server.
async fn wrong_tokens(server: &Server) -> Vec<String> {
    let other = super::server().run();
    let foreign = other.person("张三").await.token;
    let gone = server.person("已退出").await;
    assert_eq!(gone.request(Method::POST, "/v1/logout").send().await.unwrap().status(), 204);
    let good = server.person("在线").await.token;
    // Of the right form, and one bit away from a good one.
    let flipped = if good.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{flipped}{}", &good[1..]);
    vec![
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer x".into(),
        format!("Bearer {forged}"),
        format!("Bearer {}", &good[1..]),
        format!("Bearer {good}A"),
        format!("Bearer {good}="),
        format!("Bearer {foreign}"),
        format!("Bearer {}", gone.token),
        format!("Basic {good}"),
        format!("Bearer,{good}"),
        good,
    ]
}

#[tokio::test]
async fn every_route_wants_a_valid_token() {
    let world = World::new().await;
    let [seat, ..] = world.seats();
    let before = world.state().await;
    let own = seat.me.id.to_string();
    for wrong in wrong_tokens(&world.server).await {
        for route in routes(&seat) {
            let route = route.with_query("userId", &own);
            let what = format!("{wrong}: {} {}", route.method, route.path);
            // On the legacy routes too: who shows a token is not anonymous.
            assert_unauthorized(route.send(&world.server, Some(&wrong)).await, &what).await;
        }
        let path = format!("/imserver/{own}");
        for headers in [
            &[("authorization", wrong.as_str())][..],
            &[("authorization", wrong.as_str()), ("sec-websocket-protocol", "imserver.v1")],
        ] {
            let refused = handshake(&world.server.http, world.server.addr, &path, headers).await;
            assert_unauthorized(refused, &wrong).await;
        }
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn without_a_token_nothing_is_served_but_what_is_open() {
    let server = server().set("auth.anonymous", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let conversation = zhang.send(li.id, "k", "你好").await["chat"]["conversationId"].clone();
    let seat = super::Seat {
        me: &zhang,
        peer: &li,
        conversation: conversation.as_i64().unwrap(),
        foreign: 0,
        group: 1,
        own_chat: 1,
        said: "你好",
        unsaid: "",
    };
    for route in routes(&seat) {
        let route = route.with_query("userId", &zhang.id.to_string());
        assert_unauthorized(route.send(&server, None).await, &route.path).await;
    }
    let path = format!("/imserver/{}", zhang.id);
    for headers in [&[][..], &[("sec-websocket-protocol", "imserver.v1")]] {
        assert_unauthorized(handshake(&server.http, server.addr, &path, headers).await, &path)
            .await;
    }
    for open in
        ["/", "/demo", "/page/app.js", "/healthz", "/readyz", "/v1/service", "/v1/openapi.json"]
    {
        assert_eq!(server.get(open).await.status(), 200, "{open}");
    }
    assert_problem(server.get("/v1/nothing").await, 404, "not_found").await;
    assert_problem(server.get("/v1/avatars/x").await, 404, "not_found").await;
}

#[tokio::test]
async fn the_scheme_of_a_token_may_be_written_in_any_case() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {}", zhang.token);
        let request = server.request(Method::GET, "/v1/me").header("authorization", value);
        assert_eq!(request.send().await.unwrap().status(), 200, "{scheme}");
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_everywhere_valid_or_not() {
    let server = server().run();
    let zhang = server.person("张三").await;
    let keys = ["token", "access_token", "bearer", "%74oken", "access%5Ftoken", "b%65arer"];
    let socket = format!("/imserver/{}", zhang.id);
    let paths = [
        "/",
        "/healthz",
        "/v1/me",
        "/v1/events",
        "/v1/login/demo",
        "/v1/openapi.json",
        "/v1/nothing",
        "/nothing/at/all",
        "/getOnlineUser",
        "/push",
        &socket,
    ];
    for key in keys {
        for value in [zhang.token.as_str(), "x", ""] {
            for path in paths {
                for query in
                    [format!("?{key}={value}"), format!("?userId={}&{key}={value}", zhang.id)]
                {
                    let url = format!("{path}{query}");
                    // With a good token in the right place, too.
                    assert_problem(zhang.get(&url).await, 400, "token_in_url").await;
                    let response = server.get(&url).await;
                    let request_id = response.headers().contains_key("x-request-id");
                    let detail = assert_problem(response, 400, "token_in_url").await;
                    assert!(request_id && !detail.contains(&zhang.token));
                }
            }
            let offers = format!("imserver.v1, bearer.{}", zhang.token);
            let url = format!("{socket}?{key}={value}");
            let headers = [("sec-websocket-protocol", offers.as_str())];
            let refused = handshake(&server.http, server.addr, &url, &headers).await;
            assert_problem(refused, 400, "token_in_url").await;
            let refused = handshake(&server.http, server.addr, &url, &[]).await;
            assert_problem(refused, 400, "token_in_url").await;
        }
    }
    // A key without a value, and other methods.
    assert_problem(server.get("/v1/me?token").await, 400, "token_in_url").await;
    for method in [Method::POST, Method::DELETE] {
        let response = zhang.request(method, "/v1/me?token=x").send().await.unwrap();
        assert_problem(response, 400, "token_in_url").await;
    }
    // Only these keys: the value is not looked at.
    assert_eq!(zhang.get("/v1/me?tokens=x&q=token").await.status(), 200);
    assert!(!server.log().contains(&zhang.token), "the log shows a token");
}
