//! The operators' page: where it is served, and how strictly. What it does is tested in a browser.

use reqwest::{Method, StatusCode};

use super::page::links;
use crate::harness::{Server, Start, server::assert_problem};

#[tokio::test]
async fn without_the_setting_there_is_no_console() {
    let server = Server::start();
    for path in ["/console", "/console/console.js", "/page/console.js", "/console/"] {
        assert_problem(server.get(path).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn the_console_is_served_strictly_with_all_that_it_refers_to() {
    let server = Start::default().set("console.enabled", true).run();
    let answer = server.get("/console").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(!page.contains(" style=") && !page.contains(" onclick"), "the policy forbids it");
    let links = links(&page);
    assert_eq!(links.len(), 2, "{links:?}");
    for link in links {
        assert!(link.starts_with("/console/"), "all is on one listener: {link}");
        let file = server.get(&link).await;
        assert_eq!(file.status(), StatusCode::OK, "{link}");
        assert_eq!(file.headers()["content-security-policy"], policy);
        assert!(file.headers()["cache-control"].to_str().unwrap().contains("immutable"), "{link}");
    }
    assert_problem(server.get("/console/%FF").await, 400, "invalid_request").await;
    for path in ["/console/app.js", "/console/", "/console/x/y"] {
        assert_problem(server.get(path).await, 404, "not_found").await;
    }
    let answer = server.request(Method::POST, "/console").send().await.unwrap();
    assert_problem(answer, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn the_console_is_where_the_server_api_is() {
    let start = Start::default().set("console.enabled", true).set("admin.listen", "127.0.0.1:0");
    let server = start.run();
    assert_problem(server.get("/console").await, 404, "not_found").await;
    let at = |path: &str| server.http.get(format!("http://{}{path}", server.admin));
    let answer = at("/console").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    for link in links(&answer.text().await.unwrap()) {
        assert_eq!(at(&link).send().await.unwrap().status(), StatusCode::OK, "{link}");
    }
    let rebound = at("/console").header("host", "evil.example").send().await.unwrap();
    assert_problem(rebound, 403, "host_not_allowed").await;
}
