//! The hook before a send, against a back end that answers by what a chat says.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use imserver::signing::SigningKey;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::method};

use crate::harness::{
    Person, Redis, Server, Start, eventually, postgres,
    server::{assert_problem, json_of},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Answers by the first word of a chat.
struct BackEnd;

impl Respond for BackEnd {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let content = body["data"]["chat"]["content"].as_str().unwrap();
        let (content, delay) = match content.strip_prefix("slow ") {
            Some(rest) => (rest, Duration::from_millis(400)),
            None => (content, Duration::ZERO),
        };
        let answer =
            |answer: Value| ResponseTemplate::new(200).set_body_json(answer).set_delay(delay);
        match content.split(' ').next().unwrap() {
            "deny" => answer(json!({"action": "deny", "detail": "换个说法"})),
            "hold" => answer(json!({"action": "hold"})),
            "mask" => answer(json!({"action": "replace", "content": "***"})),
            "late" => answer(json!({"action": "allow"})).set_delay(Duration::from_secs(5)),
            "fail" => ResponseTemplate::new(500),
            "empty" => answer(json!({"action": "replace", "content": " "})),
            "unclear" => answer(json!({"action": "perhaps"})),
            _ => answer(json!({"action": "allow"})),
        }
    }
}

async fn back_end() -> MockServer {
    let hook = MockServer::start().await;
    Mock::given(method("POST")).respond_with(BackEnd).mount(&hook).await;
    hook
}

fn asking(hook: &MockServer) -> Start {
    Start::default()
        .set("hooks.before_send.url", hook.uri())
        .set("hooks.before_send.secret", SECRET)
        .set("limits.enabled", false)
}

/// About which keys the back end was asked, in order.
async fn asked(hook: &MockServer) -> Vec<String> {
    let requests = hook.received_requests().await.unwrap();
    let key = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["data"]["chat"]["clientMsgId"].as_str().unwrap().to_owned()
    };
    requests.iter().map(key).collect()
}

fn chat(key: &str, target: &Person, content: &str) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "content": content})
}

async fn people(server: &Server) -> (Person, Person) {
    (server.person("张三").await, server.person("李四").await)
}

#[tokio::test]
async fn the_back_end_decides_once_about_each_key() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for status in [201, 200] {
        assert_eq!(zhang.post("/v1/chats", &chat("a", &li, "你好")).await.status(), status);
    }
    assert_eq!(at_li.expect("event").await["chat"]["content"], "你好");
    at_zhang.expect("event").await;

    for _ in 0..2 {
        let denied = zhang.post("/v1/chats", &chat("b", &li, "deny this")).await;
        assert_eq!(assert_problem(denied, 422, "content_rejected").await, "换个说法");
    }
    let reused = zhang.post("/v1/chats", &chat("b", &li, "nicer")).await;
    assert_problem(reused, 409, "client_msg_id_reused").await;

    for status in [201, 200] {
        let masked = zhang.post("/v1/chats", &chat("c", &li, "mask this")).await;
        assert_eq!(masked.status(), status);
        assert_eq!(json_of(masked).await["chat"]["content"], "***");
    }
    let reused = zhang.post("/v1/chats", &chat("c", &li, "***")).await;
    assert_problem(reused, 409, "client_msg_id_reused").await;
    assert_eq!(at_li.expect("event").await["chat"]["content"], "***");
    at_zhang.expect("event").await;

    for _ in 0..2 {
        let held = zhang.post("/v1/chats", &chat("d", &li, "hold this")).await;
        assert_eq!(held.status(), 202);
        assert_eq!(json_of(held).await, json!({"state": "held"}));
        let mut frame = chat("d", &li, "hold this");
        frame["type"] = "send".into();
        at_zhang.send(&frame).await;
        assert_eq!(at_zhang.frame().await, json!({"type": "held", "clientMsgId": "d"}));
    }
    let reused = zhang.post("/v1/chats", &chat("d", &li, "other")).await;
    assert_problem(reused, 409, "client_msg_id_reused").await;
    at_li.expect_quiet().await;

    // What goes nowhere is not asked about.
    let nowhere = json!({"clientMsgId": "e", "conversationId": 999, "content": "x"});
    assert_problem(zhang.post("/v1/chats", &nowhere).await, 404, "conversation_not_found").await;
    assert_eq!(asked(&hook).await, ["a", "b", "c", "d"]);
    assert!(!server.log().contains("deny this"), "the log shows a chat");
}

#[tokio::test]
async fn a_question_is_signed_and_says_what_the_chat_would_be() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    zhang.send(li.id, "a", "你好").await;
    let requests = hook.received_requests().await.unwrap();
    let [request] = &requests[..] else { panic!("not asked once") };
    let body = std::str::from_utf8(&request.body).unwrap();
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let seconds = header("webhook-timestamp").parse().unwrap();
    let signed = SigningKey::parse(SECRET).unwrap().headers(&header("webhook-id"), seconds, body);
    assert_eq!(header("webhook-signature"), signed[2].1);
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], "chat.before_send");
    assert!(crate::api::http::is_time(&body["timestamp"]));
    let wanted = json!({
        "userId": zhang.id, "externalId": null, "userName": "张三",
        "targetUserId": li.id, "targetExternalId": null, "targetUserName": "李四",
        "clientMsgId": "a", "kind": "text", "content": "你好",
    });
    assert_eq!(body["data"]["chat"], wanted);
}

#[tokio::test]
async fn a_verdict_outlives_whoever_waited_for_it() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    let chats = [("a", "slow one"), ("b", "slow deny"), ("c", "slow hold"), ("d", "slow mask")];
    let chats = chats.map(|(key, content)| chat(key, &li, content));
    let mut at_zhang = zhang.online().await;
    for chat in &chats {
        let mut frame = chat.clone();
        frame["type"] = "send".into();
        at_zhang.send(&frame).await;
    }
    eventually("all are asked about", async || asked(&hook).await.len() == chats.len()).await;
    drop(at_zhang);
    let sends = join_all(chats.iter().map(|chat| zhang.post("/v1/chats", chat))).await;
    let statuses: Vec<_> = sends.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses[1..3], [422, 202]);
    assert!(statuses[0] < 202 && statuses[3] < 202, "{statuses:?}");
    let page = li.get_json("/v1/conversations").await;
    let chats = format!("/v1/conversations/{}/chats", page["conversations"][0]["id"]);
    let shown = li.get_json(&chats).await["chats"].clone();
    let mut shown: Vec<_> =
        shown.as_array().unwrap().iter().map(|chat| chat["content"].as_str().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, ["***", "slow one"]);
    assert_eq!(asked(&hook).await.len(), 4, "a repeat asks nobody");
}

#[tokio::test]
async fn a_card_can_be_replaced_by_words() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    let card = json!({"clientMsgId": "a", "targetUserId": li.id, "kind": "card",
        "body": {"title": "mask this", "url": "https://example.com/"}});
    for status in [201, 200] {
        let sent = zhang.post("/v1/chats", &card).await;
        assert_eq!(sent.status(), status);
        let chat = json_of(sent).await["chat"].clone();
        assert_eq!((&chat["kind"], &chat["content"]), (&json!("text"), &json!("***")));
        assert_eq!(chat["body"], Value::Null);
    }
    assert_eq!(asked(&hook).await, ["a"]);
}

#[tokio::test]
async fn a_slow_answer_keeps_the_order_of_a_sender() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for (key, content) in [("1", "slow one"), ("2", "fast"), ("3", "deny"), ("4", "fast")] {
        let mut frame = chat(key, &li, content);
        frame["type"] = "send".into();
        at_zhang.send(&frame).await;
    }
    // A repeat while the first one is asked about.
    let repeat = zhang.post("/v1/chats", &chat("1", &li, "slow one")).await;
    assert!(repeat.status().is_success());
    for key in ["1", "2", "4"] {
        assert_eq!(at_li.expect("event").await["chat"]["clientMsgId"], key);
    }
    let mut keys = asked(&hook).await;
    keys.sort();
    assert_eq!(keys, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_back_end_that_fails_leaves_it_to_the_settings() {
    let hook = back_end().await;
    for (on_failure, status) in [("deny", 503), ("allow", 201), ("hold", 202)] {
        let start = asking(&hook).set("hooks.before_send.on_failure", on_failure);
        let server = start.set("hooks.before_send.timeout_ms", 300).run();
        let (zhang, li) = people(&server).await;
        for content in ["fail", "late", "unclear", "empty"] {
            let answer = zhang.post("/v1/chats", &chat(content, &li, content)).await;
            assert_eq!(answer.status(), status, "{on_failure} {content}");
            if status == 503 {
                assert_problem(answer, 503, "unavailable").await;
                // Its key is free.
                let other = zhang.post("/v1/chats", &chat(content, &li, "fine")).await;
                assert_eq!(other.status(), 201);
            }
        }
    }
}

#[tokio::test]
async fn a_hook_that_fails_again_and_again_rests() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    for n in 0..30 {
        let answer = zhang.post("/v1/chats", &chat(&n.to_string(), &li, "fail")).await;
        assert_problem(answer, 503, "unavailable").await;
    }
    let asked = asked(&hook).await.len();
    assert!((20..30).contains(&asked), "{asked}");
    assert!(server.metric(r#"imserver_hook_calls_total{outcome="resting"}"#).await >= 1.0);
}

#[tokio::test]
async fn many_chats_are_asked_about_at_once() {
    let hook = back_end().await;
    let server = asking(&hook).run();
    let (zhang, li) = people(&server).await;
    let begun = Instant::now();
    let keys: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    let chats: Vec<_> = keys.iter().map(|key| chat(key, &li, "slow one")).collect();
    let answers = join_all(chats.iter().map(|chat| zhang.post("/v1/chats", chat))).await;
    assert!(answers.iter().all(|answer| answer.status() == 201));
    // One after another they would take 20 s.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Two replicas that ask.
async fn replicas(hook: &MockServer) -> (Server, Server) {
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let start = || {
        asking(hook)
            .set("database.url", &database)
            .set("bus.url", Redis::shared().url())
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .run()
    };
    (start(), start())
}

#[tokio::test]
async fn a_replica_that_is_killed_while_it_asks_leaves_its_keys_to_another() {
    let hook = back_end().await;
    let (mut a, b) = replicas(&hook).await;
    let (zhang, li) = people(&a).await;
    let keys: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    let chats: Vec<_> = keys.iter().map(|key| chat(key, &li, "slow one")).collect();
    let mut at_a = zhang.online().await;
    for chat in &chats {
        let mut frame = chat.clone();
        frame["type"] = "send".into();
        at_a.send(&frame).await;
    }
    eventually("all are asked about", async || asked(&hook).await.len() == chats.len()).await;
    a.kill();
    let (zhang, li) = (zhang.at(&b), li.at(&b));
    let begun = Instant::now();
    for chat in &chats {
        // The other replica's time for the key ends first.
        while !zhang.post("/v1/chats", chat).await.status().is_success() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{chat}");
        }
    }
    for person in [&zhang, &li] {
        let events = person.get_json("/v1/events?since=0").await["events"].clone();
        let events = events.as_array().unwrap();
        let mut told: Vec<_> =
            events.iter().map(|it| it["chat"]["clientMsgId"].as_str().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, keys, "each once");
    }
    for key in &keys {
        let asked = asked(&hook).await.into_iter().filter(|asked| asked == key).count();
        assert!((1..=2).contains(&asked), "{key}: {asked}");
    }
}

#[tokio::test]
async fn replicas_ask_once_about_a_key() {
    let hook = back_end().await;
    let (a, b) = replicas(&hook).await;
    let (zhang, li) = people(&a).await;
    let keys: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    let chats: Vec<_> = keys.iter().map(|key| chat(key, &li, "slow one")).collect();
    let at_b = zhang.at(&b);
    let sends =
        chats.iter().flat_map(|chat| [zhang.post("/v1/chats", chat), at_b.post("/v1/chats", chat)]);
    let mut statuses: Vec<_> =
        join_all(sends).await.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 10], [201; 10]].concat());
    let mut asked = asked(&hook).await;
    asked.sort();
    let mut wanted = keys;
    wanted.sort();
    assert_eq!(asked, wanted);
}
