//! How the service does, by the server API, and its keys.

use serde_json::{Value, json};

use super::{person, set};
use crate::harness::{BackEnd, server::assert_problem};

#[tokio::test]
async fn the_status_counts_what_there_is() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let before = back_end.get_json("/status").await;
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&before["status"], &before["reasons"]), (&json!("ok"), &json!([])));
    assert_eq!((&before["sockets"], &before["sends"]), (&json!(0), &json!(0)));
    assert!(crate::api::http::is_time(&before["startTime"]));
    let _socket = one.online().await;
    for key in ["a", "b"] {
        one.send(other.id, key, "x").await;
    }
    // A repeat is none.
    one.send(other.id, "a", "x").await;
    let report = json!({"reportedUserId": other.id, "reason": "spam"});
    assert_eq!(one.post("/v1/reports", &report).await.status(), 201);
    let after = back_end.get_json("/status").await;
    assert_eq!((&after["sockets"], &after["sends"]), (&json!(1), &json!(2)));
    assert_eq!((&after["held"], &after["reports"]), (&json!(0), &json!(1)));
    // Nobody listens at the endpoint, so something waits, or is not told yet.
    assert!(after["outboxLagMs"].is_u64(), "{after}");
    let log = back_end.audited().await;
    assert_eq!(log.iter().filter(|line| *line == "status.read - ok").count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_revoked() {
    let (_server, back_end) = set();
    let new = json!({"name": "订单", "scopes": ["feed", "users", "feed"]});
    let made = super::done(201, back_end.post("/keys", &new).await).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("imk_"));
    let wanted = json!({"id": 2, "name": "订单", "scopes": ["users", "feed"], "secret": secret});
    assert_eq!(made, wanted);
    let other = BackEnd { key: secret.clone(), ..back_end.clone() };
    let own = other.get_json("/key").await;
    assert_eq!((&own["id"], &own["scopes"]), (&json!(2), &json!(["users", "feed"])));
    assert_problem(other.get("/keys").await, 403, "forbidden").await;
    let list = back_end.get_json("/keys").await;
    assert!(!list.to_string().contains("imk_"), "{list}");
    assert_eq!(list["keys"][1]["name"], "订单");
    assert!(list["keys"][1]["lastUseTime"].is_string() && list["keys"][1]["revokeTime"].is_null());
    for wrong in [
        json!({"name": "x"}),
        json!({"scopes": ["feed"]}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["feeds"]}),
        json!({"name": "x", "scopes": vec!["feed"; 21]}),
        json!({"name": " ", "scopes": ["feed"]}),
        json!({"name": "a\nb", "scopes": ["feed"]}),
        json!({"name": "x".repeat(65), "scopes": ["feed"]}),
    ] {
        let answer = back_end.post("/keys", &wrong).await;
        assert_eq!(answer.status(), 400, "{wrong}");
    }
    assert_eq!(back_end.delete("/keys/2", &Value::Null).await.status(), 204);
    assert_problem(other.get("/key").await, 401, "unauthorized").await;
    for gone in ["/keys/2", "/keys/99"] {
        assert_problem(back_end.delete(gone, &Value::Null).await, 404, "not_found").await;
    }
    let log = back_end.audited().await;
    for act in ["api_key.create api_key:2 ok", "api_key.revoke api_key:2 ok"] {
        assert_eq!(log.iter().filter(|line| *line == act).count(), 1, "once: {log:?}");
    }
    // By the key, and not by the command line.
    let entries = back_end.get_json("/audit").await["entries"].clone();
    let by = |act: &str| {
        entries.as_array().unwrap().iter().find(|it| it["action"] == act).unwrap()["keyId"].clone()
    };
    assert_eq!((by("api_key.revoke"), by("api_key.read")), (json!(1), json!(2)));
}
