//! A checker of texts, alone and together with words and the hook.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{StreamExt, future::join_all, stream};
use imserver::checks::{Place, Suggestion, Text, TextCheck, Unchecked};
use parking_lot::Mutex;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::harness::{
    DEADLINE, Here, Person, Redis, eventually, postgres,
    server::{assert_problem, json_of},
};

/// Answers by the words of a text, and notes them.
#[derive(Default)]
struct Scripted(Mutex<Vec<(Place, String)>>);

impl Scripted {
    fn asked(&self) -> Vec<String> {
        self.0.lock().iter().map(|(_, words)| words.clone()).collect()
    }
}

#[async_trait]
impl TextCheck for Scripted {
    async fn check(&self, text: &Text) -> Result<Suggestion, Unchecked> {
        self.0.lock().push((text.place, text.words.clone()));
        let is = |word: &str| text.words.starts_with(word);
        if is("slow") {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        match () {
            () if is("hang") => std::future::pending().await,
            () if is("fail") => Err(Unchecked::Failed),
            () if is("quota") => Err(Unchecked::OutOfQuota),
            () if is("unable") => Err(Unchecked::Unable),
            () if is("review") => Ok(Suggestion::Review),
            () if is("risky") => Ok(Suggestion::Risky),
            () => Ok(Suggestion::Pass),
        }
    }
}

/// A service that asks the checker, with these settings.
fn checking(settings: &[(&str, &str)]) -> (Arc<Scripted>, Here) {
    let scripted = Arc::new(Scripted::default());
    let here = checking_by(&scripted, settings);
    (scripted, here)
}

fn checking_by(scripted: &Arc<Scripted>, settings: &[(&str, &str)]) -> Here {
    let own = [("moderation.wechat_text", "true"), ("limits.enabled", "false")];
    Here::checking(&[&own[..], settings].concat(), Arc::clone(scripted) as _)
}

async fn people(here: &Here) -> (Person, Person) {
    (here.person("张三").await, here.person("李四").await)
}

fn chat(key: &str, target: &Person, content: &str) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "content": content})
}

async fn rename(person: &Person, name: &str) -> Response {
    let body = json!({"name": name}).to_string();
    person.request(Method::PUT, "/v1/me").body(body).send().await.unwrap()
}

const WORDS: [&str; 7] = ["fine", "risky", "review", "unable", "quota", "fail", "hang"];

#[tokio::test]
async fn the_settings_say_what_becomes_of_chats_names_and_titles() {
    // What becomes of a chat, and of a name, for each of the words.
    let allow = ([201, 422, 201, 201, 201, 201, 201], [200, 422, 200, 200, 200, 200, 200]);
    let hold = ([201, 422, 202, 202, 202, 202, 202], [200, 422, 200, 200, 200, 200, 200]);
    let deny = ([201, 422, 202, 422, 503, 503, 503], [200, 422, 200, 422, 503, 503, 503]);
    for (on, (chats, names)) in [("allow", allow), ("hold", hold), ("deny", deny)] {
        let on_review = if on == "deny" { "hold" } else { on };
        let (scripted, here) = checking(&[
            ("moderation.on_review", on_review),
            ("moderation.on_unchecked", on),
            ("moderation.on_failure", on),
        ]);
        let (zhang, li) = people(&here).await;
        for ((word, chat_status), name_status) in WORDS.into_iter().zip(chats).zip(names) {
            scripted.0.lock().clear();
            for again in [false, true] {
                let status = zhang.post("/v1/chats", &chat(word, &li, word)).await.status();
                let expected = if again && chat_status == 201 { 200 } else { chat_status };
                assert_eq!(status, expected, "{on} {word} {again}");
            }
            // Its key is free where nobody knows, and then it is asked about again.
            let asked = if chat_status == 503 { 2 } else { 1 };
            assert_eq!(scripted.asked(), vec![word; asked], "{on} {word}");
            assert_eq!(rename(&zhang, word).await.status(), name_status, "{on} {word}");
            let group = json!({"kind": "group", "key": word, "title": word, "userIds": [li.id]});
            let begun = zhang.post("/v1/conversations", &group).await.status();
            let expected = if name_status == 200 { 201 } else { name_status };
            assert_eq!(begun, expected, "{on} {word}");
            let places: Vec<_> =
                scripted.0.lock()[asked..].iter().map(|(place, _)| *place).collect();
            assert_eq!(places, [Place::Name, Place::Title]);
        }
        let refused = zhang.post("/v1/chats", &chat("risky", &li, "risky")).await;
        assert_problem(refused, 422, "content_rejected").await;
        // A login goes on without the name.
        let named = here.person("risky").await;
        assert_eq!(named.name, format!("用户{}", named.id));
    }
}

#[tokio::test]
async fn words_of_cards_are_asked_about_and_pictures_are_not() {
    let (scripted, here) = checking(&[]);
    let (zhang, li) = people(&here).await;
    scripted.0.lock().clear();
    let card = json!({"clientMsgId": "a", "targetUserId": li.id, "kind": "card",
        "body": {"title": "订单", "description": "已发货", "url": "https://example.com/"}});
    assert_eq!(zhang.post("/v1/chats", &card).await.status(), 201);
    assert_eq!(scripted.asked(), ["订单\n已发货"]);
    assert_eq!(zhang.post("/v1/chats", &chat("b", &li, "review")).await.status(), 202);
}

#[tokio::test]
async fn a_sender_keeps_the_order_while_a_machine_decides() {
    let (_, here) = checking(&[]);
    let (zhang, li) = people(&here).await;
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for (key, content) in
        [("1", "slow"), ("2", "fast"), ("3", "risky"), ("4", "slow"), ("5", "fast")]
    {
        let mut frame = chat(key, &li, content);
        frame["type"] = "send".into();
        at_zhang.send(&frame).await;
    }
    for key in ["1", "2", "4", "5"] {
        assert_eq!(at_li.expect("event").await["chat"]["clientMsgId"], key);
    }
}

#[tokio::test]
async fn words_come_first_then_the_check_then_the_hook() {
    let hook = MockServer::start().await;
    let denies =
        ResponseTemplate::new(200).set_body_json(json!({"action": "deny", "detail": "不行"}));
    Mock::given(method("POST")).respond_with(denies).mount(&hook).await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("words.txt");
    std::fs::write(&list, "赌博\n加微信\tmask\n").unwrap();
    let (scripted, here) = checking(&[
        ("moderation.words", list.to_str().unwrap()),
        ("hooks.before_send.url", &hook.uri()),
        ("hooks.before_send.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("hooks.before_send.timeout_ms", "2000"),
    ]);
    let (zhang, li) = people(&here).await;
    scripted.0.lock().clear();
    let asked = async || {
        let requests = hook.received_requests().await.unwrap();
        let content = |request: &wiremock::Request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["data"]["chat"]["content"].as_str().unwrap().to_owned()
        };
        requests.iter().map(content).collect::<Vec<_>>()
    };
    for (key, content, status) in
        [("a", "赌博", 422), ("b", "risky", 422), ("c", "review", 202), ("d", "加微信", 422)]
    {
        for _ in 0..2 {
            let answer = zhang.post("/v1/chats", &chat(key, &li, content)).await;
            assert_eq!(answer.status(), status, "{content}");
        }
    }
    assert_eq!(scripted.asked(), ["risky", "review", "***"]);
    assert_eq!(asked().await, ["***"]);
}

#[tokio::test]
async fn replicas_ask_once_about_a_key() {
    let database = postgres::database().await;
    let namespace = database.rsplit('/').next().unwrap().split('?').next().unwrap();
    let url = Redis::shared().url();
    let settings = [
        ("database.url", database.as_str()),
        ("bus.url", url.as_str()),
        ("bus.namespace", namespace),
        ("auth.demo_login", "true"),
    ];
    let scripted = Arc::new(Scripted::default());
    let (a, b) = (checking_by(&scripted, &settings), checking_by(&scripted, &settings));
    let (at_a, li) = people(&a).await;
    let at_b = b.person("张三").await;
    assert_eq!(at_a.id, at_b.id);
    scripted.0.lock().clear();
    let contents: Vec<_> = (0..10).map(|n| format!("slow {n}")).collect();
    let chats: Vec<_> = contents.iter().map(|it| chat(it, &li, it)).collect();
    let sends =
        chats.iter().flat_map(|chat| [at_a.post("/v1/chats", chat), at_b.post("/v1/chats", chat)]);
    let mut statuses: Vec<_> =
        join_all(sends).await.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 10], [201; 10]].concat());
    let mut asked = scripted.asked();
    asked.sort();
    assert_eq!(asked, contents);
}

#[tokio::test]
async fn a_burst_at_a_checker_that_hangs_ends_as_the_settings_say() {
    let (_, here) = checking(&[("moderation.on_failure", "hold")]);
    let (zhang, li) = people(&here).await;
    let sends = (0..600).map(|n| {
        let (zhang, chat) = (&zhang, chat(&n.to_string(), &li, "hang"));
        // A busy machine may not note a chat in what is left of its time: then its sender asks again.
        async move {
            let begun = Instant::now();
            loop {
                let answer = zhang.post("/v1/chats", &chat).await;
                if answer.status() != 503 || begun.elapsed() > DEADLINE {
                    return answer.status().as_u16();
                }
                let pause = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
        }
    });
    let statuses: Vec<_> = stream::iter(sends).buffer_unordered(200).collect().await;
    assert_eq!(statuses, vec![202; 600]);
    // Once the checker has rested, it is asked again.
    eventually("it is asked again", async || {
        let key = imserver::domain::ClientMsgId::random();
        let sent = zhang.post("/v1/chats", &chat(key.as_str(), &li, "fine")).await;
        sent.status() == 201 && json_of(sent).await["chat"]["content"] == "fine"
    })
    .await;
}
