//! Message push: who may tell, what is taken, and what goes on to the company.

use aes::{
    Aes256, Block,
    cipher::{BlockModeEncrypt, KeyIvInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use imserver::{
    secret::Secret,
    wechat::push::{PushKeys, PushQuery},
};
use reqwest::Response;
use ring::digest;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::{APPID, OPENID, SECRET};
use crate::harness::{
    Server, Start, eventually,
    server::{assert_problem, json_of},
};

pub const TOKEN: &str = "the-push-token";
const KEY: &str = "Xm3vQ8rT0kLwZ1yBn7cJ5hFdS2gPaE9uViKoR4tYq6w";

/// A service that takes pushes in plain form.
pub fn pushed_to() -> Start {
    Start::default()
        .set("limits.enabled", false)
        .set("wechat.appid", APPID)
        .set("wechat.secret", SECRET)
        .set("wechat.push_token", TOKEN)
}

fn signature(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    hash.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Pushes as WeChat does in plain mode.
pub async fn push(server: &Server, event: &Value) -> Response {
    let signature = signature(&[TOKEN, "1795772459", "n"]);
    let query = format!("signature={signature}&timestamp=1795772459&nonce=n&openid={OPENID}");
    server.post(&format!("/wechat/push?{query}"), event).await
}

/// Pushes what must be taken.
pub async fn told(server: &Server, event: &Value) {
    let answer = push(server, event).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(answer.text().await.unwrap(), "success");
}

fn event(name: &str, time: i64) -> Value {
    json!({"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": time, "MsgType": "event",
        "Event": name, "SessionFrom": "你好"})
}

/// The company's own address.
async fn company(
    answers: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
) -> MockServer {
    let company = MockServer::start().await;
    Mock::given(any()).respond_with(answers).mount(&company).await;
    company
}

async fn passed_on(company: &MockServer) -> Vec<Value> {
    let requests = company.received_requests().await.unwrap();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn an_echo_is_for_whoever_knows_the_token() {
    let server = pushed_to().run();
    let good = signature(&[TOKEN, "17", "n"]);
    let at = |signature: &str| {
        format!("/wechat/push?signature={signature}&timestamp=17&nonce=n&echostr=43751%26x")
    };
    let answer = server.get(&at(&good)).await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(answer.text().await.unwrap(), "43751&x");
    for wrong in ["", "x", &signature(&["other", "17", "n"])] {
        assert_problem(server.get(&at(wrong)).await, 403, "forbidden").await;
    }
    let without = Start::default().run();
    assert_problem(without.get(&at(&good)).await, 404, "not_found").await;
    assert_problem(push(&without, &event("x", 1)).await, 404, "not_found").await;
}

#[tokio::test]
async fn what_nobody_wants_goes_on_to_the_company_once() {
    let failing = std::sync::atomic::AtomicUsize::new(1);
    let company = company(move |_| {
        let fails = failing.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1;
        ResponseTemplate::new(if fails { 500 } else { 200 })
    })
    .await;
    let server = pushed_to().set("wechat.forward_url", format!("{}/wx?a=b", company.uri())).run();
    for _ in 0..3 {
        told(&server, &event("user_enter_tempsession", 1)).await;
    }
    eventually("it is passed on, at the second attempt", async || {
        server.metric(r#"imserver_wechat_events_total{outcome="forwarded"}"#).await > 0.0
    })
    .await;
    told(&server, &event("user_enter_tempsession", 2)).await;
    eventually("another is", async || passed_on(&company).await.len() == 3).await;
    let (first, second) = (event("user_enter_tempsession", 1), event("user_enter_tempsession", 2));
    assert_eq!(passed_on(&company).await, [first.clone(), first, second]);

    // It is signed as WeChat signs.
    let request = company.received_requests().await.unwrap().remove(0);
    let query: std::collections::BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
    assert_eq!(query["a"], "b");
    let signed = PushQuery {
        signature: query["signature"].clone(),
        timestamp: query["timestamp"].clone(),
        nonce: query["nonce"].clone(),
        ..PushQuery::default()
    };
    let keys = PushKeys::new(Secret::new(TOKEN), None, []);
    assert!(keys.open(&signed, &request.body).is_ok());

    let wrong = server.post("/wechat/push?signature=x&timestamp=1&nonce=n", &event("x", 3)).await;
    assert_problem(wrong, 403, "forbidden").await;
    let log = server.log();
    for hidden in [OPENID, TOKEN, SECRET, &signed.signature] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(line.is_none(), "{hidden} is in the log: {}", line.unwrap_or_default());
    }
}

/// A message as WeChat encrypts it, but for what `spoil` does to it before.
fn encrypted(key: &str, json: &str, appid: &str, spoil: impl FnOnce(&mut Vec<u8>)) -> String {
    let key: [u8; 32] = STANDARD.decode(format!("{key}=")).unwrap().try_into().unwrap();
    let mut bytes = b"0123456789abcdef".to_vec();
    bytes.extend(u32::try_from(json.len()).unwrap().to_be_bytes());
    bytes.extend([json.as_bytes(), appid.as_bytes()].concat());
    let padding = 32 - bytes.len() % 32;
    bytes.extend(vec![u8::try_from(padding).unwrap(); padding]);
    spoil(&mut bytes);
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let mut cipher = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
    for block in bytes.chunks_exact_mut(16) {
        let block: &mut Block = block.try_into().unwrap();
        cipher.encrypt_block(block);
    }
    STANDARD.encode(bytes)
}

#[tokio::test]
async fn an_encrypted_push_is_taken_if_all_of_it_is_right() {
    let company = company(|_| ResponseTemplate::new(204)).await;
    let server =
        pushed_to().set("wechat.push_aes_key", KEY).set("wechat.forward_url", company.uri()).run();
    let post = async |encrypt: &str, signed: &str| {
        let plain = signature(&[TOKEN, "1", "n"]);
        let query = format!("signature={plain}&msg_signature={signed}&timestamp=1&nonce=n");
        let body = json!({"ToUserName": "gh_1", "Encrypt": encrypt});
        server.post(&format!("/wechat/push?{query}&encrypt_type=aes"), &body).await
    };
    let signed = |encrypt: &str| signature(&[TOKEN, "1", "n", encrypt]);
    let json = event("user_enter_tempsession", 1).to_string();
    let good = encrypted(KEY, &json, APPID, |_| {});
    for _ in 0..2 {
        let answer = post(&good, &signed(&good)).await;
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
            (200, "success")
        );
    }
    eventually("it is passed on", async || passed_on(&company).await.len() == 1).await;

    let other = format!("{}A", "a".repeat(42));
    let foreign = encrypted(KEY, &json, "wx-other", |_| {});
    let of_other_key = encrypted(&other, &json, APPID, |_| {});
    let padded = encrypted(KEY, &json, APPID, |bytes| *bytes.last_mut().unwrap() = 33);
    let unlike = encrypted(KEY, &json, APPID, |bytes| {
        let place = bytes.len() - 2;
        bytes[place] ^= 1;
    });
    let long = encrypted(KEY, &json, APPID, |bytes| bytes[16] = 1);
    for (what, encrypt, signature, status, code) in [
        ("no signature", &good, String::new(), 403, "forbidden"),
        ("the signature of a plain push", &good, signature(&[TOKEN, "1", "n"]), 403, "forbidden"),
        ("another mini program", &foreign, signed(&foreign), 403, "forbidden"),
        ("another key", &of_other_key, signed(&of_other_key), 400, "invalid_request"),
        ("too much padding", &padded, signed(&padded), 400, "invalid_request"),
        ("uneven padding", &unlike, signed(&unlike), 400, "invalid_request"),
        ("a length beyond the end", &long, signed(&long), 400, "invalid_request"),
        ("no base64", &"!".to_owned(), signed("!"), 400, "invalid_request"),
    ] {
        eprintln!("{what}");
        assert_problem(post(encrypt, &signature).await, status, code).await;
    }
    // With a key, what is not encrypted could be anybody's.
    let why = assert_problem(push(&server, &event("x", 9)).await, 400, "invalid_request").await;
    assert!(why.contains("wechat.push_aes_key"), "{why}");
    let query = format!("signature={}&timestamp=1&nonce=n", signature(&[TOKEN, "1", "n"]));
    let xml = server.request(reqwest::Method::POST, &format!("/wechat/push?{query}"));
    let xml = xml.body("<xml><Encrypt>x</Encrypt></xml>").send().await.unwrap();
    assert!(assert_problem(xml, 400, "invalid_request").await.contains("JSON"));
    assert_eq!(passed_on(&company).await.len(), 1);
}

#[tokio::test]
async fn a_company_that_keeps_the_address_passes_on_what_it_gets() {
    let company = company(|_| ResponseTemplate::new(200)).await;
    let server = pushed_to().set("wechat.forward_url", company.uri()).run();
    let back_end = server.back_end("moderation");
    let event = event("user_enter_tempsession", 1);
    for path in ["/wechat/push".to_owned(), format!("/wechat/push?appid={APPID}")] {
        assert_eq!(back_end.post(&path, &event).await.status(), 204);
    }
    eventually("it is kept once", async || passed_on(&company).await.len() == 1).await;
    let foreign = back_end.post("/wechat/push?appid=wx-other", &event).await;
    assert_problem(foreign, 400, "invalid_request").await;
    assert_problem(back_end.post("/wechat/push", &json!([1])).await, 400, "invalid_request").await;
    let all = server.back_end("all");
    let audited = all.audited().await;
    assert_eq!(
        audited.iter().filter(|entry| *entry == "wechat.push - ok").count(),
        2,
        "{audited:?}"
    );
    assert!(json_of(server.get("/v1/service").await).await.is_object());
}
