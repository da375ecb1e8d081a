//! A chat that the door refuses leaves nothing, whichever way it comes.

use serde_json::json;

use super::{Does, Planned, send};
use crate::harness::{Socket, server::assert_problem};

#[tokio::test]
async fn a_refused_chat_leaves_no_trace_and_its_key_is_free() {
    let (here, rule) = Planned::start();
    let (zhang, li) = (here.person("张三").await, here.person("李四").await);
    let (mut sending, mut receiving) = (zhang.online().await, li.online().await);
    let bearer = format!("Bearer {}", zhang.token);
    let path = format!("/imserver/{}", zhang.id);
    let headers = [("authorization", bearer.as_str())];
    let mut legacy = Socket::open(here.addr, &path, &headers).await.ok().unwrap();
    let chat = |key: &str, content: &str| json!({"userId": zhang.id, "clientMsgId": key, "targetUserId": li.id, "content": content});

    rule.plan("no", Some(Does::Refuses));
    for path in ["/v1/chats", "/push"] {
        assert_problem(zhang.post(path, &chat(path, "no")).await, 403, "forbidden").await;
    }
    assert_problem(here.post("/push", &chat("anonymous", "no")).await, 403, "forbidden").await;
    legacy.send(&chat("legacy", "no")).await;
    assert_eq!(legacy.frame().await["code"], "forbidden");
    sending.send(&send("v1", &li, "no")).await;
    let error = sending.expect("error").await;
    assert_eq!((&error["code"], &error["clientMsgId"]), (&json!("forbidden"), &json!("v1")));
    assert_eq!(rule.asked(5).await, ["no"; 5]);

    receiving.expect_quiet().await;
    sending.expect_quiet().await;
    for person in [&zhang, &li] {
        assert_eq!(person.get_json("/v1/conversations").await["conversations"], json!([]));
        assert_eq!(person.get_json("/v1/events").await["lastSeq"], 0);
    }

    // Each key is free for other words: one that was used would be refused.
    for path in ["/v1/chats", "/push"] {
        assert!(zhang.post(path, &chat(path, "yes")).await.status().is_success());
    }
    assert!(here.post("/push", &chat("anonymous", "yes")).await.status().is_success());
    for _ in 0..3 {
        sending.expect("event").await;
    }
    legacy.send(&chat("legacy", "yes")).await;
    sending.expect("event").await;
    sending.send(&send("v1", &li, "yes")).await;
    assert_eq!(sending.expect("sent").await["seq"], 5);
    // And for the chat itself, once it may pass.
    rule.plan("no", None);
    sending.send(&send("another", &li, "no")).await;
    assert_eq!(sending.expect("sent").await["seq"], 6);
}
