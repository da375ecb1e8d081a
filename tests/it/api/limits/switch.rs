//! `limits.enabled = false`.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{forged, knock, login, wechat};

#[tokio::test]
async fn one_setting_switches_every_limit_off() {
    let (_stub, start) = wechat().await;
    let tight = [
        "sends_per_sec",
        "send_burst",
        "history_per_sec",
        "history_burst",
        "presence_per_sec",
        "presence_burst",
        "writes_per_sec",
        "write_burst",
        "avatars_per_min",
        "logins_per_min",
        "handshakes_per_min",
        "failures_per_min",
        "frames_per_sec",
    ];
    let start = tight.iter().fold(start, |start, key| start.set(&format!("limits.{key}"), 1));
    let server = start.set("limits.enabled", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for round in 0..5 {
        zhang.send(li.id, &format!("{round}"), "你好").await;
        zhang.get_json("/v1/conversations").await;
        zhang.get_json("/getOnlineUser").await;
        server.person("张三").await;
        assert_eq!(knock(&server, zhang.id, &zhang.token, &[]).await, 101);
        assert_eq!(knock(&server, zhang.id, &forged(), &[]).await, 401);
        assert_eq!(login(&server, "bad").send().await.unwrap().status(), 401);
    }
    assert_eq!(login(&server, "good").send().await.unwrap().status(), 200);
    let chat = |round: usize| {
        let chat =
            json!({"clientMsgId": format!("flood-{round}"), "targetUserId": li.id, "content": "x"});
        zhang.request(Method::POST, "/v1/chats").body(chat.to_string()).send()
    };
    let answers = join_all((0..100).map(chat)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 201));
}
