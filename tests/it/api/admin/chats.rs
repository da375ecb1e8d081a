//! Sending in anybody's name, and naming people by a back end's own ids.

use serde_json::{Value, json};

use super::{done, person, set};
use crate::harness::{Start, server::assert_problem};

fn chat(from: &str, to: &str, key: &str) -> Value {
    json!({"from": from, "to": to, "clientMsgId": key, "content": "您的订单已发货"})
}

#[tokio::test]
async fn a_back_end_sends_for_anybody_through_the_one_door() {
    let (server, back_end) = set();
    let (zhang, li) = (
        person(&server, &back_end, "u1", "张三").await,
        person(&server, &back_end, "u2", "李四").await,
    );
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let sent = done(201, back_end.post("/chats", &chat("u1", "u2", "k")).await).await;
    let heard = at_li.until("event").await;
    assert_eq!(heard["chat"], sent["chat"]);
    assert_eq!((&sent["chat"]["userId"], &sent["seq"]), (&json!(zhang.id), &json!(1)));
    // The sender's own devices have it as well.
    assert_eq!(at_zhang.until("event").await["chat"], sent["chat"]);
    let again = done(200, back_end.post("/chats", &chat("u1", "u2", "k")).await).await;
    assert_eq!(again, sent);
    let other = back_end.post("/chats", &chat("u1", "u1", "k")).await;
    assert_problem(other, 409, "client_msg_id_reused").await;
    // One's own key is the same key.
    let own = json!({"clientMsgId": "k", "targetUserId": li.id, "content": "您的订单已发货"});
    assert_eq!(done(200, zhang.post("/v1/chats", &own).await).await, sent);

    let by_ids = json!({"from": zhang.id, "to": format!("id:{}", li.id), "clientMsgId": "ids", "content": "x"});
    done(201, back_end.post("/chats", &by_ids).await).await;
    let card = json!({"from": "u1", "to": "u2", "clientMsgId": "card", "kind": "card", "body": {"title": "订单"}});
    let card = done(201, back_end.post("/chats", &card).await).await;
    assert_eq!((&card["chat"]["kind"], &card["chat"]["content"]), (&json!("card"), &json!("订单")));
    let reply = json!({"from": "u2", "conversationId": sent["chat"]["conversationId"], "clientMsgId": "r", "content": "收到", "replyTo": sent["chat"]["id"]});
    let reply = done(201, back_end.post("/chats", &reply).await).await;
    assert_eq!(reply["chat"]["replyTo"]["id"], sent["chat"]["id"]);

    let log = back_end.audited().await;
    assert!(log.contains(&format!("chat.send chat:{} ok", sent["chat"]["id"])), "{log:?}");
    assert!(log.iter().any(|line| line.ends_with("client_msg_id_reused")), "{log:?}");
    assert!(!log.join("\n").contains("订单"), "never what was written");
}

#[tokio::test]
async fn the_service_itself_writes_to_people_and_into_groups() {
    let (server, back_end) = set();
    let (zhang, li) = (
        person(&server, &back_end, "u1", "张三").await,
        person(&server, &back_end, "u2", "李四").await,
    );
    let mut at_zhang = zhang.online().await;
    let sent = done(201, back_end.post("/chats", &chat("system", "u1", "k")).await).await;
    assert!(sent.get("seq").is_none(), "it has no timeline");
    assert_eq!(at_zhang.until("event").await["chat"], sent["chat"]);
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["peer"]["name"], "系统");
    assert_eq!(done(200, back_end.post("/chats", &chat("system", "u1", "k")).await).await, sent);

    let group = json!({"kind": "group", "externalId": "g", "members": ["u1", "u2"]});
    let group = done(201, back_end.post("/conversations", &group).await).await;
    let line = json!({"from": "system", "conversationExternalId": "g", "clientMsgId": "line", "kind": "system", "content": "客服已接入", "body": {"event": "agent_joined"}});
    let line = done(201, back_end.post("/chats", &line).await).await;
    assert_eq!(
        (&line["chat"]["kind"], &line["chat"]["content"]),
        (&json!("system"), &json!("客服已接入"))
    );
    assert_eq!(line["chat"]["body"], json!({"event": "agent_joined"}));
    let all = json!({"from": "system", "conversationId": group["id"], "clientMsgId": "all", "content": "通知", "mentions": "all"});
    done(201, back_end.post("/chats", &all).await).await;
    let seen = li.get_json("/v1/conversations").await["conversations"][0].clone();
    assert_eq!(
        (&seen["unread"], &seen["mentioned"]),
        (&json!(1), &json!(true)),
        "a line is not counted"
    );
    // A client makes no lines, and a stranger does not write there, whoever asks.
    let forged = json!({"clientMsgId": "f", "conversationId": group["id"], "kind": "system", "content": "x"});
    assert_problem(zhang.post("/v1/chats", &forged).await, 403, "forbidden").await;
    person(&server, &back_end, "u3", "王五").await;
    let stranger =
        json!({"from": "u3", "conversationExternalId": "g", "clientMsgId": "s", "content": "x"});
    assert_problem(back_end.post("/chats", &stranger).await, 404, "conversation_not_found").await;
}

#[tokio::test]
async fn what_a_back_end_sends_counts_against_nobodys_rate() {
    let server = Start::default()
        .set("limits.sends_per_sec", 1)
        .set("limits.send_burst", 1)
        .set("limits.new_conversations_per_day", 1)
        .run();
    let back_end = server.back_end("all");
    let users: Vec<_> =
        (0..5).map(|n| json!({"externalId": format!("u{n}"), "name": "x"})).collect();
    done(200, back_end.post("/users", &json!(users)).await).await;
    for from in ["system", "u0"] {
        for n in 1..5 {
            let sent =
                back_end.post("/chats", &chat(from, &format!("u{n}"), &format!("k{n}"))).await;
            assert_eq!(sent.status(), 201, "{from} to u{n}");
        }
    }
    let zhang = person(&server, &back_end, "u0", "张三").await;
    let own = |key: &str| json!({"clientMsgId": key, "targetExternalId": "u1", "content": "x"});
    assert_eq!(zhang.post("/v1/chats", &own("a")).await.status(), 201);
    assert_problem(zhang.post("/v1/chats", &own("b")).await, 429, "rate_limited").await;
}

#[tokio::test]
async fn clients_name_people_by_external_ids() {
    let (server, back_end) = set();
    let (zhang, li) = (
        person(&server, &back_end, "u1", "张三").await,
        person(&server, &back_end, "李/四", "李四").await,
    );
    let to = |key: &str, id: &str| json!({"clientMsgId": key, "targetExternalId": id, "content": "你好"});
    let sent = done(201, zhang.post("/v1/chats", &to("a", "李/四")).await).await;
    assert_eq!(sent["chat"]["targetUserId"], li.id);
    let same = json!({"clientMsgId": "a", "targetUserId": li.id, "content": "你好"});
    assert_eq!(done(200, zhang.post("/v1/chats", &same).await).await, sent, "the same request");
    assert_problem(zhang.post("/v1/chats", &to("b", "nobody")).await, 404, "user_not_found").await;
    for (key, value) in
        [("targetUserId", json!(li.id)), ("conversationId", sent["chat"]["conversationId"].clone())]
    {
        let mut both = to("c", "李/四");
        both[key] = value;
        assert_problem(zhang.post("/v1/chats", &both).await, 400, "invalid_request").await;
    }
    assert_problem(zhang.post("/v1/chats", &to("d", "id:7")).await, 400, "invalid_request").await;
    let mut all = to("e", "李/四");
    all["mentions"] = json!("all");
    assert_problem(zhang.post("/v1/chats", &all).await, 400, "invalid_request").await;

    // Frames, in their order.
    let mut at_zhang = zhang.online().await;
    for key in ["f1", "f2", "f3"] {
        let by_id = json!({"clientMsgId": key, "targetUserId": li.id, "content": "你好"});
        let mut frame = if key == "f2" { by_id } else { to(key, "李/四") };
        frame["type"] = "send".into();
        at_zhang.send(&frame).await;
    }
    for key in ["f1", "f2", "f3"] {
        assert_eq!(at_zhang.expect("sent").await["clientMsgId"], key);
    }
    let mut nobody = to("g", "nobody");
    nobody["type"] = "send".into();
    at_zhang.send(&nobody).await;
    let refused = at_zhang.expect("error").await;
    assert_eq!(
        (&refused["code"], &refused["clientMsgId"]),
        (&json!("user_not_found"), &json!("g"))
    );

    let by = |id: &str| format!("/v1/conversations?peerExternalId={id}");
    let found = zhang.get_json(&by("%E6%9D%8E%2F%E5%9B%9B")).await;
    assert_eq!(found["conversations"][0]["peer"]["id"], li.id);
    assert!(found.get("pinned").is_none());
    assert_eq!(zhang.get_json(&by("nobody")).await["conversations"], json!([]));
    let both = format!("{}&peerId={}", by("u1"), li.id);
    assert_problem(zhang.get(&both).await, 400, "invalid_request").await;
    assert_problem(zhang.get(&by("")).await, 400, "invalid_request").await;
}
