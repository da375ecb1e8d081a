//! A company's own people: made, brought up to date, logged in and out.

use std::time::Instant;

use serde_json::{Value, json};

use super::{done, person, set};
use crate::harness::{Figures, Person, server::assert_problem};

#[tokio::test]
async fn a_user_is_made_brought_up_to_date_and_logged_in() {
    let (server, back_end) = set();
    let new = json!({
        "name": " 张三 ",
        "avatarUrl": "https://example.com/1.png",
        "profile": {"public": {"level": 3}, "private": {"phone": "13800138000"}, "server": {"vip": true}},
    });
    let made = done(201, back_end.put("/users/crm%2Fkunde", &new).await).await;
    let id = made["id"].as_i64().unwrap();
    let seen = json!({
        "id": id, "name": "张三", "avatarUrl": "https://example.com/1.png",
        "profile": {"public": {"level": 3}}, "externalId": "crm/kunde",
    });
    assert_eq!(made, seen);
    let renamed =
        done(200, back_end.put("/users/crm%2Fkunde", &json!({"name": "李四"})).await).await;
    assert_eq!((&renamed["name"], &renamed["profile"]), (&json!("李四"), &seen["profile"]));
    let by_id = back_end.put(&format!("/users/id:{id}"), &json!({"name": "张三"})).await;
    assert_eq!(done(200, by_id).await, seen);

    let login =
        done(200, back_end.post("/sessions", &json!({"externalId": "crm/kunde"})).await).await;
    assert_eq!(login["user"], seen);
    assert!(crate::api::http::is_time(&login["expiresAt"]));
    let by_id = back_end.post("/sessions", &json!({"userId": id})).await;
    let me = Person::logged_in(by_id, server.addr, &server.http).await;
    assert_eq!(me.get_json("/v1/me").await, seen);
    // Others see neither the external id nor what is not for everybody.
    let other = person(&server, &back_end, "u2", "王五").await;
    other.send(id, "k", "你好").await;
    let face = other.get_json(&format!("/v1/users/{id}")).await;
    let peer = other.get_json("/v1/conversations").await["conversations"][0]["peer"].clone();
    let found = other.get_json("/v1/users?query=张三").await["users"][0].clone();
    for shown in [&face, &peer, &found] {
        assert_eq!(shown["profile"], json!({"public": {"level": 3}}), "{shown}");
        assert_eq!(shown["avatarUrl"], "https://example.com/1.png", "{shown}");
        assert!(shown.get("externalId").is_none(), "{shown}");
    }
    // To oneself it is shown wherever one is.
    me.send(id, "self", "note").await;
    let list = me.get_json("/v1/conversations").await;
    let to_me = &list["conversations"].as_array().unwrap().iter();
    let own = to_me.clone().find(|it| it["peer"]["id"] == id).unwrap();
    assert_eq!(own["peer"]["externalId"], "crm/kunde");
    assert_eq!(me.get_json(&format!("/v1/users/{id}")).await["externalId"], "crm/kunde");

    let gone = json!({"name": "张三", "avatarUrl": "", "profile": {}});
    let bare = done(200, back_end.put("/users/crm%2Fkunde", &gone).await).await;
    assert_eq!((&bare["avatarUrl"], bare.get("profile")), (&Value::Null, None));
    assert!(
        !server.log().contains("kunde") && !server.log().contains("13800138000"),
        "the log tells who"
    );
    let log = back_end.audited().await;
    let user = format!("user:{id} ok");
    assert_eq!(log[0], format!("user.put {user}"));
    assert_eq!(log.iter().filter(|line| **line == format!("session.create {user}")).count(), 2);
    assert!(!log.join("\n").contains("kunde"), "ids of the service alone: {log:?}");
}

#[tokio::test]
async fn all_sessions_end_and_their_sockets_close() {
    let (server, back_end) = set();
    let me = person(&server, &back_end, "u1", "张三").await;
    let other = person(&server, &back_end, "u2", "李四").await;
    let (mut at_me, mut at_other) = (me.online().await, other.online().await);
    for _ in 0..2 {
        let ended = back_end.delete("/users/u1/sessions", &Value::Null).await;
        assert_eq!(ended.status(), 204);
    }
    assert_eq!(at_me.closed().await, 4401);
    assert_problem(me.get("/v1/me").await, 401, "unauthorized").await;
    at_other.expect_quiet().await;
    let again = person(&server, &back_end, "u1", "张三").await;
    assert_eq!(again.id, me.id);
    let login = back_end.post("/sessions", &json!({"externalId": "system"})).await;
    assert_eq!(login.status(), 400, "nobody is the service");
}

#[tokio::test]
async fn a_thousand_users_come_in_one_call() {
    let (_server, back_end) = set();
    let users: Vec<_> = (0..1_000)
        .map(|n| {
            let profile = json!({"public": {"level": n % 10, "city": "上海"}});
            json!({"externalId": format!("customer-{n}"), "name": format!("顾客 {n}"), "profile": profile})
        })
        .collect();
    let body = json!(users);
    assert!(body.to_string().len() > 64 * 1024, "more than any other body may be");
    let figures = Figures::of("thousand_users_in_one_call");
    let mut first = Value::Null;
    for what in ["made", "brought up to date"] {
        let begun = Instant::now();
        let answer = back_end.post("/users", &body).await;
        let users = done(200, answer).await["users"].clone();
        figures.time(what, begun.elapsed());
        assert_eq!(users.as_array().unwrap().len(), 1_000);
        assert_eq!(users[999]["externalId"], "customer-999");
        assert!(first.is_null() || first == users, "the same people");
        first = users;
    }
    let log = back_end.audited().await;
    assert!(log[0].starts_with("user.put users:") && log[0].matches(',').count() == 999);
}
