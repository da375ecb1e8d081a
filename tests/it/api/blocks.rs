//! Blocks, restrictions, `chat.who_may_write` and reports, as users meet them.

use std::time::Duration;

use imserver::{
    clock::Clock,
    domain::{ClientMsgId, Restriction, RestrictionKind, UserId},
    store::{Standings as _, sqlite::SqliteStore},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    Person, Server, Start, eventually,
    server::{assert_problem, json_of},
};

async fn block(by: &Person, of: &Person, method: Method) {
    let answer = by.request(method, &format!("/v1/blocks/{}", of.id)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

fn chat(key: &str, target: &Person) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "content": "你好"})
}

/// Asserts that a chat is not allowed, and returns why.
async fn denied(from: &Person, chat: &Value) -> String {
    let answer = from.post("/v1/chats", chat).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let problem = json_of(answer).await;
    assert_eq!(problem["code"], "not_allowed");
    problem["reason"].as_str().unwrap().to_owned()
}

/// Restricts somebody behind the server's back, as another replica does.
async fn restrict(server: &Server, person: &Person, kind: Option<RestrictionKind>) {
    let store = SqliteStore::open(&server.database(), Clock::system()).await.unwrap();
    let restriction = kind.map(|kind| Restriction { kind, until: None });
    assert!(store.restrict(UserId::new(person.id).unwrap(), restriction, None).await.unwrap());
}

#[tokio::test]
async fn chats_of_a_blocked_person_are_refused_whichever_way_they_come() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let first = json_of(zhang.post("/v1/chats", &chat("first", &li)).await).await;
    let conversation = first["chat"]["conversationId"].as_i64().unwrap();
    let group = json!({"kind": "group", "key": "g", "userIds": [li.id]});
    let group = json_of(zhang.post("/v1/conversations", &group).await).await["id"].clone();
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for _ in 0..2 {
        block(&li, &zhang, Method::PUT).await;
    }
    assert_eq!(denied(&zhang, &chat("k", &li)).await, "blocked");
    let by_id = json!({"clientMsgId": "k", "conversationId": conversation, "content": "x"});
    assert_eq!(denied(&zhang, &by_id).await, "blocked");
    assert_problem(
        zhang
            .post("/push", &json!({"userId": zhang.id, "targetUserId": li.id, "content": "x"}))
            .await,
        403,
        "not_allowed",
    )
    .await;
    let mut frame = chat("frame", &li);
    frame["type"] = "send".into();
    at_zhang.send(&frame).await;
    let error = at_zhang.expect("error").await;
    assert_eq!((&error["code"], &error["reason"]), (&json!("not_allowed"), &json!("blocked")));
    assert_eq!(error["clientMsgId"], "frame");
    at_li.expect_quiet().await;
    // What was committed before is answered as before.
    assert_eq!(zhang.post("/v1/chats", &chat("first", &li)).await.status(), 200);
    let other = json!({"clientMsgId": "first", "targetUserId": li.id, "content": "other"});
    assert_problem(zhang.post("/v1/chats", &other).await, 409, "client_msg_id_reused").await;
    // Groups, and what the blocker writes, are as before.
    let in_group = json!({"clientMsgId": "g1", "conversationId": group, "content": "x"});
    assert_eq!(zhang.post("/v1/chats", &in_group).await.status(), 201);
    at_li.expect("event").await;
    li.send(zhang.id, "from the blocker", "x").await;

    let blocks = li.get_json("/v1/blocks").await;
    assert_eq!(
        (&blocks["blocks"][0]["user"]["id"], &blocks["hasMore"]),
        (&json!(zhang.id), &json!(false))
    );
    assert_eq!(zhang.get_json("/v1/blocks").await["blocks"], json!([]));
    for _ in 0..2 {
        block(&li, &zhang, Method::DELETE).await;
    }
    assert_eq!(zhang.post("/v1/chats", &chat("k", &li)).await.status(), 201, "its key was free");
    for (path, status, code) in [
        (format!("/v1/blocks/{}", li.id), 400, "invalid_request"),
        ("/v1/blocks/999999999".to_owned(), 404, "user_not_found"),
        ("/v1/blocks/x".to_owned(), 400, "invalid_request"),
    ] {
        let answer = li.request(Method::PUT, &path).send().await.unwrap();
        assert_problem(answer, status, code).await;
    }
}

#[tokio::test]
async fn a_block_hides_who_is_there_from_both() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "a", "x").await;
    let last = li.send(zhang.id, "b", "x").await["chat"].clone();
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for (socket, other) in [(&mut at_zhang, &li), (&mut at_li, &zhang)] {
        socket.send(&json!({"type": "watch", "userIds": [other.id]})).await;
        assert_eq!(socket.expect("presence").await["online"], true);
    }
    block(&li, &zhang, Method::PUT).await;

    for (me, other) in [(&zhang, &li), (&li, &zhang)] {
        let presence = me.get_json(&format!("/v1/presence?userIds={}", other.id)).await;
        assert_eq!(presence["presence"], json!([]));
        let peer = me.get_json("/v1/conversations").await["conversations"][0]["peer"].clone();
        assert_eq!((&peer["online"], &peer["lastSeenAt"]), (&json!(false), &Value::Null));
        let online = me.get_json("/getOnlineUser").await;
        assert_eq!(online.as_object().unwrap().len(), 1, "{online}");
    }
    for (socket, other) in [(&mut at_zhang, &li), (&mut at_li, &zhang)] {
        socket.send(&json!({"type": "typing", "targetUserId": other.id})).await;
        socket.send(&json!({"type": "watch", "userIds": [other.id]})).await;
    }
    // The blocker's read mark is not told, the other's is.
    let read =
        json!({"type": "read", "conversationId": last["conversationId"], "upTo": last["id"]});
    at_li.send(&read).await;
    at_li.expect_quiet().await;
    at_zhang.expect_quiet().await;
    let shown = zhang.get_json("/v1/conversations").await["conversations"][0].clone();
    assert_eq!(shown["peerReadUpTo"], 0);
    at_zhang.send(&read).await;
    assert_eq!(at_li.expect("read").await["userId"], zhang.id);
    // Nobody is told that the other goes.
    drop(at_zhang);
    eventually("the other is offline", async || {
        let again = zhang.get_json(&format!("/v1/presence?userIds={}", zhang.id)).await;
        again["presence"][0]["online"] == false
    })
    .await;
    at_li.expect_quiet().await;
}

#[tokio::test]
async fn whoever_watched_before_a_block_is_told_nothing_after_it() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "a", "x").await;
    let mut at_zhang = zhang.online().await;
    at_zhang.send(&json!({"type": "watch", "userIds": [li.id]})).await;
    assert_eq!(at_zhang.expect("presence").await["online"], false);
    block(&li, &zhang, Method::PUT).await;
    let _at_li = li.online().await;
    eventually("the other is online", async || {
        let own = li.get_json(&format!("/v1/presence?userIds={}", li.id)).await;
        own["presence"][0]["online"] == true
    })
    .await;
    at_zhang.expect_quiet().await;
}

#[tokio::test]
async fn whoever_is_muted_may_read_and_whoever_is_banned_may_nothing() {
    let server = Start::default().set("limits.enabled", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "first", "x").await;
    // Noticed though nobody told this process.
    restrict(&server, &zhang, Some(RestrictionKind::Muted)).await;
    let status = async |key: &str| zhang.post("/v1/chats", &chat(key, &li)).await.status();
    let begun = std::time::Instant::now();
    let mut sent = 0;
    while status(&format!("muted {sent}")).await == 201 {
        sent += 1;
        assert!(begun.elapsed() < Duration::from_secs(10), "never noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(denied(&zhang, &chat("muted", &li)).await, "muted");
    assert_eq!(zhang.get("/v1/me").await.status(), 200);
    li.send(zhang.id, "to the muted", "x").await;
    restrict(&server, &zhang, None).await;
    eventually("the restriction ends", async || status("free").await.is_success()).await;

    restrict(&server, &zhang, Some(RestrictionKind::Banned)).await;
    let login = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    assert_eq!(login.status(), 403);
    let problem = json_of(login).await;
    assert_eq!((&problem["code"], &problem["reason"]), (&json!("not_allowed"), &json!("banned")));
    eventually("the ban holds", async || status(ClientMsgId::random().as_str()).await == 403).await;
    assert_eq!(denied(&zhang, &chat("banned", &li)).await, "banned");
}

#[tokio::test]
async fn a_policy_says_who_may_write() {
    let server = Start::default().set("chat.who_may_write", "acquainted").run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    assert_eq!(denied(&zhang, &chat("k", &li)).await, "policy");
    let nobody = json!({"clientMsgId": "n", "targetUserId": 999_999_999, "content": "x"});
    assert_problem(zhang.post("/v1/chats", &nobody).await, 404, "user_not_found").await;
    zhang.send(zhang.id, "to oneself", "x").await;
    let group = json!({"kind": "group", "key": "g", "userIds": [li.id]});
    let group = json_of(zhang.post("/v1/conversations", &group).await).await["id"].clone();
    let in_group = json!({"clientMsgId": "g1", "conversationId": group, "content": "x"});
    assert_eq!(zhang.post("/v1/chats", &in_group).await.status(), 201);

    let server = Start::default().set("chat.who_may_write", "conversations").run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for target in [&zhang, &li] {
        assert_eq!(denied(&zhang, &chat("k", target)).await, "policy");
    }
    let group = json!({"kind": "group", "key": "g", "userIds": [li.id]});
    assert_problem(zhang.post("/v1/conversations", &group).await, 403, "not_allowed").await;
    for conversation in [1, 999] {
        let chat = json!({"clientMsgId": "c", "conversationId": conversation, "content": "x"});
        assert_problem(zhang.post("/v1/chats", &chat).await, 404, "conversation_not_found").await;
    }
    // Where the back end has begun, both may go on.
    let begins = json!({"from": format!("id:{}", zhang.id), "to": format!("id:{}", li.id),
        "clientMsgId": "b", "content": "您好"});
    assert_eq!(server.back_end("chats").post("/chats", &begins).await.status(), 201);
    for (from, to) in [(&li, &zhang), (&zhang, &li)] {
        assert_eq!(from.post("/v1/chats", &chat("go on", to)).await.status(), 201);
    }
}

#[tokio::test]
async fn a_report_is_about_a_chat_or_about_a_person() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let chat = zhang.send(li.id, "k", "买吗").await["chat"]["id"].clone();
    let report = async |person: &Person, body: Value| person.post("/v1/reports", &body).await;
    for body in [
        json!({"chatId": chat, "reason": "spam"}),
        json!({"reportedUserId": zhang.id, "reason": "other", "detail": "看"}),
    ] {
        let made = report(&li, body).await;
        assert_eq!(made.status(), 201);
        assert!(json_of(made).await["id"].is_i64());
    }
    for (body, status, code) in [
        (json!({"reason": "spam"}), 400, "invalid_request"),
        (
            json!({"chatId": chat, "reportedUserId": zhang.id, "reason": "spam"}),
            400,
            "invalid_request",
        ),
        (json!({"chatId": chat, "reason": "dull"}), 400, "invalid_request"),
        (json!({"chatId": chat}), 400, "invalid_request"),
        (json!({"chatId": chat, "reason": "spam", "detail": ""}), 400, "invalid_request"),
        (
            json!({"chatId": chat, "reason": "spam", "detail": "x".repeat(501)}),
            400,
            "invalid_request",
        ),
        (json!({"chatId": 999, "reason": "spam"}), 404, "chat_not_found"),
        (json!({"reportedUserId": 999, "reason": "spam"}), 404, "user_not_found"),
        (json!({"reportedUserId": li.id, "reason": "spam"}), 400, "invalid_request"),
    ] {
        assert_problem(report(&li, body).await, status, code).await;
    }
    assert_problem(
        report(&zhang, json!({"chatId": chat, "reason": "spam"})).await,
        400,
        "invalid_request",
    )
    .await;
    assert!(!server.log().contains("买吗"), "the log shows a chat");
}
