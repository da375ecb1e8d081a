//! What WeChat thinks of texts, and what becomes of its errors.

use std::time::{Duration, Instant};

use imserver::{
    checks::{Suggestion, Unchecked},
    domain::{OpenId, WechatUser},
    wechat::{Addresses, Scene, SendError, SubscribeMessage},
};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{APPID, OPENID, Stub, error, text, user, verdict, wechat_at};

type Answer = Result<Suggestion, Unchecked>;

async fn checked(answer: ResponseTemplate) -> Answer {
    let stub = Stub::start(move |_, _| answer.clone()).await;
    stub.wechat().check_text(&user(), Scene::Social, "你好", None).await
}

#[tokio::test]
async fn the_question_is_what_wechat_expects() {
    let stub = Stub::start(|_, _| verdict("pass", &json!([]))).await;
    let wechat = stub.wechat();
    let main = WechatUser { appid: None, openid: OpenId::new("another") };
    wechat.check_text(&user(), Scene::Profile, "你好", None).await.unwrap();
    wechat.check_text(&main, Scene::Social, "再见", Some("题")).await.unwrap();
    let path = "/wxa/msg_sec_check".to_owned();
    assert_eq!(
        stub.calls(),
        [
            (path.clone(), json!({"version": 2, "openid": OPENID, "scene": 1, "content": "你好"})),
            (
                path,
                json!({"version": 2, "openid": "another", "scene": 4, "content": "再见",
                    "title": "题"})
            ),
        ]
    );
    let foreign = WechatUser { appid: Some("wx-other".into()), openid: OpenId::new("x") };
    let answer = wechat.check_text(&foreign, Scene::Social, "你好", None).await;
    assert_eq!(answer, Err(Unchecked::Unable));
    assert_eq!(stub.calls().len(), 2);
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let part = |errcode: i64, suggest: &str| {
        json!({"strategy": "content_model", "errcode": errcode, "suggest": suggest,
            "label": 20001, "prob": 90, "keyword": "x"})
    };
    let failed = json!({"strategy": "keyword", "errcode": -1});
    let (pass, review, risky) = (Suggestion::Pass, Suggestion::Review, Suggestion::Risky);
    let failure = Err(Unchecked::Failed);
    for (what, answer, expected) in [
        ("pass", verdict("pass", &json!([part(0, "pass")])), Ok(pass)),
        ("review", verdict("review", &json!([part(0, "review")])), Ok(review)),
        ("risky", verdict("risky", &json!([part(0, "risky")])), Ok(risky)),
        ("a risky part", verdict("pass", &json!([part(0, "pass"), part(0, "risky")])), Ok(risky)),
        (
            "a part with an error does not count",
            verdict("pass", &json!([part(0, "pass"), part(-1, "risky"), failed])),
            Ok(pass),
        ),
        ("nothing was looked at", verdict("pass", &json!([failed])), failure),
        ("risky all the same", verdict("risky", &json!([failed])), Ok(risky)),
        ("another word", verdict("perhaps", &json!([])), failure),
        ("no result", text(r#"{"errcode":0,"errmsg":"ok"}"#), failure),
        ("not seen for two hours", error(61_010), Err(Unchecked::Unable)),
        ("another mini program's", error(43_104), Err(Unchecked::Unable)),
        ("no such user", error(40_003), Err(Unchecked::Unable)),
        ("the minute is full", error(44_991), Err(Unchecked::OutOfQuota)),
        ("the day is full", error(45_009), Err(Unchecked::OutOfQuota)),
        ("a wrong scene", error(40_129), failure),
        ("not allowed", error(48_001), failure),
        ("busy", error(-1), failure),
        ("an error that is no number", text(r#"{"errcode":"x"}"#), failure),
        ("500", ResponseTemplate::new(500), failure),
        ("garbage", text("<html>busy</html>"), failure),
        ("a redirect", ResponseTemplate::new(302).insert_header("Location", "/x"), failure),
        ("too long", text(&format!(r#"{{"x":"{}"}}"#, "x".repeat(64 * 1024))), failure),
    ] {
        assert_eq!(checked(answer).await, expected, "{what}");
    }
}

#[tokio::test]
async fn an_answer_is_there_within_a_second_and_a_half() {
    let begun = Instant::now();
    let slow = verdict("pass", &json!([])).set_delay(Duration::from_secs(10));
    assert_eq!(checked(slow).await, Err(Unchecked::Failed));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let at = Addresses { base_url: "http://127.0.0.1:1".parse().unwrap(), token_url: None };
    let answer = wechat_at(&at).check_text(&user(), Scene::Social, "x", None).await;
    assert_eq!(answer, Err(Unchecked::Failed));
}

#[tokio::test]
async fn no_part_of_a_long_text_is_left_out() {
    let stub = Stub::start(|_, body| {
        let content = body["content"].as_str().unwrap();
        assert!(content.chars().count() <= 2_500);
        verdict(if content.contains("坏话") { "risky" } else { "pass" }, &json!([]))
    })
    .await;
    let wechat = stub.wechat();
    // Also across the end of the first piece.
    for place in [0, 2_499, 2_500, 5_998] {
        let mut words: Vec<char> = "好".repeat(6_000).chars().collect();
        words[place..place + 2].copy_from_slice(&['坏', '话']);
        let words: String = words.iter().collect();
        let answer = wechat.check_text(&user(), Scene::Social, &words, None).await;
        assert_eq!(answer, Ok(Suggestion::Risky), "{place}");
    }
    let answer = wechat.check_text(&user(), Scene::Social, &"好".repeat(6_000), None).await;
    assert_eq!(answer, Ok(Suggestion::Pass));
}

#[tokio::test]
async fn a_subscribe_message_says_what_became_of_it() {
    let message = |page| SubscribeMessage {
        template_id: "T",
        page,
        data: [("thing1", "你好".to_owned()), ("name2", "张三".to_owned())].into(),
        lang: None,
    };
    let stub = Stub::start(|_, _| error(0)).await;
    let wechat = stub.wechat();
    wechat.send_subscribe(&user(), &message(Some("pages/chat/chat?id=3"))).await.unwrap();
    let data = json!({"thing1": {"value": "你好"}, "name2": {"value": "张三"}});
    assert_eq!(
        stub.calls(),
        [(
            "/cgi-bin/message/subscribe/send".to_owned(),
            json!({"touser": OPENID, "template_id": "T", "page": "pages/chat/chat?id=3",
                "data": data})
        )]
    );
    for (errcode, expected) in [
        (43_101, SendError::Refused),
        (41_030, SendError::BadPage),
        (47_003, SendError::BadField),
        (40_037, SendError::BadField),
        (40_003, SendError::UserUnknown),
        (45_009, SendError::Quota),
        (48_001, SendError::NotSent),
        (-1, SendError::NotSent),
    ] {
        stub.answer(move |_, _| error(errcode));
        let sent = wechat.send_subscribe(&user(), &message(None)).await;
        assert_eq!(sent, Err(expected), "{errcode}");
    }
    let foreign = WechatUser { appid: Some("wx-other".into()), openid: OpenId::new("x") };
    let sent = wechat.send_subscribe(&foreign, &message(None)).await;
    assert_eq!(sent, Err(SendError::UserUnknown));
    assert_eq!(wechat.program(None).unwrap().appid(), APPID);
}
