//! Failures, which are counted by address: those who do not fail never pay for those who do.

use super::{forged, knock, login, metric, retry_after, wechat};
use crate::harness::{Start, server::assert_problem};

#[tokio::test]
async fn failed_logins_close_an_address_to_logins_that_may_fail() {
    let (stub, start) = wechat().await;
    let server = start.set("auth.demo_login", true).run();
    let zhang = server.person("张三").await;
    assert_eq!(login(&server, "good").send().await.unwrap().status(), 200);
    for _ in 0..10 {
        let refused = login(&server, "bad").send().await.unwrap();
        assert_problem(refused, 401, "wechat_code_invalid").await;
    }
    let asked = stub.received_requests().await.unwrap().len();
    for code in ["bad", "good"] {
        let refused = login(&server, code).send().await.unwrap();
        assert!(retry_after(&refused).as_secs() <= 6);
        assert_problem(refused, 429, "rate_limited").await;
    }
    assert_eq!(stub.received_requests().await.unwrap().len(), asked, "WeChat was asked");
    // Whoever has a session, and whoever cannot fail, goes on.
    server.person("李四").await;
    assert_eq!(knock(&server, zhang.id, &zhang.token, &[]).await, 101);
    let refusals = metric(&server, "imserver_limit_refusals_total", "failed_login").await;
    assert!((refusals - 2.0).abs() < 0.1, "{refusals}");
}

#[tokio::test]
async fn after_the_wait_a_login_may_be_tried_again() {
    let (_stub, start) = wechat().await;
    // One a second.
    let server = start.set("limits.failures_per_min", 60).run();
    let refused = loop {
        let answer = login(&server, "bad").send().await.unwrap();
        if answer.status() == 429 {
            break answer;
        }
    };
    tokio::time::sleep(retry_after(&refused)).await;
    assert_eq!(login(&server, "good").send().await.unwrap().status(), 200);
    assert_eq!(login(&server, "bad").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn failed_handshakes_cost_only_those_who_fail() {
    let server = Start::default().run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for number in 0..10 {
        let (token, status) =
            if number % 2 == 0 { (forged(), 401) } else { (li.token.clone(), 403) };
        assert_eq!(knock(&server, zhang.id, &token, &[]).await, status);
    }
    for _ in 0..3 {
        assert_eq!(knock(&server, zhang.id, &forged(), &[]).await, 429);
        assert_eq!(knock(&server, zhang.id, &zhang.token, &[]).await, 101);
    }
    assert!(metric(&server, "imserver_handshakes_total", "outcome=\"opened\"").await >= 3.0);
    assert!(metric(&server, "imserver_handshakes_total", "outcome=\"rate_limited\"").await >= 3.0);
}

#[tokio::test]
async fn a_header_that_anybody_can_write_moves_nothing() {
    let server = Start::default().run();
    let mut answers = Vec::new();
    for number in 0..12 {
        let spoofed = format!("198.51.100.{number}");
        let headers = [
            ("x-forwarded-for", spoofed.as_str()),
            ("x-real-ip", &spoofed),
            ("forwarded", "for=192.0.2.9"),
        ];
        answers.push(knock(&server, 1_000_000, &forged(), &headers).await);
    }
    assert_eq!(answers[..10], [401; 10]);
    assert_eq!(answers[10..], [429; 2]);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_counted_by_itself() {
    let server = Start::default().set("server.trusted_proxies", "127.0.0.0/8").run();
    let knock_from = async |forwarded: &str| {
        knock(&server, 1_000_000, &forged(), &[("x-forwarded-for", forwarded)]).await
    };
    for number in 0..20 {
        // What stands left of the client's own address the client wrote itself.
        let status = knock_from(&format!("203.0.113.{number}, 198.51.100.7")).await;
        assert_eq!(status, if number < 10 { 401 } else { 429 }, "{number}");
    }
    assert_eq!(knock_from("198.51.100.8").await, 401);
    // A household has a /64.
    for number in 0..12 {
        let status = knock_from(&format!("2001:db8::{number}")).await;
        assert_eq!(status, if number < 10 { 401 } else { 429 }, "{number}");
    }
    assert_eq!(knock_from("2001:db8:0:1::1").await, 401);
}
