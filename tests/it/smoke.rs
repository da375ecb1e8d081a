//! The shortest way from one person to another.

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn a_chat_goes_from_one_person_to_another() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let send =
        json!({"type": "send", "clientMsgId": "k1", "targetUserId": li.id, "content": "你好"});
    at_zhang.send(&send).await;
    let sent = at_zhang.expect("sent").await;
    let event = at_li.expect("event").await;
    assert_eq!((&sent["seq"], &event["seq"]), (&json!(1), &json!(1)));
    assert_eq!(sent["chat"], event["chat"]);
    assert_eq!(event["chat"]["content"], "你好");
    assert_eq!(event["chat"]["userName"], "张三");
}
