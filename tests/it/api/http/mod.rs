//! HTTP version 1 as the contract has it, over the real server: a file for each of `src/http`.

mod chats;
mod console;
mod conversations;
mod events;
mod groups;
mod health;
mod login;
mod me;
mod openapi;
mod page;
mod people;
mod repairs;
mod routes;
pub mod unread;
mod walk;

use serde_json::Value;

use crate::harness::{Server, Start};

/// Every route of the main listener that takes plain requests, with its methods.
pub const ROUTES: [(&str, &[&str]); 69] = [
    ("/v1/login/wechat", &["POST"]),
    ("/v1/login/token", &["POST"]),
    ("/v1/login/demo", &["POST"]),
    ("/v1/logout", &["POST"]),
    ("/v1/me", &["GET", "PATCH", "PUT"]),
    ("/v1/me/avatar", &["PUT"]),
    ("/v1/avatars/{hash}", &["GET"]),
    ("/v1/users", &["GET"]),
    ("/v1/users/{id}", &["GET"]),
    ("/v1/blocks", &["GET"]),
    ("/v1/blocks/{userId}", &["DELETE", "PUT"]),
    ("/v1/reports", &["POST"]),
    ("/v1/wechat/subscriptions", &["POST"]),
    ("/v1/conversations", &["GET", "POST"]),
    ("/v1/conversations/{id}", &["GET", "PUT"]),
    ("/v1/conversations/{id}/members", &["GET", "POST"]),
    ("/v1/conversations/{id}/members/{userId}", &["DELETE", "PUT"]),
    ("/v1/conversations/{id}/settings", &["PUT"]),
    ("/v1/conversations/{id}/hide", &["POST"]),
    ("/v1/conversations/{id}/clear", &["POST"]),
    ("/v1/conversations/{id}/chats", &["GET"]),
    ("/v1/conversations/{id}/read", &["POST"]),
    ("/v1/chats", &["POST"]),
    ("/v1/chats/{id}", &["DELETE"]),
    ("/v1/chats/{id}/recall", &["POST"]),
    ("/v1/media", &["POST"]),
    ("/v1/media/{id}/{variant}", &["GET"]),
    ("/v1/events", &["GET"]),
    ("/v1/presence", &["GET"]),
    ("/v1/admin/users", &["GET", "POST"]),
    ("/v1/admin/users/{externalId}", &["DELETE", "PUT"]),
    ("/v1/admin/users/{externalId}/conversations", &["GET"]),
    ("/v1/admin/users/{externalId}/sessions", &["DELETE"]),
    ("/v1/admin/users/{externalId}/export", &["GET"]),
    ("/v1/admin/sessions", &["POST"]),
    ("/v1/admin/chats", &["POST"]),
    ("/v1/admin/chats/{id}/recall", &["POST"]),
    ("/v1/admin/conversations", &["POST"]),
    ("/v1/admin/conversations/{id}", &["GET", "PUT"]),
    ("/v1/admin/conversations/{id}/members", &["DELETE", "POST"]),
    ("/v1/admin/conversations/{id}/chats", &["GET"]),
    ("/v1/admin/users/{externalId}/restriction", &["DELETE", "PUT"]),
    ("/v1/admin/held", &["GET"]),
    ("/v1/admin/held/{id}", &["POST"]),
    ("/v1/admin/reports", &["GET"]),
    ("/v1/admin/reports/{id}", &["POST"]),
    ("/v1/admin/audit", &["GET"]),
    ("/v1/admin/key", &["GET"]),
    ("/v1/admin/keys", &["GET", "POST"]),
    ("/v1/admin/keys/{id}", &["DELETE"]),
    ("/v1/admin/status", &["GET"]),
    ("/v1/admin/feed", &["GET"]),
    ("/v1/admin/webhooks", &["GET"]),
    ("/v1/admin/webhooks/{endpoint}/deliveries", &["GET"]),
    ("/v1/admin/webhooks/{endpoint}/replay", &["POST"]),
    ("/v1/admin/wechat/push", &["POST"]),
    ("/wechat/push", &["GET", "POST"]),
    ("/v1/service", &["GET"]),
    ("/v1/openapi.json", &["GET"]),
    ("/healthz", &["GET"]),
    ("/readyz", &["GET"]),
    ("/push", &["POST"]),
    ("/getMessage", &["GET"]),
    ("/getOnlineUser", &["GET"]),
    ("/close", &["GET"]),
    ("/imserver/{userId}", &["GET"]),
    ("/", &["GET"]),
    ("/demo", &["GET"]),
    ("/page/{file}", &["GET"]),
];

/// A server without rate limits, for tests that send much.
pub fn unlimited() -> Server {
    Start::default().set("limits.enabled", false).run()
}

/// The ids of the entries of a list.
pub fn ids(list: &Value) -> Vec<i64> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
}

/// The keys of an object, in their order.
pub fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Whether a time has the form of the contract: `2026-11-22T09:40:59.123Z`.
pub fn is_time(value: &Value) -> bool {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    value.as_str().is_some_and(|time| {
        time.chars().map(shape).collect::<String>() == "0000-00-00T00:00:00.000Z"
    })
}
