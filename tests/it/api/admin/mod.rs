//! The server API: its keys, and what a back end can do by it.

mod bad_input;
mod chats;
mod conversations;
mod exports;
mod foreign;
mod keys;
mod moderation;
mod people;
mod status;
mod told;
mod users;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{BackEnd, Person, Server, Start, receiver::SECRET, server::json_of};

/// A server without rate limits, and a back end that may do everything.
fn set() -> (Server, BackEnd) {
    on(Start::default())
}

/// As [`set`], with further settings.
fn on(start: Start) -> (Server, BackEnd) {
    // Nobody listens there.
    let endpoint = json!([{"name": "crm", "url": "http://127.0.0.1:1/", "secret": SECRET}]);
    let server = start
        .set("limits.enabled", false)
        .set("feed.enabled", true)
        .set("webhooks.endpoints", endpoint)
        .set("webhooks.allow_private", true)
        .run();
    let back_end = server.back_end("all");
    (server, back_end)
}

/// Somebody whom the back end has made and logged in.
async fn person(server: &Server, back_end: &BackEnd, id: &str, name: &str) -> Person {
    done(200, back_end.post("/users", &json!([{"externalId": id, "name": name}])).await).await;
    let login = back_end.post("/sessions", &json!({"externalId": id})).await;
    Person::logged_in(login, server.addr, &server.http).await
}

/// The answer to a request that is to succeed with this status.
async fn done(status: u16, answer: reqwest::Response) -> Value {
    let got = answer.status().as_u16();
    assert_eq!(got, status, "{}", answer.text().await.unwrap());
    json_of(answer).await
}

/// Every route of the server API, as the OpenAPI document has it, in a form that succeeds, with its scope,
/// which is empty where any good key will do. The world is that of [`foreign`]: the users `u1` and `u2`, the group `g`
/// of both, and a chat there.
#[expect(clippy::too_many_lines, reason = "a table of routes")]
fn routes(chat: i64) -> Vec<(Method, &'static str, String, Value, &'static str)> {
    let at = |path: &str| path.to_owned();
    let member = json!({"members": ["u2"]});
    let chat_body = json!({"from": "u1", "to": "u2", "clientMsgId": "k9", "content": "x"});
    let begin = json!({"kind": "group", "externalId": "g2", "members": ["u1", "u2"]});
    vec![
        (Method::PUT, "/users/{externalId}", at("/users/u1"), json!({"name": "甲"}), "users"),
        (
            Method::POST,
            "/users",
            at("/users"),
            json!([{"externalId": "u1", "name": "甲"}]),
            "users",
        ),
        (Method::POST, "/sessions", at("/sessions"), json!({"externalId": "u2"}), "sessions"),
        (
            Method::DELETE,
            "/users/{externalId}/sessions",
            at("/users/u2/sessions"),
            Value::Null,
            "sessions",
        ),
        (Method::GET, "/users/{externalId}/export", at("/users/u2/export"), Value::Null, "users"),
        (Method::POST, "/chats", at("/chats"), chat_body, "chats"),
        (
            Method::POST,
            "/chats/{id}/recall",
            format!("/chats/{chat}/recall"),
            Value::Null,
            "conversations",
        ),
        (Method::POST, "/conversations", at("/conversations"), begin, "conversations"),
        (
            Method::PUT,
            "/conversations/{id}",
            at("/conversations/external:g"),
            json!({"title": "t"}),
            "conversations",
        ),
        (
            Method::GET,
            "/conversations/{id}/chats",
            at("/conversations/external:g/chats"),
            Value::Null,
            "conversations",
        ),
        (
            Method::DELETE,
            "/conversations/{id}/members",
            at("/conversations/external:g/members"),
            member.clone(),
            "conversations",
        ),
        (
            Method::POST,
            "/conversations/{id}/members",
            at("/conversations/external:g/members"),
            member,
            "conversations",
        ),
        (
            Method::PUT,
            "/users/{externalId}/restriction",
            at("/users/u2/restriction"),
            json!({"kind": "muted"}),
            "moderation",
        ),
        (
            Method::DELETE,
            "/users/{externalId}/restriction",
            at("/users/u2/restriction"),
            Value::Null,
            "moderation",
        ),
        (Method::GET, "/held", at("/held"), Value::Null, "moderation"),
        (Method::POST, "/held/{id}", at("/held/1"), json!({"action": "refuse"}), "moderation"),
        (Method::GET, "/reports", at("/reports"), Value::Null, "moderation"),
        (
            Method::POST,
            "/reports/{id}",
            at("/reports/1"),
            json!({"action": "resolve"}),
            "moderation",
        ),
        (Method::GET, "/feed", at("/feed"), Value::Null, "feed"),
        (Method::GET, "/webhooks", at("/webhooks"), Value::Null, "webhooks"),
        (
            Method::GET,
            "/webhooks/{endpoint}/deliveries",
            at("/webhooks/crm/deliveries"),
            Value::Null,
            "webhooks",
        ),
        (
            Method::POST,
            "/webhooks/{endpoint}/replay",
            at("/webhooks/crm/replay"),
            json!({"since": "2020-01-01T00:00:00Z"}),
            "webhooks",
        ),
        (Method::POST, "/wechat/push", at("/wechat/push"), json!({"Event": "x"}), "moderation"),
        (Method::GET, "/audit", at("/audit"), Value::Null, "audit"),
        (Method::GET, "/users", at("/users?name=甲"), Value::Null, "users"),
        (
            Method::GET,
            "/users/{externalId}/conversations",
            at("/users/u1/conversations"),
            Value::Null,
            "conversations",
        ),
        (
            Method::GET,
            "/conversations/{id}",
            at("/conversations/external:g"),
            Value::Null,
            "conversations",
        ),
        (Method::GET, "/status", at("/status"), Value::Null, "status"),
        (Method::GET, "/key", at("/key"), Value::Null, ""),
        (Method::GET, "/keys", at("/keys"), Value::Null, "all"),
        (Method::POST, "/keys", at("/keys"), json!({"name": "x", "scopes": ["feed"]}), "all"),
        (Method::DELETE, "/keys/{id}", at("/keys/1"), Value::Null, "all"),
        (Method::DELETE, "/users/{externalId}", at("/users/u2"), Value::Null, "users"),
    ]
}
