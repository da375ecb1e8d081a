//! Keeping order by the server API: what is held back, restrictions, and reports.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{person, set};
use crate::harness::{
    BackEnd, Start, eventually,
    server::{assert_problem, json_of},
};

/// A request that is to succeed without an answer.
async fn done(back_end: &BackEnd, method: Method, path: &str, body: &Value) {
    let answer = back_end.send(method, path, body).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
}

#[tokio::test]
async fn a_chat_that_is_held_back_is_released_or_refused() {
    // Nobody is there to be asked, so all is held back.
    let start = Start::default().set("hooks.before_send.url", "http://127.0.0.1:9/");
    let start = start.set("hooks.before_send.secret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let server = start.set("hooks.before_send.on_failure", "hold").run();
    let back_end = server.back_end("all");
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let (mut at_one, mut at_other) = (one.online().await, other.online().await);
    for key in ["a", "b"] {
        let chat = json!({"clientMsgId": key, "targetUserId": other.id, "content": "在吗"});
        assert_eq!(one.post("/v1/chats", &chat).await.status(), 202);
    }
    // What the back end itself sends is asked about as well.
    let as_one = json!({"from": "u1", "to": "u2", "clientMsgId": "c", "content": "x"});
    assert_eq!(back_end.post("/chats", &as_one).await.status(), 202);
    at_other.expect_quiet().await;

    let page = back_end.get_json("/held?limit=2").await;
    assert_eq!(page["hasMore"], true);
    let first = &page["held"][0];
    let wanted = json!({
        "id": first["id"], "createTime": first["createTime"], "userId": one.id, "externalId": "u1",
        "userName": "甲", "targetUserId": other.id, "targetExternalId": "u2",
        "targetUserName": "乙", "clientMsgId": "a", "kind": "text", "content": "在吗",
    });
    assert_eq!(*first, wanted);
    let after = format!("/held?after={}", page["held"][1]["id"]);
    assert_eq!(back_end.get_json(&after).await["held"][0]["clientMsgId"], "c");

    let at = |place: usize| format!("/held/{}", page["held"][place]["id"]);
    done(&back_end, Method::POST, &at(0), &json!({"action": "release"})).await;
    for socket in [&mut at_one, &mut at_other] {
        let event = socket.expect("event").await;
        assert_eq!((&event["event"], &event["chat"]["clientMsgId"]), (&json!("chat"), &json!("a")));
    }
    done(&back_end, Method::POST, &at(1), &json!({"action": "refuse", "detail": "不行"})).await;
    let refused = at_one.expect("event").await;
    let wanted = json!({"type": "event", "seq": refused["seq"], "event": "refused",
        "clientMsgId": "b", "code": "content_rejected", "detail": "不行"});
    assert_eq!(refused, wanted);
    at_other.expect_quiet().await;
    for place in [0, 1] {
        for action in ["release", "refuse"] {
            let again = back_end.post(&at(place), &json!({"action": action})).await;
            assert_problem(again, 404, "not_found").await;
        }
    }
    // One whose receiver has blocked the sender meanwhile.
    let block = other.request(Method::PUT, &format!("/v1/blocks/{}", one.id)).send().await.unwrap();
    assert_eq!(block.status(), 204);
    let last = back_end.get_json("/held").await["held"][0]["id"].clone();
    let blocked = back_end.post(&format!("/held/{last}"), &json!({"action": "release"})).await;
    assert_problem(blocked, 403, "not_allowed").await;
    assert_eq!(at_one.expect("event").await["code"], "not_allowed");
    assert_eq!(back_end.get_json("/held").await["held"], json!([]));
    let log = back_end.audited().await;
    assert!(log.contains(&format!("held.release held:{} ok", first["id"])), "{log:?}");
    assert!(log.contains(&format!("held.release held:{last} not_allowed")), "{log:?}");
}

#[tokio::test]
async fn a_ban_holds_until_its_end() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let chat = |key: &str| json!({"clientMsgId": key, "targetUserId": other.id, "content": "x"});
    let path = "/users/u1/restriction";
    let reason = async |kind: &str, until: Value| {
        let body = json!({"kind": kind, "until": until, "reason": "spam"});
        done(&back_end, Method::PUT, path, &body).await;
        json_of(one.post("/v1/chats", &chat("k")).await).await["reason"].clone()
    };
    assert_eq!(reason("muted", json!("2999-01-01T00:00:00Z")).await, "muted");
    assert_eq!(one.get("/v1/me").await.status(), 200);
    done(&back_end, Method::DELETE, path, &Value::Null).await;
    assert_eq!(one.post("/v1/chats", &chat("k")).await.status(), 201);
    assert_eq!(
        reason("muted", json!("2020-01-01T08:00:00+08:00")).await,
        Value::Null,
        "it is over"
    );

    let mut socket = one.online().await;
    assert_eq!(reason("banned", Value::Null).await, Value::Null, "no session, no send");
    assert_eq!(one.get("/v1/me").await.status(), 401);
    assert_eq!(socket.closed().await, 4401);
    let login = back_end.post("/sessions", &json!({"externalId": "u1"})).await;
    assert_problem(login, 403, "not_allowed").await;
    for _ in 0..2 {
        done(&back_end, Method::DELETE, path, &Value::Null).await;
    }
    assert_eq!(back_end.post("/sessions", &json!({"externalId": "u1"})).await.status(), 200);
    let nobody = back_end.put("/users/nobody/restriction", &json!({"kind": "muted"})).await;
    assert_problem(nobody, 404, "user_not_found").await;
}

#[tokio::test]
async fn a_report_is_decided() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let chat = one.send(other.id, "k", "买吗").await["chat"]["id"].clone();
    for body in [
        json!({"chatId": chat, "reason": "spam", "detail": "看"}),
        json!({"reportedUserId": one.id, "reason": "fraud"}),
    ] {
        assert_eq!(other.post("/v1/reports", &body).await.status(), 201);
    }
    let open = back_end.get_json("/reports").await["reports"].clone();
    let first = &open[0];
    let wanted = json!({
        "id": first["id"], "createTime": first["createTime"], "userId": other.id,
        "externalId": "u2", "userName": "乙", "reportedUserId": one.id, "reportedExternalId": "u1",
        "reportedUserName": "甲", "chatId": chat, "chat": first["chat"], "reason": "spam",
        "detail": "看",
    });
    assert_eq!(*first, wanted);
    assert_eq!(first["chat"]["content"], "买吗");
    let at = |place: usize| format!("/reports/{}", open[place]["id"]);
    let recall = json!({"action": "recall"});
    assert_problem(back_end.post(&at(1), &recall).await, 404, "chat_not_found").await;
    done(&back_end, Method::POST, &at(0), &recall).await;
    let page = other.get_json("/v1/conversations").await;
    assert_eq!(page["conversations"][0]["lastChat"]["state"], "recalled");
    done(&back_end, Method::POST, &at(1), &json!({"action": "mute"})).await;
    let again = json!({"clientMsgId": "l", "targetUserId": other.id, "content": "x"});
    assert_problem(one.post("/v1/chats", &again).await, 403, "not_allowed").await;
    assert_eq!(back_end.get_json("/reports").await["reports"], json!([]));
    let missing = back_end.post("/reports/999", &json!({"action": "resolve"})).await;
    assert_problem(missing, 404, "not_found").await;
}

#[tokio::test]
async fn a_report_weakens_no_ban_and_silences_nobody_but_people() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let line = json!({"from": "system", "to": "u2", "clientMsgId": "s", "content": "通知"});
    let service = json_of(back_end.post("/chats", &line).await).await["chat"]["userId"].clone();
    for id in [&json!(one.id), &service] {
        let report = json!({"reportedUserId": id, "reason": "abuse"});
        assert_eq!(other.post("/v1/reports", &report).await.status(), 201);
    }
    let open = back_end.get_json("/reports").await["reports"].clone();
    let at = |place: usize| format!("/reports/{}", open[place]["id"]);
    let ban = json!({"kind": "banned"});
    done(&back_end, Method::PUT, "/users/u1/restriction", &ban).await;
    done(&back_end, Method::POST, &at(0), &json!({"action": "mute"})).await;
    let login = back_end.post("/sessions", &json!({"externalId": "u1"})).await;
    assert_problem(login, 403, "not_allowed").await;

    let mute = back_end.post(&at(1), &json!({"action": "mute"})).await;
    assert_problem(mute, 404, "user_not_found").await;
    let block = other.request(Method::PUT, &format!("/v1/blocks/{service}")).send().await.unwrap();
    assert_problem(block, 404, "user_not_found").await;
    let next = json!({"from": "system", "to": "u2", "clientMsgId": "t", "content": "通知"});
    assert_eq!(back_end.post("/chats", &next).await.status(), 201);
    done(&back_end, Method::POST, &at(1), &json!({"action": "resolve"})).await;
}

#[tokio::test]
async fn a_ban_is_whole_though_whoever_asked_for_it_is_gone() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    // Nothing is written until this ends.
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    let body = r#"{"kind":"banned"}"#;
    let request = format!(
        "PUT /v1/admin/users/u1/restriction HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        server.addr,
        back_end.key,
        body.len()
    );
    let mut asking = TcpStream::connect(server.addr).await.unwrap();
    asking.write_all(request.as_bytes()).await.unwrap();
    drop(asking);
    // Once this has been answered, the service has read what came before.
    assert_eq!(one.get("/v1/me").await.status(), 200);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    eventually("the session has ended", async || one.get("/v1/me").await.status() == 401).await;
    let ended = "restriction.put user:".to_owned() + &one.id.to_string() + " ok";
    eventually("it is in the log", async || back_end.audited().await.contains(&ended)).await;
}
