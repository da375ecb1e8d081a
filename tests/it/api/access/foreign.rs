//! Somebody else's ids over HTTP: refused by name, or as if they did not exist; no foreign row ever.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NOBODY, World, routes};
use crate::harness::{
    Person,
    server::{assert_problem, json_of},
};

/// The routes that need no token.
const OPEN: [&str; 10] = [
    "/v1/login/wechat",
    "/v1/login/token",
    "/v1/login/demo",
    "/v1/avatars/{hash}",
    "/v1/media/{id}/{variant}",
    "/v1/service",
    "/wechat/push",
    "/v1/openapi.json",
    "/healthz",
    "/readyz",
];

#[tokio::test]
async fn the_table_of_these_tests_has_every_route() {
    let world = World::new().await;
    let document = json_of(world.server.get("/v1/openapi.json").await).await;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    described.retain(|route| OPEN.iter().all(|open| !route.ends_with(&format!(" {open}"))));
    // Those want a key, and have a table of their own.
    described.retain(|route| !route.contains(" /v1/admin/"));
    let tested: BTreeSet<String> = routes(&world.seats()[0])
        .iter()
        .map(|route| format!("{} {}", route.method, route.template))
        .collect();
    assert_eq!(tested, described);
}

#[tokio::test]
async fn a_user_id_that_names_somebody_else_is_forbidden_on_every_route() {
    let world = World::new().await;
    let before = world.state().await;
    for seat in world.seats() {
        let others = world.people.iter().map(|person| person.id).chain([NOBODY]);
        for other in others.filter(|id| *id != seat.me.id) {
            for route in routes(&seat) {
                // In the query, whatever the body says.
                let mut asked = vec![route.clone().with_query("userId", &other.to_string())];
                if let Some(body) = &route.body {
                    asked.push(route.clone().with_body("userId", &json!(other)));
                    if body.get("targetUserId").is_some() {
                        let own = route.clone().with_body("userId", &json!(seat.me.id));
                        asked.push(own.with_query("userId", &other.to_string()));
                    }
                }
                for route in asked {
                    let response = route.send_as(&world.server, seat.me).await;
                    assert_eq!(response.status(), 403, "{route:?}");
                    assert_problem(response, 403, "forbidden").await;
                }
            }
        }
    }
    assert_eq!(world.state().await, before, "nothing was done and nobody was logged out");
}

#[tokio::test]
async fn a_user_id_that_is_none_is_invalid_on_every_route() {
    let world = World::new().await;
    let before = world.state().await;
    let [seat, ..] = world.seats();
    let own = seat.me.id.to_string();
    let in_query = ["", "abc", "0", "-1", "%2B1", "1.0", "9007199254740992", "9223372036854775808"];
    let in_body = [
        json!(own),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(true),
        json!([seat.me.id]),
        json!({"id": seat.me.id}),
    ];
    for route in routes(&seat) {
        let mut asked: Vec<_> =
            in_query.iter().map(|wrong| route.clone().with_query("userId", wrong)).collect();
        if route.body.is_some() {
            asked.extend(in_body.iter().map(|wrong| route.clone().with_body("userId", wrong)));
        }
        for route in asked {
            let response = route.send_as(&world.server, seat.me).await;
            assert_eq!(response.status(), 400, "{route:?}");
            assert_problem(response, 400, "invalid_request").await;
        }
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn every_route_serves_its_own_user_and_shows_no_foreign_row() {
    let world = World::new().await;
    for seat in world.seats() {
        let foreign_names: Vec<_> = world.people.iter().map(|person| &person.name).collect();
        for route in routes(&seat) {
            let mut route = route.with_query("userId", &seat.me.id.to_string());
            if route.body.is_some() {
                route = route.with_body("userId", &json!(seat.me.id));
            }
            let response = route.send_as(&world.server, seat.me).await;
            assert!(response.status().is_success(), "{route:?}: {}", response.status());
            let text = response.text().await.unwrap();
            assert!(!text.contains(seat.unsaid), "{route:?}: {text}");
            for name in &foreign_names {
                let is_own = *name == &seat.me.name || *name == &seat.peer.name;
                assert!(is_own || !text.contains(name.as_str()), "{route:?}: {text}");
            }
            let lists = ["/getMessage", "/v1/events", "/v1/conversations"];
            let shows_chats = route.method == reqwest::Method::GET
                && (lists.contains(&route.template) || route.template.ends_with("chats"));
            assert!(!shows_chats || text.contains(seat.said), "{route:?}: {text}");
        }
        let ended = seat.me.get("/v1/me").await;
        assert_problem(ended, 401, "unauthorized").await;
    }
}

/// All of an answer that may tell something.
async fn shown(me: &Person, method: &str, path: &str, body: &Value) -> (u16, String, String) {
    let mut request = me.request(method.parse().unwrap(), path);
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let mut headers: Vec<_> = response
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    (response.status().as_u16(), headers.join("\n"), response.text().await.unwrap())
}

#[tokio::test]
async fn a_foreign_conversation_answers_like_a_missing_one() {
    let world = World::new().await;
    let before = world.state().await;
    for seat in world.seats() {
        for (method, rest, body) in [
            ("GET", "chats", Value::Null),
            ("GET", "chats?before=4", Value::Null),
            ("GET", "chats?after=0", Value::Null),
            ("GET", "chats?after=1&limit=1", Value::Null),
            ("POST", "read", json!({"upTo": 1})),
            ("POST", "read", json!({"upTo": 9_007_199_254_740_991_i64})),
            ("POST", "read", json!({})),
            ("GET", "chats?changedSince=0", Value::Null),
            ("GET", "nothing", Value::Null),
            ("GET", "members", Value::Null),
            ("POST", "members", json!({"userIds": [seat.me.id]})),
            ("PUT", "members/1", json!({"role": "owner"})),
            ("DELETE", "members/1", Value::Null),
            ("PUT", "settings", json!({"pinned": true, "draft": "x"})),
            ("POST", "hide", Value::Null),
            ("POST", "clear", Value::Null),
        ] {
            let at = |id: i64| format!("/v1/conversations/{id}/{rest}");
            let foreign = shown(seat.me, method, &at(seat.foreign), &body).await;
            let missing = shown(seat.me, method, &at(NOBODY), &body).await;
            assert_eq!(foreign, missing, "{method} {rest}");
            assert!(matches!(foreign.0, 400 | 404), "{method} {rest}: {foreign:?}");
            if rest.starts_with("chats?") || body == json!({"upTo": 1}) {
                assert_eq!(foreign.0, 404);
                assert!(foreign.2.contains("conversation_not_found"), "{}", foreign.2);
            }
        }
    }
    assert_eq!(world.state().await, before, "no read mark has moved");
}

#[tokio::test]
async fn a_foreign_group_and_its_chats_are_nobodys_business() {
    let world = World::new().await;
    let before = world.state().await;
    let seats = world.seats();
    for seat in &seats {
        for other in
            seats.iter().filter(|other| other.me.id != seat.me.id && other.me.id != seat.peer.id)
        {
            for (method, path, body) in [
                ("GET", format!("/v1/conversations/{}", other.group), Value::Null),
                ("PUT", format!("/v1/conversations/{}", other.group), json!({"title": "mine"})),
                (
                    "PUT",
                    format!("/v1/conversations/{}/members/{}", other.group, seat.me.id),
                    json!({"role": "owner"}),
                ),
                (
                    "DELETE",
                    format!("/v1/conversations/{}/members/{}", other.group, other.me.id),
                    Value::Null,
                ),
                (
                    "POST",
                    "/v1/chats".to_owned(),
                    json!({"clientMsgId": "f", "conversationId": other.group, "content": "x"}),
                ),
                ("POST", format!("/v1/chats/{}/recall", other.own_chat), Value::Null),
                ("DELETE", format!("/v1/chats/{}", other.own_chat), Value::Null),
                (
                    "POST",
                    "/v1/reports".to_owned(),
                    json!({"chatId": other.own_chat, "reason": "spam"}),
                ),
                (
                    "POST",
                    "/v1/chats".to_owned(),
                    json!({"clientMsgId": "f", "targetUserId": seat.peer.id, "content": "x", "replyTo": other.own_chat}),
                ),
            ] {
                let (status, _, text) = shown(seat.me, method, &path, &body).await;
                assert_eq!(status, 404, "{method} {path}: {text}");
                assert!(!text.contains("in a group"), "{text}");
            }
        }
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn foreign_ids_in_parameters_open_nothing() {
    let world = World::new().await;
    let seats = world.seats();
    for seat in &seats {
        // Bounds are compared as numbers, whoever has a chat of that id.
        let theirs =
            world.people.iter().find(|person| person.id != seat.me.id && person.id != seat.peer.id);
        let theirs = theirs.unwrap();
        let page = theirs.get_json(&format!("/v1/conversations/{}/chats", seat.foreign)).await;
        for chat in page["chats"].as_array().unwrap() {
            let id = &chat["id"];
            for path in [
                format!("/v1/conversations?before={id}"),
                format!("/v1/conversations/{}/chats?before={id}", seat.conversation),
                format!("/v1/conversations/{}/chats?after={id}", seat.conversation),
            ] {
                let text = seat.me.get(&path).await.text().await.unwrap();
                assert!(!text.contains(seat.unsaid), "{path}: {text}");
            }
        }
        let by_peer = |id: i64| format!("/v1/conversations?peerId={id}");
        let none = seat.me.get_json(&by_peer(NOBODY)).await;
        assert_eq!(none["conversations"], json!([]));
        assert_eq!(seat.me.get_json(&by_peer(theirs.id)).await, none);
        let own = seat.me.get_json(&by_peer(seat.peer.id)).await;
        assert_eq!(own["conversations"][0]["id"], seat.conversation);
    }
}
