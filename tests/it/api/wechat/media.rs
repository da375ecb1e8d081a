//! Pictures and voice messages that WeChat checks: shown and recalled, or held back and released.

use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection;
use wiremock::ResponseTemplate;

use super::{
    APPID, SECRET, Stub, error,
    push::{TOKEN, told},
    text,
    whole::with_wechat,
};
use crate::{
    api::media::{form, form_type},
    harness::{
        Figures, Person, Server, Start, eventually,
        server::{assert_problem, json_of},
    },
};

const MP3: &[u8] = include_bytes!("../media/fixtures/second.mp3");

/// Names each check by the end of the URL of what is checked.
fn answer(path: &str, body: &Value) -> ResponseTemplate {
    assert_eq!(path, "/wxa/media_check_async");
    let trace = trace_of(&body["media_url"]);
    text(&json!({"errcode": 0, "errmsg": "ok", "trace_id": trace}).to_string())
}

fn trace_of(url: &Value) -> String {
    let path = url.as_str().unwrap().split("/v1/media/").nth(1).unwrap();
    format!("trace-{}", path.split('/').next().unwrap())
}

/// A service whose media WeChat checks in this mode.
fn checked(stub: &Stub, mode: &str) -> Start {
    with_wechat(stub).set("moderation.wechat_media", mode)
}

/// Somebody who comes from the mini program.
pub async fn from_wechat(server: &Server, openid: &str) -> Person {
    let login = server.post("/v1/login/wechat", &json!({"code": openid})).await;
    Person::logged_in(login, server.addr, &server.http).await
}

fn picture(shade: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(4, 3, image::Rgb([shade; 3]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn uploaded(person: &Person, kind: &str, bytes: &[u8]) -> Value {
    let parts = [("kind", "", kind.as_bytes()), ("file", "; filename=\"x\"", bytes)];
    let request = person.request(reqwest::Method::POST, "/v1/media");
    let request = request.header("content-type", form_type()).body(form(&parts));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    json_of(answer).await
}

fn showing(target: &Person, key: &str, media: &Value) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "kind": media["kind"],
        "body": {"mediaId": media["mediaId"]}})
}

/// Waits until WeChat was asked about an upload; returns what it was asked.
async fn asked(stub: &Stub, media: &Value) -> Value {
    let id = media["mediaId"].as_str().unwrap();
    let find = || {
        let mut questions = stub.calls().into_iter().map(|(_, body)| body);
        questions.find(|body| body["media_url"].as_str().unwrap().contains(id))
    };
    eventually("WeChat is asked", async || find().is_some()).await;
    find().unwrap()
}

/// Has WeChat say what it thinks of an upload.
async fn say(server: &Server, media: &Value, suggest: &str) {
    let trace = format!("trace-{}", media["mediaId"].as_str().unwrap());
    let event = json!({"ToUserName": "gh_1", "FromUserName": "o", "CreateTime": 1,
        "MsgType": "event", "Event": "wxa_media_check", "appid": APPID, "trace_id": trace,
        "version": 2, "errcode": 0, "errmsg": "ok",
        "detail": [{"strategy": "content_model", "errcode": 0, "suggest": suggest, "label": "100"}],
        "result": {"suggest": suggest, "label": 100}});
    for _ in 0..2 {
        told(server, &event).await;
    }
}

/// Changes what is in the database of a service.
pub async fn tamper(server: &Server, statement: &'static str) {
    let url = format!("sqlite://{}", server.database().display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

/// The state of the newest chat of a conversation.
async fn state_of(person: &Person, conversation: &Value) -> Value {
    let chats = person.get_json(&format!("/v1/conversations/{conversation}/chats")).await;
    chats["chats"].as_array().unwrap().last().unwrap()["state"].clone()
}

async fn is_recalled(person: &Person, conversation: &Value) {
    eventually("it is recalled", async || state_of(person, conversation).await == "recalled").await;
}

#[tokio::test]
async fn what_is_risky_is_recalled_and_not_sent_again() {
    let stub = Stub::start(answer).await;
    let server = checked(&stub, "recall").run();
    let (zhang, li) = (from_wechat(&server, "o-zhang").await, server.person("李四").await);
    let mut at_li = li.online().await;
    let (good, bad) =
        (uploaded(&zhang, "voice", MP3).await, uploaded(&zhang, "image", &picture(1)).await);
    for (media, key, kind) in [(&good, "good", 1), (&bad, "bad", 2)] {
        let sent = zhang.post("/v1/chats", &showing(&li, key, media)).await;
        assert_eq!(sent.status(), StatusCode::CREATED);
        let question = asked(&stub, media).await;
        let url = question["media_url"].as_str().unwrap();
        assert_eq!(server.http.get(url).send().await.unwrap().status(), 200, "WeChat can read it");
        let rest = json!({"version": 2, "openid": "o-zhang", "scene": 4, "media_url": url,
            "media_type": kind});
        assert_eq!(question, rest);
    }
    let conversation = zhang.get_json("/v1/conversations").await["conversations"][0]["id"].clone();
    say(&server, &good, "pass").await;
    let begun = Instant::now();
    say(&server, &bad, "risky").await;
    loop {
        let frame = at_li.until("event").await;
        if frame["event"] == "changed" {
            break;
        }
    }
    Figures::of("risky_until_recalled")
        .time("from WeChat's word until the other phone has the recall", begun.elapsed());
    is_recalled(&li, &conversation).await;

    // Not under another key, not as another upload of the same, and by nobody.
    let again = zhang.post("/v1/chats", &showing(&li, "again", &bad)).await;
    assert_problem(again, 422, "content_rejected").await;
    let same = uploaded(&zhang, "image", &picture(1)).await;
    let again = zhang.post("/v1/chats", &showing(&li, "same", &same)).await;
    assert_problem(again, 422, "content_rejected").await;
    // The first key has its answer, though.
    let repeat = zhang.post("/v1/chats", &showing(&li, "bad", &bad)).await;
    assert_eq!(repeat.status(), StatusCode::OK);
    assert_eq!(json_of(repeat).await["chat"]["state"], "recalled");
    // What has passed needs no other check.
    let before = stub.calls().len();
    let passed = uploaded(&zhang, "voice", MP3).await;
    let sent = zhang.post("/v1/chats", &showing(&li, "passed", &passed)).await;
    assert_eq!(sent.status(), StatusCode::CREATED);
    assert_eq!((stub.calls().len(), before), (2, 2));
    for hidden in ["o-zhang", SECRET, "the-token", TOKEN] {
        let log = server.log();
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(line.is_none(), "{hidden} is in the log: {}", line.unwrap_or_default());
    }
}

#[tokio::test]
async fn what_is_held_back_is_released_when_it_passes_and_refused_when_it_does_not() {
    let stub = Stub::start(answer).await;
    let server = checked(&stub, "hold").run();
    let (zhang, li) = (from_wechat(&server, "o-zhang").await, server.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let mut uploads = Vec::new();
    for (shade, key) in [(1, "pass"), (2, "review"), (3, "risky")] {
        let media = uploaded(&zhang, "image", &picture(shade)).await;
        let held = zhang.post("/v1/chats", &showing(&li, key, &media)).await;
        assert_eq!(held.status(), StatusCode::ACCEPTED, "{key}");
        asked(&stub, &media).await;
        uploads.push((key, media));
    }
    at_li.expect_quiet().await;
    for (key, media) in &uploads {
        say(&server, media, key).await;
    }
    assert_eq!(at_li.until("event").await["chat"]["clientMsgId"], "pass");
    let refused = loop {
        let frame = at_zhang.frame().await;
        if frame["event"] == "refused" {
            break frame;
        }
    };
    assert_eq!(
        (&refused["clientMsgId"], &refused["code"]),
        (&json!("risky"), &json!("content_rejected"))
    );
    // Somebody has to look at the third.
    let back_end = server.back_end("moderation");
    let held = back_end.get_json("/held").await;
    let keys: Vec<_> =
        held["held"].as_array().unwrap().iter().map(|it| &it["clientMsgId"]).collect();
    assert_eq!(keys, ["review"]);
    at_li.expect_quiet().await;
    // What has passed is not held back any more.
    let again = zhang.post("/v1/chats", &showing(&li, "again", &uploads[0].1)).await;
    assert_eq!(again.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_lost_answer_and_users_whom_wechat_does_not_know_go_by_the_settings() {
    let stub = Stub::start(answer).await;
    for (setting, lost, unknown) in [("allow", "released", 201), ("deny", "refused", 422)] {
        let server = checked(&stub, "hold")
            .set("moderation.on_failure", setting)
            .set("moderation.on_unchecked", setting)
            .run();
        let (zhang, li) = (from_wechat(&server, "o-zhang").await, server.person("李四").await);
        let back_end = server.back_end("moderation");
        let none_is_held = async || back_end.get_json("/held").await["held"] == json!([]);
        let media = uploaded(&zhang, "image", &picture(9)).await;
        let held = zhang.post("/v1/chats", &showing(&li, "lost", &media)).await;
        assert_eq!(held.status(), StatusCode::ACCEPTED);
        asked(&stub, &media).await;
        eventually("half an hour is over", async || {
            tamper(&server, "UPDATE media_checks SET next_at = 0 WHERE state = 'asked'").await;
            none_is_held().await
        })
        .await;
        let of_li = li.get_json("/v1/conversations").await["conversations"].clone();
        assert_eq!(of_li[0].is_null(), lost == "refused", "{setting}");
        // A user of the company's own login.
        let media = uploaded(&li, "image", &picture(8)).await;
        let sent = li.post("/v1/chats", &showing(&zhang, "unknown", &media)).await;
        assert_eq!(sent.status().as_u16(), unknown, "{setting}");

        // One who was not in the mini program lately.
        stub.answer(|_, _| error(61_010));
        let media = uploaded(&zhang, "voice", MP3).await;
        let held = zhang.post("/v1/chats", &showing(&li, "late", &media)).await;
        assert_eq!(held.status(), StatusCode::ACCEPTED);
        eventually("it is decided", none_is_held).await;
        stub.answer(answer);
    }
}

#[tokio::test]
async fn a_replica_that_dies_before_it_has_asked_asks_later() {
    let stub = Stub::start(|_, _| ResponseTemplate::new(500)).await;
    let mut server = checked(&stub, "recall").run();
    let (zhang, li) = (from_wechat(&server, "o-zhang").await, server.person("李四").await);
    let media = uploaded(&zhang, "image", &picture(1)).await;
    let sent = zhang.post("/v1/chats", &showing(&li, "k", &media)).await;
    assert_eq!(sent.status(), StatusCode::CREATED);
    server.kill();
    let before = stub.calls().len();
    stub.answer(answer);
    // The work of the dead is free after its lease.
    server.start_again();
    tamper(&server, "UPDATE jobs SET until = 0").await;
    eventually("WeChat is asked", async || stub.calls().len() > before).await;
    let conversation = li.get_json("/v1/conversations").await["conversations"][0]["id"].clone();
    eventually("its answer is taken", async || {
        say(&server, &media, "risky").await;
        state_of(&li, &conversation).await == "recalled"
    })
    .await;
}
