//! Who may not use the server API: the matrix of keys, routes and ids that lead nowhere.

use std::collections::BTreeSet;

use imserver::{
    clock::Clock,
    domain::{ClientMsgId, Content, Destination, UserId},
    store::{Holds as _, KeyState, NewChat, sqlite::SqliteStore},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{done, person, routes, set};
use crate::harness::{
    BackEnd, Person, Server,
    server::{assert_problem, json_of},
};

/// Two users of the back end, who talk in a group of its own.
struct World {
    server: Server,
    back_end: BackEnd,
    people: [Person; 2],
    chat: i64,
}

impl World {
    async fn new() -> Self {
        let (server, back_end) = set();
        let one = person(&server, &back_end, "u1", "甲").await;
        let other = person(&server, &back_end, "u2", "乙").await;
        let group = json!({"kind": "group", "externalId": "g", "members": ["u1", "u2"]});
        let group = done(201, back_end.post("/conversations", &group).await).await["id"].clone();
        let said = json!({"clientMsgId": "k", "conversationId": group, "content": "in a group"});
        let chat = done(201, one.post("/v1/chats", &said).await).await["chat"]["id"].clone();
        hold(&server, &one, &other).await;
        let report = json!({"reportedUserId": other.id, "reason": "spam"});
        done(201, one.post("/v1/reports", &report).await).await;
        Self { server, back_end, people: [one, other], chat: chat.as_i64().unwrap() }
    }

    /// What everybody sees.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for person in &self.people {
            for path in ["/v1/me", "/v1/conversations", "/v1/events?since=0"] {
                state.push(person.get_json(path).await);
            }
        }
        state
    }
}

/// Has a chat held back, as if a hook wanted that.
async fn hold(server: &Server, from: &Person, to: &Person) {
    let store = SqliteStore::open(&server.database(), Clock::system()).await.unwrap();
    let user = |person: &Person| UserId::new(person.id).unwrap();
    let chat = NewChat {
        hold: true,
        ..NewChat::text(
            user(from),
            Destination::Direct(user(to)),
            ClientMsgId::random(),
            Content::parse("x", 1).unwrap(),
        )
    };
    assert_eq!(store.hold(&chat).await.unwrap(), KeyState::Held);
}

#[tokio::test]
async fn the_table_has_every_route_and_each_succeeds_with_its_own_scope_alone() {
    let world = World::new().await;
    let document = json_of(world.server.get("/v1/openapi.json").await).await;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/v1/admin") else { continue };
        for (method, operation) in item.as_object().unwrap() {
            assert_eq!(operation["tags"], json!(["admin"]), "{path}");
            assert_eq!(operation["security"], json!([{"apiKey": []}]), "{path}");
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let table = routes(world.chat);
    let tested: BTreeSet<_> =
        table.iter().map(|(method, template, ..)| format!("{method} {template}")).collect();
    assert_eq!(tested, described);

    let scopes = [
        "users",
        "sessions",
        "chats",
        "conversations",
        "moderation",
        "feed",
        "webhooks",
        "audit",
        "status",
    ];
    let before = world.state().await;
    for (method, _, path, body, scope) in table.iter().filter(|(.., scope)| !scope.is_empty()) {
        let others: Vec<_> = scopes.into_iter().filter(|other| other != scope).collect();
        let other = world.server.back_end(&others.join(","));
        let answer = other.send(method.clone(), path, body).await;
        let why = assert_problem(answer, 403, "forbidden").await;
        assert!(why.contains(scope), "{method} {path}: {why}");
    }
    assert_eq!(world.state().await, before, "nothing was done");
    for (method, _, path, body, scope) in &table {
        let scope = if scope.is_empty() { "chats" } else { scope };
        let answer = world.server.back_end(scope).send(method.clone(), path, body).await;
        let status = answer.status();
        assert!(status.is_success(), "{method} {path}: {}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn whoever_has_no_good_key_does_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    let good = world.back_end.key.clone();
    let flipped = if good.ends_with('A') { "E" } else { "A" };
    let elsewhere = super::set().1.key;
    let revoked = world.server.back_end("all").key;
    assert!(world.server.command(&["admin", "api-key", "revoke", "2"]).status.success());
    let wrong = [
        String::new(),
        "x".to_owned(),
        format!("{}{flipped}", &good[..good.len() - 1]),
        good[4..].to_owned(),
        elsewhere,
        revoked,
        world.people[0].token.clone(),
        format!("imk_{}", world.people[0].token),
    ];
    for key in wrong {
        let stranger = BackEnd { key: key.clone(), ..world.back_end.clone() };
        for (method, _, path, body, _) in routes(world.chat) {
            let answer = stranger.send(method.clone(), &path, &body).await;
            assert_eq!(answer.status(), 401, "{key}: {method} {path}");
            assert_problem(answer, 401, "unauthorized").await;
        }
    }
    assert_eq!(world.state().await, before);
    let log = world.back_end.audited().await;
    let acts = log.iter().filter(|line| !line.starts_with("api_key.")).count();
    assert_eq!(acts, 5, "what no key has done is not in the log: {log:?}");
}

#[tokio::test]
async fn ids_that_lead_nowhere_are_not_found() {
    let world = World::new().await;
    let before = world.state().await;
    let nobody = ["nobody", "U1", "id:999999999", "u1%20", "g"];
    for name in nobody {
        let path = format!("/users/{name}/sessions");
        let answer = world.back_end.delete(&path, &Value::Null).await;
        let status = answer.status().as_u16();
        assert!(matches!(status, 400 | 404), "{name}: {status}");
    }
    let missing = world.back_end.put("/users/id:999999999", &json!({"name": "x"})).await;
    assert_problem(missing, 404, "user_not_found").await;
    for body in [json!({"externalId": "nobody"}), json!({"userId": 999_999_999})] {
        let answer = world.back_end.post("/sessions", &body).await;
        assert_problem(answer, 404, "user_not_found").await;
    }
    let chat = |from: Value, to: Value| json!({"from": from, "to": to, "clientMsgId": "n", "content": "x"});
    for (from, to) in [
        (json!("nobody"), json!("u1")),
        (json!("u1"), json!("nobody")),
        (json!(999_999_999), json!("u1")),
    ] {
        let answer = world.back_end.post("/chats", &chat(from, to)).await;
        assert_problem(answer, 404, "user_not_found").await;
    }
    for (key, value) in [("conversationId", json!(999)), ("conversationExternalId", json!("u1"))] {
        let mut body = json!({"from": "u1", "clientMsgId": "n", "content": "x"});
        body[key] = value;
        let answer = world.back_end.post("/chats", &body).await;
        assert_problem(answer, 404, "conversation_not_found").await;
    }
    let recalled = world.back_end.post("/chats/999999/recall", &Value::Null).await;
    assert_problem(recalled, 404, "chat_not_found").await;
    for at in ["999", "external:u1"] {
        for (method, rest, body) in [
            (Method::PUT, "", json!({"title": "x"})),
            (Method::GET, "", Value::Null),
            (Method::GET, "/chats", Value::Null),
            (Method::POST, "/members", json!({"members": ["u1"]})),
            (Method::DELETE, "/members", json!({"members": ["u1"]})),
        ] {
            let path = format!("/conversations/{at}{rest}");
            let answer = world.back_end.send(method, &path, &body).await;
            assert_problem(answer, 404, "conversation_not_found").await;
        }
    }
    let stranger = json!({"kind": "group", "members": ["u1", "nobody"]});
    let answer = world.back_end.post("/conversations", &stranger).await;
    assert_problem(answer, 404, "user_not_found").await;
    let nobody = json!({"members": ["nobody"]});
    let gone = world.back_end.delete("/conversations/external:g/members", &nobody);
    assert_problem(gone.await, 404, "user_not_found").await;
    assert_eq!(world.state().await, before);
}
