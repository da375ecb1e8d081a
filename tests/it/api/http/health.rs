//! Health for machines: `/healthz`, `/readyz`, and the metrics on their own listener.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{
    Server, Start, eventually,
    server::{assert_problem, json_of},
};

#[tokio::test]
async fn a_server_that_is_up_is_ready() {
    let server = Server::start();
    for path in ["/healthz", "/readyz"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(json_of(answer).await, json!({"status": "ok"}));
    }
}

#[tokio::test]
async fn metrics_are_served_on_their_own_listener_only() {
    let server = Server::start();
    let metrics = format!("http://{}/metrics", server.metrics.unwrap());
    let zhang = server.person("张三").await;
    let read = async || server.http.get(&metrics).send().await.unwrap();
    let answer = read().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_problem(server.get("/metrics").await, 404, "not_found").await;
    assert_problem(zhang.get("/metrics").await, 404, "not_found").await;
    let line = r#"imserver_http_requests_total{route="/v1/login/demo",status="200"} 1"#;
    let counted = async || read().await.text().await.unwrap().lines().any(|known| known == line);
    eventually("the login is counted", counted).await;
    // No route of the main listener is open here, and no path makes a new series.
    let elsewhere = format!("http://{}/v1/me", server.metrics.unwrap());
    let answer = server.http.get(&elsewhere).bearer_auth(&zhang.token).send().await.unwrap();
    assert_problem(answer, 404, "not_found").await;
    server.get("/no/such/path").await;
    assert!(!read().await.text().await.unwrap().contains("such"));
}

#[tokio::test]
async fn metrics_can_be_off() {
    let server = Start::default().set("metrics.listen", "").run();
    assert_eq!(server.metrics, None);
    assert_problem(server.get("/metrics").await, 404, "not_found").await;
}
