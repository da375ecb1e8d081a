//! Sending over HTTP.

use serde_json::{Value, json};

use super::{is_time, keys};
use crate::harness::{
    Person, Server, Start, eventually,
    server::{assert_problem, json_of},
};

async fn send(person: &Person, key: &str, target: i64, content: &str) -> (u16, Value) {
    let body = json!({"clientMsgId": key, "targetUserId": target, "content": content});
    let response = person.post("/v1/chats", &body).await;
    (response.status().as_u16(), json_of(response).await)
}

#[tokio::test]
async fn a_chat_is_created_once_and_a_repeat_gets_the_same_answer() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (status, first) = send(&zhang, "k1", li.id, "你好").await;
    assert_eq!(status, 201);
    assert_eq!(keys(&first), ["chat", "seq"]);
    assert_eq!(first["seq"], 1);
    let chat = &first["chat"];
    assert!(is_time(&chat["createTime"]));
    assert!(chat["id"].as_i64() >= Some(1) && chat["conversationId"].as_i64() >= Some(1));
    let expected = json!({
        "id": chat["id"], "conversationId": chat["conversationId"], "createTime": chat["createTime"],
        "userId": zhang.id, "targetUserId": li.id, "userName": "张三", "targetUserName": "李四",
        "content": "你好", "clientMsgId": "k1", "kind": "text", "version": 1,
    });
    assert_eq!(*chat, expected);

    let (_, second) = send(&zhang, "k2", li.id, "再见").await;
    assert_eq!(second["seq"], 2);
    assert!(second["chat"]["id"].as_i64() > chat["id"].as_i64());
    for _ in 0..3 {
        assert_eq!(send(&zhang, "k1", li.id, "你好").await, (200, first.clone()));
    }
    let path = format!("/v1/conversations/{}/chats", chat["conversationId"]);
    let stored = li.get_json(&path).await;
    assert_eq!(stored["chats"], json!([chat, second["chat"]]));
}

#[tokio::test]
async fn the_log_leads_from_a_request_to_its_user_and_its_chat() {
    let server = Start::default().set("log.filter", "info,imserver::http=debug").run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for (path, key) in [("/v1/chats", "k1"), ("/push", "k2")] {
        let body = json!({
            "userId": zhang.id, "clientMsgId": key, "targetUserId": li.id, "content": "marked-body",
        });
        let answer = zhang.post(path, &body).await;
        let request = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let chats = zhang.get_json(&format!("/getMessage?userId={}", zhang.id)).await;
        let chat = chats.as_array().unwrap().last().unwrap()["id"].to_string();
        eventually("the log says what the request sent", async || {
            let log = server.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.any(|line| {
                let span = &line["span"];
                line["message"] == "sent"
                    && line["chat"] == *chat
                    && (&span["id"], &span["user"]) == (&json!(request), &json!(zhang.id))
            })
        })
        .await;
    }
    assert!(!server.log().contains("marked-body"));
}

#[tokio::test]
async fn a_key_belongs_to_one_message_of_one_sender() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    send(&zhang, "k", li.id, "你好").await;
    for (target, content) in [(li.id, "再见"), (zhang.id, "你好"), (li.id, "你好 ")] {
        let body = json!({"clientMsgId": "k", "targetUserId": target, "content": content});
        assert_problem(zhang.post("/v1/chats", &body).await, 409, "client_msg_id_reused").await;
    }
    assert_eq!(send(&li, "k", zhang.id, "你好").await.0, 201, "another sender's key is another");
    let events = zhang.get_json("/v1/events?since=0").await;
    assert_eq!(events["lastSeq"], 2);
}

#[tokio::test]
async fn nobody_writes_to_nobody() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    for nobody in [1, 9_007_199_254_740_991_i64] {
        let body = json!({"clientMsgId": "k", "targetUserId": nobody, "content": "你好"});
        assert_problem(zhang.post("/v1/chats", &body).await, 404, "user_not_found").await;
    }
    assert_eq!(zhang.get_json("/v1/events?since=0").await["lastSeq"], 0);
    assert_eq!(zhang.get_json("/v1/conversations").await["conversations"], json!([]));
}

#[tokio::test]
async fn a_chat_to_oneself_is_one_event_and_read() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut at_zhang = zhang.online().await;
    let (status, sent) = send(&zhang, "k", zhang.id, "买牛奶").await;
    assert_eq!((status, &sent["seq"]), (201, &json!(1)));
    let event = at_zhang.expect("event").await;
    assert_eq!((&event["seq"], &event["chat"]), (&json!(1), &sent["chat"]));
    at_zhang.expect_quiet().await;
    assert_eq!(zhang.get_json("/v1/events?since=0").await["events"], json!([event]));
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["peer"]["id"], zhang.id);
    assert_eq!(list["conversations"][0]["unread"], 0);
    let found = zhang.get_json(&format!("/v1/conversations?peerId={}", zhang.id)).await;
    assert_eq!(found["conversations"], list["conversations"]);
}

#[tokio::test]
async fn what_a_chat_says_of_names_and_other_things_is_ignored() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let body = json!({
        "clientMsgId": "k", "targetUserId": li.id, "content": "你好", "userId": zhang.id,
        "userName": "皇帝", "targetUserName": 7, "id": "x", "createTime": null, "version": 9,
    });
    let chat = &json_of(zhang.post("/v1/chats", &body).await).await["chat"];
    assert_eq!((&chat["userName"], &chat["targetUserName"]), (&json!("张三"), &json!("李四")));
    assert_eq!(chat["kind"], "text");
    assert_eq!(zhang.get_json("/v1/me").await["name"], "张三");
}
