//! The token: one for all who need it, renewed before its end, and dropped when WeChat refuses it.

use std::time::Duration;

use futures_util::future::join_all;
use imserver::{
    checks::{Suggestion, Unchecked},
    wechat::{Addresses, Scene, Wechat},
};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{Stub, error, text, user, verdict, wechat_at};
use crate::harness::eventually;

async fn stub() -> Stub {
    Stub::start(|_, _| verdict("pass", &json!([]))).await
}

async fn check(wechat: &Wechat) -> Result<Suggestion, Unchecked> {
    wechat.check_text(&user(), Scene::Social, "你好", None).await
}

const PASS: Result<Suggestion, Unchecked> = Ok(Suggestion::Pass);

#[tokio::test]
async fn a_hundred_calls_at_once_ask_for_one_token() {
    let stub = stub().await;
    let wechat = stub.wechat();
    let answers = join_all((0..100).map(|_| check(&wechat))).await;
    assert!(answers.iter().all(|answer| *answer == PASS));
    assert_eq!(check(&wechat).await, PASS);
    assert_eq!((stub.asked(), stub.calls().len()), (1, 101));
    // Each replica asks alone, and never ends the token of the other by force: the stub takes no such question.
    let other = stub.wechat();
    assert_eq!(check(&other).await, PASS);
    assert_eq!(stub.asked(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    let stub = stub().await;
    stub.change(|state| state.expires_in = 302);
    let wechat = stub.wechat();
    assert_eq!((check(&wechat).await, check(&wechat).await), (PASS, PASS));
    assert_eq!(stub.asked(), 1);
    eventually("another token is asked for", async || {
        assert_eq!(check(&wechat).await, PASS);
        stub.asked() == 2
    })
    .await;
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let stub = stub().await;
    stub.change(|state| state.expires_in = 301);
    let wechat = stub.wechat();
    assert_eq!(check(&wechat).await, PASS);
    stub.change(|state| state.no_token = Some(ResponseTemplate::new(500)));
    eventually("another token is asked for", async || {
        assert_eq!(check(&wechat).await, PASS);
        stub.asked() > 1
    })
    .await;
    assert_eq!(check(&wechat).await, PASS);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    for errcode in [40_001, 40_014, 42_001] {
        let stub = stub().await;
        stub.change(|state| state.refusal = errcode);
        let wechat = stub.wechat();
        assert_eq!(check(&wechat).await, PASS);
        // Somebody else has replaced it.
        stub.change(|state| state.token = "another".to_owned());
        assert_eq!(check(&wechat).await, PASS);
        assert_eq!((stub.asked(), stub.calls().len()), (2, 2), "{errcode}");

        // Not for ever.
        stub.change(|state| state.takes_none = true);
        let before = stub.server.received_requests().await.unwrap().len();
        assert_eq!(check(&wechat).await, Err(Unchecked::Failed));
        let asked = stub.server.received_requests().await.unwrap().len() - before;
        assert_eq!(asked, 3, "the call, a token, the call once more");
    }
}

#[tokio::test]
async fn all_who_wait_for_a_token_get_the_same_refusal() {
    for (what, answer) in [
        ("a frozen secret", error(40_243)),
        ("an address that may not ask", error(40_164)),
        ("a wrong secret", error(40_125)),
        ("an outage", ResponseTemplate::new(502)),
        ("garbage", text("<html>")),
        ("no token", text(r#"{"expires_in":7200}"#)),
        ("no end", text(r#"{"access_token":"t"}"#)),
    ] {
        let stub = stub().await;
        stub.change(|state| state.no_token = Some(answer));
        let wechat = stub.wechat();
        let answers = join_all((0..100).map(|_| check(&wechat))).await;
        assert!(answers.iter().all(|answer| *answer == Err(Unchecked::Failed)), "{what}");
        assert_eq!(stub.asked(), 1, "{what}");
        // It does not stay so.
        stub.change(|state| state.no_token = None);
        eventually("there is a token", async || check(&wechat).await == PASS).await;
        assert_eq!(stub.asked(), 2, "{what}");
    }
}

#[tokio::test]
async fn whoever_gives_up_takes_the_question_from_nobody() {
    let stub = stub().await;
    let slow = text(r#"{"access_token":"the-token-1","expires_in":7200}"#);
    stub.change(|state| {
        state.no_token = Some(slow.set_delay(Duration::from_millis(1_700)));
        state.token = "the-token-1".to_owned();
    });
    let wechat = stub.wechat();
    // A check has 1.5 s, which are over before the token is there. It comes all the same.
    assert_eq!(check(&wechat).await, Err(Unchecked::Failed));
    eventually("the token has come", async || check(&wechat).await == PASS).await;
    assert_eq!(stub.asked(), 1);
}

#[tokio::test]
async fn a_company_may_give_the_tokens() {
    let stub = stub().await;
    let token_url = format!("{}/company/token", stub.server.uri()).parse().unwrap();
    let wechat = wechat_at(&Addresses { token_url: Some(token_url), ..stub.addresses() });
    assert_eq!(check(&wechat).await, PASS);
    let requests = stub.server.received_requests().await.unwrap();
    let asked = &requests[0];
    assert_eq!((asked.method.as_str(), asked.url.path()), ("GET", "/company/token"));
    assert!(!format!("{asked:?}").contains(super::SECRET), "the company has the secret itself");
}
