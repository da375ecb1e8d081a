//! What all routes have in common: problems, methods, headers, CORS.

use reqwest::{Method, StatusCode};

use super::ROUTES;
use crate::harness::{Server, server::assert_problem};

/// A path of this route, with something that is there for its parameters.
fn path_of(route: &str) -> String {
    route
        .replace("{id}", "1")
        .replace("{userId}", "1")
        .replace("{externalId}", "x")
        .replace("{hash}", "x")
        .replace("{variant}", "x")
        .replace("{file}", "app.js")
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/me/",
        "/v1/nothing",
        "/v2/me",
        "/V1/me",
        "//v1/me",
        "/v1/users/1/2",
        "/imserver",
        "/imserver/",
        "/imserver/1/2",
        "/push/",
        "/.%2e/config/default.toml",
        "/%ff",
        "/index.html",
        "/page",
        "/page/",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = zhang.request(method, path).send().await.unwrap();
            assert!(answer.headers().contains_key("x-request-id"), "{path}");
            assert_problem(answer, 404, "not_found").await;
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_says_which_are_right() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    for (route, methods) in ROUTES {
        let path = path_of(route);
        for wrong in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if methods.contains(&wrong) {
                continue;
            }
            let method = Method::from_bytes(wrong.as_bytes()).unwrap();
            let answer = zhang.request(method, &path).send().await.unwrap();
            let allow = answer.headers().get("allow").unwrap_or_else(|| panic!("{wrong} {path}"));
            let mut allowed: Vec<_> = allow.to_str().unwrap().split(',').map(str::trim).collect();
            allowed.retain(|method| *method != "HEAD");
            allowed.sort_unstable();
            assert_eq!(allowed, methods, "{wrong} {path}");
            assert!(answer.headers().contains_key("x-request-id"));
            assert_problem(answer, 405, "method_not_allowed").await;
        }
    }
}

#[tokio::test]
async fn every_answer_has_its_own_request_id() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut ids = std::collections::HashSet::new();
    for (route, methods) in ROUTES {
        let method = Method::from_bytes(methods[0].as_bytes()).unwrap();
        let answer = zhang.request(method, &path_of(route)).send().await.unwrap();
        assert!(!answer.status().is_server_error(), "{route}");
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(ids.insert(id), "{route}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_token_is_needed_wherever_something_is_somebodys() {
    let open = [
        "/v1/login/wechat",
        "/v1/login/token",
        "/v1/login/demo",
        "/v1/avatars/{hash}",
        "/v1/media/{id}/{variant}",
        "/v1/openapi.json",
        "/healthz",
        "/readyz",
        "/",
        "/demo",
        "/page/{file}",
        "/v1/service",
        // WeChat signs.
        "/wechat/push",
    ];
    let server = crate::harness::Start::default()
        .set("auth.anonymous", false)
        // More wrong keys than here.
        .set("limits.failures_per_min", 1_000)
        .run();
    let zhang = server.person("张三").await;
    for (route, methods) in ROUTES {
        for method in methods {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let path = path_of(route);
            let request = || {
                let request = server.request(method.clone(), &path);
                // A plain request to the socket's route is told so first.
                if route.starts_with("/imserver") {
                    request
                        .header("connection", "upgrade")
                        .header("upgrade", "websocket")
                        .header("sec-websocket-version", "13")
                        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
                } else {
                    request
                }
            };
            if open.contains(&route) {
                assert_ne!(request().send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
                continue;
            }
            let forged = "A".repeat(43);
            for header in [
                String::new(),
                "Bearer".into(),
                "Bearer ".into(),
                format!("Bearer {forged}"),
                format!("Basic {}", zhang.token),
                zhang.token.clone(),
                format!("Bearer {} x", zhang.token),
            ] {
                let answer = request().header("authorization", header).send().await.unwrap();
                assert_eq!(answer.headers()["www-authenticate"], "Bearer");
                assert_problem(answer, 401, "unauthorized").await;
            }
            assert_problem(request().send().await.unwrap(), 401, "unauthorized").await;
        }
    }
}

#[tokio::test]
async fn a_plain_get_of_the_socket_is_told_to_upgrade() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    for path in ["/imserver/1".to_owned(), format!("/imserver/{}", zhang.id)] {
        let answer = zhang.get(&path).await;
        assert_eq!(answer.headers()["upgrade"], "websocket");
        assert!(answer.headers().contains_key("x-request-id"));
        assert_problem(answer, 426, "upgrade_required").await;
        assert_problem(server.get(&path).await, 426, "upgrade_required").await;
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let head = async |path: &str| {
        let answer = zhang.request(Method::HEAD, path).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        assert!(headers.contains_key("x-request-id"), "{path}");
        assert!(answer.bytes().await.unwrap().is_empty(), "{path}");
        (status, headers)
    };
    for path in ["/", "/healthz", "/v1/openapi.json", "/v1/me", "/v1/conversations"] {
        let (status, headers) = head(path).await;
        assert_eq!(status, 200, "{path}");
        let got = zhang.get(path).await;
        assert_eq!(headers["content-type"], got.headers()["content-type"], "{path}");
        assert_eq!(headers["content-length"], got.headers()["content-length"], "{path}");
    }
    assert_eq!(head("/nothing").await.0, 404);
    assert_eq!(head("/v1/chats").await.0, 405);
    assert_eq!(head("/imserver/1").await.0, 426);
}

#[tokio::test]
async fn options_tells_allowed_origins_and_no_others() {
    let server =
        crate::harness::Start::default().set("server.allowed_origins", "https://ok.example").run();
    for (origin, allowed) in [
        ("https://ok.example", true),
        ("https://servicewechat.com", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let asked = server
            .request(Method::OPTIONS, "/v1/chats")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = asked.send().await.unwrap();
        assert!(!answer.status().is_server_error(), "{origin}");
        assert!(answer.status().is_success() || !allowed, "{origin}");
        let told = answer.headers().get("access-control-allow-origin");
        assert_eq!(told.is_some(), allowed, "{origin}");
        assert!(told.is_none_or(|told| told == origin), "{origin}");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        let body = answer.text().await.unwrap();
        assert!(body.is_empty() || !allowed, "{origin}: {body}");
    }
    // Without a page that asks, it does nothing either.
    for path in ["/v1/logout", "/nothing"] {
        let answer = server.request(Method::OPTIONS, path).send().await.unwrap();
        assert!(!answer.status().is_server_error(), "{path}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn nothing_that_is_private_may_be_kept_by_a_cache() {
    /// What is the same for everybody; it says itself how long it may be kept.
    const PUBLIC: [&str; 4] = ["/", "/demo", "/page/{file}", "/v1/openapi.json"];

    let server = Server::start();
    let zhang = server.person("张三").await;
    // Logs out last.
    let (logout, others): (Vec<_>, Vec<_>) =
        ROUTES.into_iter().partition(|(route, _)| *route == "/v1/logout");
    for (route, methods) in others.into_iter().chain(logout) {
        for method in methods {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let path = format!("{}?query=x&userIds=1", path_of(route));
            let answer = zhang.request(method, &path).body("{}").send().await.unwrap();
            let caching = answer.headers()["cache-control"].to_str().unwrap();
            assert_eq!(caching == "no-store", !PUBLIC.contains(&route), "{route}: {caching}");
        }
    }
}
