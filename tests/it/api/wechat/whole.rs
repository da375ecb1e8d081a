//! The service and WeChat as processes: what WeChat answers decides, and nobody is told twice, whoever dies.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{
    APPID, SECRET, Stub, error,
    media::{from_wechat, tamper},
    push::{TOKEN, told},
    text, verdict,
};
use crate::harness::{Person, Redis, Server, Start, eventually, postgres, server::json_of};

const TEMPLATE: &str = "tEmPlAtE-1_x";

/// In every chat of these tests.
const WORDS: &str = "marked-words";

/// Longer than the service waits for any answer.
const TOO_LONG: Duration = Duration::from_mins(2);

/// A service that asks this WeChat, and takes its pushes.
pub fn with_wechat(stub: &Stub) -> Start {
    Start::default()
        .set("limits.enabled", false)
        .set("wechat.base_url", stub.server.uri())
        .set("wechat.appid", APPID)
        .set("wechat.secret", SECRET)
        .set("wechat.push_token", TOKEN)
}

fn chat(key: &str, target: &Person) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "content": format!("{WORDS} {key}")})
}

/// How many calls of this path had a good token.
fn calls(stub: &Stub, path: &str) -> usize {
    stub.calls().iter().filter(|(called, _)| called == path).count()
}

fn assert_nothing_hidden_is_logged(server: &Server) {
    let log = server.log();
    for hidden in ["o-zhang", "o-li", SECRET, "the-token", TOKEN, WORDS] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(line.is_none(), "{hidden} is in the log: {}", line.unwrap_or_default());
    }
}

#[tokio::test]
async fn texts_go_by_what_wechat_answers_and_by_the_settings() {
    let stub = Stub::start(|path, body| {
        assert_eq!(path, "/wxa/msg_sec_check");
        let content = body["content"].as_str().unwrap();
        match content.rsplit(' ').next().unwrap() {
            "500" => ResponseTemplate::new(500),
            "garbage" => text("<html>busy</html>"),
            "silent" => verdict("pass", &json!([])).set_delay(TOO_LONG),
            word @ ("review" | "risky") => verdict(word, &json!([])),
            word => word.parse().map_or_else(|_| verdict("pass", &json!([])), error),
        }
    })
    .await;
    for (setting, review, unable, failed) in
        [("allow", 201, 201, 201), ("hold", 202, 202, 202), ("deny", 202, 422, 503)]
    {
        let server = with_wechat(&stub)
            .set("moderation.wechat_text", true)
            .set("moderation.on_review", if setting == "deny" { "hold" } else { setting })
            .set("moderation.on_unchecked", setting)
            .set("moderation.on_failure", setting)
            .set("log.filter", "debug")
            .run();
        let (zhang, li) = (from_wechat(&server, "o-zhang").await, server.person("李四").await);
        for (word, expected) in [
            ("pass", 201),
            ("risky", 422),
            ("review", review),
            ("61010", unable),
            ("500", failed),
            ("garbage", failed),
            ("silent", failed),
            ("44991", failed),
            ("45009", failed),
        ] {
            let sent = zhang.post("/v1/chats", &chat(word, &li)).await;
            assert_eq!(sent.status(), expected, "{setting} {word}");
        }
        assert_nothing_hidden_is_logged(&server);
    }
}

#[tokio::test]
async fn a_chat_is_asked_about_again_if_its_replica_dies_meanwhile() {
    let stub = Stub::start(|_, _| verdict("pass", &json!([])).set_delay(TOO_LONG)).await;
    let database = postgres::database().await;
    let checking = || {
        with_wechat(&stub)
            .set("moderation.wechat_text", true)
            .set("moderation.on_failure", "deny")
            .set("auth.demo_login", true)
            .set("database.url", &database)
            .set("bus.url", Redis::shared().url())
            .set("bus.namespace", database.rsplit('/').next().unwrap())
    };
    let (mut first, second) = (checking().run(), checking().run());
    let (zhang, li) = (from_wechat(&first, "o-zhang").await, second.person("李四").await);
    let at_second = from_wechat(&second, "o-zhang").await;
    let path = "/wxa/msg_sec_check";
    let before = calls(&stub, path);
    let body = chat("key", &li);
    let dying = tokio::spawn(async move {
        zhang.request(Method::POST, "/v1/chats").body(body.to_string()).send().await
    });
    eventually("WeChat is asked", async || calls(&stub, path) > before).await;
    first.kill();
    assert!(dying.await.unwrap().is_err());
    stub.answer(|_, _| verdict("pass", &json!([])));
    // While the dead one has the key, the other says so; then it asks itself.
    eventually("it is sent", async || {
        let sent = at_second.post("/v1/chats", &chat("key", &li)).await;
        assert!([201, 503].contains(&sent.status().as_u16()), "{}", sent.status());
        sent.status() == 201
    })
    .await;
    assert_eq!(calls(&stub, path), before + 2);
    let again = at_second.post("/v1/chats", &chat("key", &li)).await;
    assert_eq!(again.status(), 200);
    let conversation = &li.get_json("/v1/conversations").await["conversations"][0];
    assert_eq!(conversation["unread"], 1);
}

const SEND: &str = "/cgi-bin/message/subscribe/send";

fn telling(stub: &Stub) -> Start {
    with_wechat(stub)
        .set("wechat.subscribe.template_id", TEMPLATE)
        .set("wechat.subscribe.fields", r#"{"thing1":"preview","name2":"sender"}"#)
}

/// Somebody who has accepted so many messages.
async fn accepting(server: &Server, openid: &str, grants: usize) -> Person {
    let person = from_wechat(server, openid).await;
    let accepted = json!({"accepted": vec![TEMPLATE; grants]});
    assert_eq!(person.post("/v1/wechat/subscriptions", &accepted).await.status(), 204);
    person
}

/// The messages so far to somebody.
fn to(stub: &Stub, openid: &str) -> Vec<Value> {
    let bodies = stub.calls().into_iter().filter(|(path, _)| path == SEND).map(|(_, body)| body);
    bodies.filter(|body| body["touser"] == openid).collect()
}

/// Waits until somebody else was told of a later chat: then all that was due before was dealt with.
async fn fence(server: &Server, stub: &Stub, by: &Person) {
    let openid = format!("fence-{}", calls(stub, SEND));
    let fence = accepting(server, &openid, 1).await;
    by.send(fence.id, &openid, "fence").await;
    eventually("the fence is told", async || !to(stub, &openid).is_empty()).await;
}

async fn read(person: &Person, chat: &Value) {
    let path = format!("/v1/conversations/{}/read", chat["chat"]["conversationId"]);
    let read = person.post(&path, &json!({"upTo": chat["chat"]["id"]})).await;
    assert_eq!(read.status(), 204);
}

#[tokio::test]
async fn who_is_away_is_told_by_wechat_until_it_refuses() {
    let stub = Stub::start(|_, _| error(0)).await;
    let server = telling(&stub).set("log.filter", "debug").run();
    let (zhang, li) = (server.person("张三").await, accepting(&server, "o-li", 3).await);
    let first = json_of(zhang.post("/v1/chats", &chat("one", &li)).await).await;
    eventually("WeChat is asked to tell", async || to(&stub, "o-li").len() == 1).await;
    assert_eq!(
        to(&stub, "o-li")[0],
        json!({"touser": "o-li", "template_id": TEMPLATE,
            "page": format!("pages/chat/chat?peer={}", zhang.id),
            "data": {"thing1": {"value": format!("{WORDS} one")}, "name2": {"value": "张三"}}})
    );
    // It did not reach the user, who takes none any more: WeChat says so afterwards.
    told(
        &server,
        &json!({"ToUserName": "gh_1", "FromUserName": "o-li", "CreateTime": 1, "MsgType": "event",
            "Event": "subscribe_msg_sent_event", "List": {"TemplateId": TEMPLATE, "MsgID": "7",
            "ErrorCode": "43101", "ErrorStatus": "user refuse"}}),
    )
    .await;
    read(&li, &first).await;
    zhang.post("/v1/chats", &chat("two", &li)).await;
    fence(&server, &stub, &zhang).await;
    assert_eq!(to(&stub, "o-li").len(), 1);

    // New grants, which the user takes back in WeChat's own settings.
    accepting(&server, "o-li", 2).await;
    read(&li, &json_of(zhang.post("/v1/chats", &chat("three", &li)).await).await).await;
    let change = json!({"ToUserName": "gh_1", "FromUserName": "o-li", "CreateTime": 2,
        "MsgType": "event", "Event": "subscribe_msg_change_event",
        "List": [{"TemplateId": TEMPLATE, "SubscribeStatusString": "reject"}]});
    told(&server, &change).await;
    zhang.post("/v1/chats", &chat("four", &li)).await;
    fence(&server, &stub, &zhang).await;
    assert_eq!(to(&stub, "o-li").len(), 1);

    // And one refusal at once takes the grants that are left.
    accepting(&server, "o-li", 2).await;
    stub.answer(|_, body| error(if body["touser"] == "o-li" { 43_101 } else { 0 }));
    for key in ["five", "six"] {
        read(&li, &json_of(zhang.post("/v1/chats", &chat(key, &li)).await).await).await;
        zhang.post("/v1/chats", &chat(&format!("{key} unread"), &li)).await;
        fence(&server, &stub, &zhang).await;
        eventually("it was refused", async || to(&stub, "o-li").len() >= 2).await;
        assert_eq!(to(&stub, "o-li").len(), 2, "{key}");
    }
    assert_nothing_hidden_is_logged(&server);
}

#[tokio::test]
async fn a_replica_that_dies_while_wechat_tells_has_spent_the_grant() {
    let stub = Stub::start(|_, _| error(0).set_delay(TOO_LONG)).await;
    let mut server = telling(&stub).run();
    let (zhang, li) = (server.person("张三").await, accepting(&server, "o-li", 1).await);
    let chat = json_of(zhang.post("/v1/chats", &chat("one", &li)).await).await;
    eventually("WeChat is asked to tell", async || to(&stub, "o-li").len() == 1).await;
    server.kill();
    stub.answer(|_, _| error(0));
    server.start_again();
    eventually("it is back", async || server.request(Method::GET, "/readyz").send().await.is_ok())
        .await;
    // The work of the dead is free after its lease.
    tamper(&server, "UPDATE jobs SET until = 0").await;
    // WeChat may have told: at most once, so neither this absence nor the next has a message.
    fence(&server, &stub, &zhang).await;
    read(&li, &chat).await;
    zhang.send(li.id, "two", "x").await;
    fence(&server, &stub, &zhang).await;
    assert_eq!(to(&stub, "o-li").len(), 1);
}
