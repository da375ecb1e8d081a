//! Limits as clients meet them, on real processes: each refuses with the right code and says when to
//! come back, and then lets in.

mod addresses;
mod crowds;
mod reads;
mod replicas;
mod sends;
mod strangers;
mod switch;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::harness::{Person, Server, Socket, Start, server::assert_problem};

/// A `Retry-After` of an answer that has one.
fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds >= 1);
    Duration::from_secs(seconds)
}

/// Makes many requests at once; returns how many passed, and one that was refused.
async fn flood(requests: impl IntoIterator<Item = reqwest::RequestBuilder>) -> (usize, Response) {
    let answers = join_all(requests.into_iter().map(reqwest::RequestBuilder::send)).await;
    let (mut passed, mut refused) = (0, None);
    for answer in answers.into_iter().map(Result::unwrap) {
        if answer.status() == 429 {
            refused = Some(answer);
        } else {
            assert!(answer.status().is_success(), "{}", answer.status());
            passed += 1;
        }
    }
    (passed, refused.expect("none was refused"))
}

/// Asserts that of a flood of 20 requests no more pass than a burst of 3 and, on a machine that is
/// busy, one for each second that it took; and that after `Retry-After` one passes.
async fn assert_limited(what: &str, request: impl Fn() -> reqwest::RequestBuilder) {
    let begun = std::time::Instant::now();
    let (passed, refused) = flood((0..20).map(|_| request())).await;
    let most = 3 + usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!((3..=most).contains(&passed), "{what}: {passed} passed");
    let wait = retry_after(&refused);
    assert_problem(refused, 429, "rate_limited").await;
    tokio::time::sleep(wait).await;
    let status = request().send().await.unwrap().status();
    assert!(status.is_success(), "{what}: {status} after its Retry-After");
}

/// A WeChat that knows the code `good`, and no other.
async fn wechat() -> (MockServer, Start) {
    let stub = MockServer::start().await;
    let text =
        |body: &Value| ResponseTemplate::new(200).set_body_raw(body.to_string(), "text/plain");
    Mock::given(path("/sns/jscode2session"))
        .and(wiremock::matchers::query_param("js_code", "good"))
        .respond_with(text(&json!({"openid": "o", "session_key": "k"})))
        .with_priority(1)
        .mount(&stub)
        .await;
    Mock::given(path("/sns/jscode2session"))
        .respond_with(text(&json!({"errcode": 40029, "errmsg": "invalid code"})))
        .mount(&stub)
        .await;
    let start = Start::default()
        .set("wechat.base_url", stub.uri())
        .set("wechat.appid", "wx1")
        .set("wechat.secret", "the-app-secret");
    (stub, start)
}

fn login(server: &Server, code: &str) -> reqwest::RequestBuilder {
    server.request(Method::POST, "/v1/login/wechat").body(json!({"code": code}).to_string())
}

/// Asks for a socket with this token.
async fn knock(server: &Server, user: i64, token: &str, headers: &[(&str, &str)]) -> u16 {
    let offers = format!("imserver.v1, bearer.{token}");
    let mut all = vec![("sec-websocket-protocol", offers.as_str())];
    all.extend(headers);
    match Socket::open(server.addr, &format!("/imserver/{user}"), &all).await {
        Ok(_) => 101,
        Err(refused) => {
            if matches!(refused.status().as_u16(), 429 | 503) {
                assert!(refused.headers().contains_key("retry-after"));
            }
            refused.status().as_u16()
        }
    }
}

/// A token of the right form that nobody has.
fn forged() -> String {
    "A".repeat(43)
}

/// The sum of a metric over its labels, of those whose labels contain this.
async fn metric(server: &Server, name: &str, label: &str) -> f64 {
    let url = format!("http://{}/metrics", server.metrics.unwrap());
    let text = server.http.get(url).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Sends chats over a socket, all at once; returns those that were sent and those that were refused,
/// by their keys, in the order of the answers.
async fn burst(
    socket: &mut Socket,
    target: &Person,
    keys: &[String],
) -> (Vec<String>, BTreeMap<String, Value>) {
    for key in keys {
        let frame =
            json!({"type": "send", "clientMsgId": key, "targetUserId": target.id, "content": key});
        socket.send(&frame).await;
    }
    let (mut sent, mut refused) = (Vec::new(), BTreeMap::new());
    for _ in keys {
        let frame = socket.frame().await;
        let key = frame["clientMsgId"].as_str().unwrap_or_else(|| panic!("{frame}")).to_owned();
        match frame["type"].as_str() {
            Some("sent") => sent.push(key),
            Some("error") => {
                assert_eq!(frame["code"], "rate_limited", "{frame}");
                refused.insert(key, frame);
            }
            _ => panic!("{frame}"),
        }
    }
    (sent, refused)
}

fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}
