//! The pages at `/` and `/demo`, and what tells clients what the service offers.

use std::io::Read;

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::harness::{
    Server, Start,
    server::{assert_problem, json_of},
};

/// No script but those that the service serves, and nothing from elsewhere.
fn assert_strict(answer: &Response) {
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
}

/// What a page refers to.
pub fn links(page: &str) -> Vec<String> {
    ["href=\"/", "src=\"/"]
        .iter()
        .flat_map(|start| page.split(start).skip(1))
        .map(|rest| format!("/{}", rest.split('"').next().unwrap()))
        .collect()
}

/// What a script loads later: the files of the page that it names with their versions.
fn loads(script: &str) -> Vec<String> {
    let quoted = script.split(['"', '\'', '`']);
    quoted.filter(|it| it.starts_with("/page/") && it.contains("?v=")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_pages_and_all_that_they_refer_to_are_served() {
    let server = Server::start();
    for (path, count) in [("/", 3), ("/demo", 2)] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        assert_strict(&answer);
        let page = answer.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains(" onclick"), "the policy forbids it");

        let mut links = links(&page);
        assert_eq!(links.len(), count, "{links:?}");
        let mut at = 0;
        while let Some(link) = links.get(at).cloned() {
            at += 1;
            let file = server.get(&link).await;
            assert_eq!(file.status(), StatusCode::OK, "{link}");
            assert_eq!(file.headers()["x-content-type-options"], "nosniff");
            assert_strict(&file);
            let caching = file.headers()["cache-control"].to_str().unwrap();
            assert!(caching.contains("immutable"), "{link} is asked for by its version");
            if link.contains(".js") {
                let more = loads(&file.text().await.unwrap());
                links.extend(more.into_iter().filter(|it| !links.contains(it)).collect::<Vec<_>>());
            }
        }
        let has = |end: &str| links.iter().any(|it| it.contains(end));
        // The other packages of the page, and the pictures of its bar.
        assert_eq!(
            has("/chat.js?") && has("/chat.css?") && has("/me.png?"),
            path == "/",
            "{links:?}"
        );
    }
}

#[tokio::test]
async fn a_file_is_kept_for_ever_only_under_its_own_version() {
    let server = Server::start();
    for query in ["", "?v=", "?v=0123456789abcdef", "?x"] {
        let answer = server.get(&format!("/page/app.js{query}")).await;
        assert_eq!(answer.headers()["cache-control"], "no-cache", "{query}");
        assert_eq!(answer.headers()["content-type"], "text/javascript; charset=utf-8");
    }
    let icon = server.get("/page/me.png").await;
    assert_eq!(icon.headers()["content-type"], "image/png");
    for file in ["app.ts", "index.html", "console.js", "..%2f..%2fCargo.toml", "%00"] {
        assert_problem(server.get(&format!("/page/{file}")).await, 404, "not_found").await;
    }
    assert_problem(server.get("/page/%FF").await, 400, "invalid_request").await;
}

#[tokio::test]
async fn files_are_compressed_for_who_takes_that() {
    let server = Server::start();
    let ask = async |path: &str, accepted: &str| {
        let request = server.request(Method::GET, path).header("accept-encoding", accepted);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["vary"], "accept-encoding");
        let coding = answer.headers().get("content-encoding").cloned();
        let coding = coding.map(|coding| coding.to_str().unwrap().to_owned());
        (coding, answer.bytes().await.unwrap().to_vec())
    };
    for path in ["/", "/page/app.js", "/page/app.css"] {
        let (coding, plain) = ask(path, "").await;
        assert_eq!(coding, None);
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip;q=1.0, BR;q=0", "gzip"),
            ("gzip", "gzip"),
            ("br;q=0.1", "br"),
        ] {
            let (coding, bytes) = ask(path, accepted).await;
            assert_eq!(coding.as_deref(), Some(expected), "{accepted}");
            assert!(bytes.len() < plain.len(), "{path} {accepted}");
            let mut read = Vec::new();
            match expected {
                "br" => brotli::Decompressor::new(&*bytes, 4096).read_to_end(&mut read),
                _ => flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut read),
            }
            .unwrap();
            assert!(read == plain, "{path} {accepted}");
        }
        for accepted in ["identity", "zstd", "br;q=0", "gzip;q=0, br;q=0.000", "brx", "br;q=x"] {
            assert_eq!(ask(path, accepted).await, (None, plain.clone()), "{accepted}");
        }
    }
}

#[tokio::test]
async fn the_service_says_what_it_offers() {
    let server = Server::start();
    let offers = json_of(server.get("/v1/service").await).await;
    let expected = json!({"demoLogin": true, "wechatLogin": false, "directory": true,
        "subscribeTemplates": []});
    assert_eq!(offers, expected);

    let server = Start::default()
        .set("auth.demo_login", false)
        .set("users.directory", false)
        .set("wechat.appid", "wx1234567890abcdef")
        .set("wechat.secret", "0123456789abcdef0123456789abcdef")
        .run();
    let offers = json_of(server.get("/v1/service").await).await;
    let expected = json!({"demoLogin": false, "wechatLogin": true, "directory": false,
        "subscribeTemplates": []});
    assert_eq!(offers, expected);
    // Two people who cannot sign in are no demo.
    assert_problem(server.get("/demo").await, 404, "not_found").await;
}
