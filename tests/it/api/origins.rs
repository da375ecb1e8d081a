//! Which pages and which machines may use the service, by `Origin`, `Host` and what proxies add.

use reqwest::{Method, Response};
use serde_json::json;

use crate::harness::{
    Person, Run, Server, Start, eventually, handshake,
    server::{assert_problem, json_of},
};

const EVIL: &str = "https://evil.example";
const FRIEND: &str = "https://chat.example";
const DEVTOOLS: &str = "https://servicewechat.com";

/// The legacy routes, as their client uses them.
const LEGACY: [(&str, &str); 4] = [
    ("POST", "/push"),
    ("GET", "/getMessage?userId=7"),
    ("GET", "/getOnlineUser"),
    ("GET", "/close?userId=7"),
];

fn open() -> Start {
    Start::default().set("limits.enabled", false)
}

fn strict() -> Start {
    open().set("server.allowed_origins", FRIEND)
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A request with these headers; a `POST` has a body that both `/push` and a demo login take.
async fn ask(server: &Server, method: &str, path: &str, headers: Headers<'_>) -> Response {
    let mut request = server.request(method.parse().unwrap(), path);
    if method == "POST" {
        let body = json!({"userId": 7, "targetUserId": 8, "content": "你好", "name": "张三"});
        request = request.body(body.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn socket(server: &Server, user: i64, headers: Headers<'_>) -> Response {
    handshake(&server.http, server.addr, &format!("/imserver/{user}"), headers).await
}

/// The answers of all that is served anonymously, to requests with these headers.
async fn anonymous_answers(server: &Server, headers: Headers<'_>) -> Vec<Response> {
    let mut answers = Vec::new();
    for (method, path) in LEGACY {
        answers.push(ask(server, method, path, headers).await);
    }
    answers.push(socket(server, 7, headers).await);
    answers
}

/// The answers to somebody with a token and this `Origin`: over HTTP and both kinds of socket.
async fn answers_to(server: &Server, person: &Person, origin: &str) -> Vec<Response> {
    let (bearer, alone) = (format!("Bearer {}", person.token), format!("bearer.{}", person.token));
    let offers = format!("imserver.v1, {alone}");
    let own = [("authorization", bearer.as_str()), ("origin", origin)];
    let offered = |offers| [("sec-websocket-protocol", offers), ("origin", origin)];
    vec![
        ask(server, "GET", "/v1/me", &own).await,
        ask(server, "GET", "/getOnlineUser", &own).await,
        socket(server, person.id, &own).await,
        socket(server, person.id, &offered(&offers)).await,
        socket(server, person.id, &offered(&alone)).await,
    ]
}

#[tokio::test]
async fn anonymous_use_is_for_programs_and_pages_of_this_machine() {
    let server = strict().run();
    let own = format!("http://{}", server.addr);
    let port = server.addr.port();
    let (localhost, ipv6) = (format!("localhost:{port}"), format!("[::1]:{port}"));
    for headers in [
        &[][..],
        &[("origin", own.as_str())],
        &[("origin", "http://localhost:3000")],
        &[("origin", "https://127.0.0.1")],
        &[("origin", "http://[::1]:5173")],
        &[("origin", DEVTOOLS)],
        &[("origin", FRIEND)],
        &[("host", localhost.as_str())],
        &[("host", ipv6.as_str())],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", FRIEND), ("sec-fetch-site", "cross-site")],
    ] {
        for answer in anonymous_answers(&server, headers).await {
            let status = answer.status();
            assert!(status.is_success() || status == 101, "{headers:?} {}: {status}", answer.url());
        }
    }
}

#[tokio::test]
async fn the_open_web_does_not_reach_what_is_anonymous() {
    let server = open().run();
    let here = server.addr.to_string();
    for headers in [
        &[("host", "chat.example")][..],
        &[("host", "192.168.1.2:8080")],
        &[("host", "127.0.0.1.evil.example")],
        &[("host", "localhost.evil.example")],
        &[("host", "evil.example@127.0.0.1")],
        // Rebound to this machine, a foreign name is its own origin.
        &[("host", "evil.example"), ("origin", "http://evil.example")],
        &[("host", here.as_str()), ("host", here.as_str())],
        &[("host", here.as_str()), ("host", "evil.example")],
        &[("forwarded", "for=127.0.0.1")],
        &[("x-forwarded-for", "127.0.0.1")],
        &[("x-forwarded-proto", "https")],
        &[("x-forwarded-host", "localhost")],
        &[("x-forwarded-anything", "")],
        &[("x-real-ip", "127.0.0.1")],
        &[("via", "1.1 proxy")],
        &[("origin", EVIL)],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", FRIEND)],
        &[("origin", "http://localhost.evil.example")],
        &[("origin", "https://servicewechat.com.evil.example")],
        &[("origin", "https://evil-servicewechat.com")],
        &[("origin", "http://servicewechat.com")],
        &[("origin", "file://")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        for answer in anonymous_answers(&server, headers).await {
            assert_eq!(answer.status(), 403, "{headers:?} {}", answer.url());
            assert_problem(answer, 403, "anonymous_not_local").await;
        }
    }
    let chats = json_of(server.get("/getMessage?userId=7").await).await;
    assert_eq!(chats, json!([]), "nothing was stored");
}

#[tokio::test]
async fn anonymous_use_never_reaches_version_1() {
    let server = open().run();
    for path in ["/v1/me", "/v1/conversations", "/v1/events", "/v1/presence?userIds=7"] {
        let answer = ask(&server, "GET", path, &[]).await;
        assert_problem(answer, 401, "unauthorized").await;
    }
    assert_problem(ask(&server, "POST", "/v1/chats", &[]).await, 401, "unauthorized").await;
    let refused = socket(&server, 7, &[("sec-websocket-protocol", "imserver.v1")]).await;
    assert_problem(refused, 401, "unauthorized").await;
}

#[tokio::test]
async fn without_a_token_the_origin_decides() {
    let server = strict().run();
    let own = format!("http://{}", server.addr);
    for allowed in [own.as_str(), FRIEND, DEVTOOLS, "http://localhost:3000"] {
        let answer = ask(&server, "POST", "/v1/login/demo", &[("origin", allowed)]).await;
        assert_eq!(answer.status(), 200, "{allowed}");
    }
    for refused in [EVIL, "null", "", "https://chat.example.evil.example", "http://chat.example"] {
        let answer = ask(&server, "POST", "/v1/login/demo", &[("origin", refused)]).await;
        assert_problem(answer, 403, "origin_not_allowed").await;
        let offers = [("origin", refused), ("sec-websocket-protocol", "imserver.v1")];
        assert_eq!(socket(&server, 7, &offers).await.status(), 403, "{refused}");
    }
    // What anybody may read, any page may show.
    for path in ["/", "/healthz", "/v1/openapi.json"] {
        assert_eq!(ask(&server, "GET", path, &[("origin", EVIL)]).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_frees_from_the_origin_while_no_list_is_written() {
    let server = open().run();
    let zhang = server.person("张三").await;
    for origin in [EVIL, "null", "", FRIEND, DEVTOOLS, "http://localhost:3000"] {
        for answer in answers_to(&server, &zhang, origin).await {
            let status = answer.status();
            assert!(status == 200 || status == 101, "{origin} {}: {status}", answer.url());
        }
    }
}

#[tokio::test]
async fn a_token_does_not_free_from_a_list_that_is_written() {
    let server = strict().run();
    let zhang = server.person("张三").await;
    let own = format!("http://{}", server.addr);
    for origin in [own.as_str(), FRIEND, DEVTOOLS, "http://localhost:3000"] {
        for answer in answers_to(&server, &zhang, origin).await {
            let status = answer.status();
            assert!(status == 200 || status == 101, "{origin} {}: {status}", answer.url());
        }
    }
    for origin in [EVIL, "null", "", "https://chat.example:8443"] {
        for answer in answers_to(&server, &zhang, origin).await {
            assert_eq!(answer.status(), 403, "{origin} {}", answer.url());
            assert_problem(answer, 403, "origin_not_allowed").await;
        }
    }
    // Programs send none.
    assert_eq!(zhang.get("/v1/me").await.status(), 200);
    zhang.online().await;
}

/// The headers of an answer by which a browser lets a page go on.
fn cors(answer: &Response) -> Vec<(&str, &str)> {
    let headers = answer.headers().iter().map(|(name, value)| (name, value.to_str().unwrap()));
    headers
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| name.starts_with("access-control-"))
        .collect()
}

async fn preflight(server: &Server, path: &str, origin: &str) -> Response {
    let asks = [
        ("origin", origin),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    ask(server, "OPTIONS", path, &asks).await
}

#[tokio::test]
async fn preflights_are_answered_to_allowed_origins_only() {
    for server in [strict().run(), open().run()] {
        let own = format!("http://{}", server.addr);
        let is_strict = preflight(&server, "/v1/me", FRIEND).await;
        let is_strict = is_strict.headers().contains_key("access-control-allow-origin");
        for origin in [own.as_str(), DEVTOOLS, "http://localhost:3000"] {
            let answer = preflight(&server, "/v1/me", origin).await;
            assert_eq!(answer.status(), 200, "{origin}");
            assert_eq!(answer.headers()["access-control-allow-origin"], origin);
            let methods = answer.headers()["access-control-allow-methods"].to_str().unwrap();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                assert!(methods.contains(method), "{methods}");
            }
            let headers = answer.headers()["access-control-allow-headers"].to_str().unwrap();
            assert!(headers.contains("authorization") && headers.contains("content-type"));
            assert!(!answer.headers().contains_key("access-control-allow-credentials"));
            let vary = format!("{:?}", answer.headers().get_all("vary").iter().collect::<Vec<_>>());
            assert!(vary.contains("origin"), "{vary}");
        }
        let mut refused = vec![EVIL, "null", "", "http://chat.example"];
        refused.extend((!is_strict).then_some(FRIEND));
        for origin in refused {
            for path in ["/v1/me", "/push", "/nothing"] {
                let answer = preflight(&server, path, origin).await;
                assert_eq!(answer.status(), 403, "{origin} {path}");
                assert_eq!(cors(&answer), [], "{origin} {path}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_shown_to_allowed_origins_only() {
    let server = strict().run();
    let zhang = server.person("张三").await;
    for path in ["/v1/me", "/getOnlineUser", "/v1/users/0", "/v1/nothing", "/healthz"] {
        let asked = async |origin: &str| {
            zhang.request(Method::GET, path).header("origin", origin).send().await.unwrap()
        };
        for origin in [FRIEND, DEVTOOLS] {
            let answer = asked(origin).await;
            assert_eq!(answer.headers()["access-control-allow-origin"], origin, "{path}");
        }
        let answer = asked(EVIL).await;
        assert_eq!(answer.headers().get("access-control-allow-origin"), None, "{path}");
    }
    // What went wrong is readable too, or a page could not tell a lost login from a lost network.
    let answer = ask(&server, "GET", "/v1/me", &[("origin", FRIEND)]).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], FRIEND);
    assert_problem(answer, 401, "unauthorized").await;
}

/// A server that the network reaches; here it is reached by loopback all the same.
fn in_network(start: Start) -> Server {
    let mut server = start.set("server.listen", "0.0.0.0:0").run();
    assert!(server.addr.ip().is_unspecified());
    server.addr.set_ip([127, 0, 0, 1].into());
    server
}

#[tokio::test]
async fn in_a_network_nothing_is_open_by_default() {
    let server = in_network(open());
    for answer in anonymous_answers(&server, &[]).await {
        assert_problem(answer, 401, "unauthorized").await;
    }
    let login = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    assert_problem(login, 404, "not_found").await;
    assert!(!server.log().contains("demo login is on"));
}

#[tokio::test]
async fn in_a_network_demo_login_is_on_if_it_is_asked_for_with_a_warning() {
    let server = in_network(open().set("auth.demo_login", true));
    let zhang = server.person("张三").await;
    zhang.online().await;
    assert_problem(zhang.get("/v1/users?query=x").await, 404, "not_found").await;
    for answer in anonymous_answers(&server, &[]).await {
        assert_problem(answer, 401, "unauthorized").await;
    }
    eventually("the start has warned", async || {
        let log = server.log();
        let mut warnings = log.lines().filter(|line| line.contains("WARN"));
        warnings.any(|line| line.contains("demo login") && line.contains("auth.demo_login=false"))
    })
    .await;
    // Only this machine's own service trusts this machine's pages.
    let page = [("origin", "http://localhost:3000")];
    let answer = ask(&server, "POST", "/v1/login/demo", &page).await;
    assert_problem(answer, 403, "origin_not_allowed").await;
}

#[tokio::test]
async fn in_a_network_anonymous_use_refuses_to_start() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let home = tempfile::tempdir().unwrap();
        let run = Run::new(home.path(), &[]).on_free_ports();
        let run =
            run.env("IMSERVER__SERVER__LISTEN", listen).env("IMSERVER__AUTH__ANONYMOUS", "true");
        let said = run.refusal();
        for word in ["auth.anonymous", "server.listen", listen, "false", "127.0.0.1"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(!home.path().join("data").exists(), "refused before anything was made");
    }
    // Written out as false it is no trouble.
    in_network(open().set("auth.anonymous", false));
}

/// What a page whose name was bound to this machine would ask for.
async fn rebound(server: &Server, host: &str) -> Vec<Response> {
    let origin = format!("http://{host}");
    let headers = [("host", host), ("origin", origin.as_str())];
    let mut answers = vec![ask(server, "POST", "/v1/login/demo", &headers).await];
    for path in ["/", "/demo", "/healthz", "/v1/service", "/v1/openapi.json", "/v1/me", "/nothing"]
    {
        answers.push(ask(server, "GET", path, &[("host", host)]).await);
    }
    let offers = [("host", host), ("sec-websocket-protocol", "imserver.v1, bearer.x")];
    answers.push(socket(server, 7, &offers).await);
    answers
}

#[tokio::test]
async fn on_a_loopback_address_every_route_wants_a_host_of_this_machine() {
    let server = open().run();
    for host in ["evil.example:8080", "192.168.1.2", "localhost.evil.example"] {
        for answer in rebound(&server, host).await {
            assert_eq!(answer.status(), 403, "{host} {}", answer.url());
            let detail = assert_problem(answer, 403, "host_not_allowed").await;
            assert!(detail.contains("server.public_url"), "{detail}");
        }
    }
    for host in ["localhost", "chat.localhost:8080", "127.0.0.1", "[::1]:1"] {
        assert_eq!(ask(&server, "GET", "/v1/service", &[("host", host)]).await.status(), 200);
    }
    let metrics = format!("http://{}/metrics", server.metrics.unwrap());
    let metrics = async |host: &str| {
        server.http.get(&metrics).header("host", host).send().await.unwrap().status().as_u16()
    };
    assert_eq!((metrics("localhost").await, metrics("evil.example").await), (200, 403));
}

/// An operator's proxy on the same machine: with `Host` passed on, and with that of `proxy_pass`.
#[tokio::test]
async fn the_public_address_is_a_host_and_an_origin_of_ones_own() {
    let server = open().set("server.public_url", "https://chat.example").run();
    let here = server.addr.to_string();
    for host in ["chat.example", "chat.example:443", here.as_str()] {
        for origin in [FRIEND, "https://chat.example:443"] {
            let headers = [("host", host), ("origin", origin)];
            let login = ask(&server, "POST", "/v1/login/demo", &headers).await;
            assert_eq!(login.status(), 200, "{host} {origin}");
            assert_eq!(login.headers()["access-control-allow-origin"], origin);
        }
    }
    let foreign = [("host", "chat.example"), ("origin", EVIL)];
    let refused = ask(&server, "POST", "/v1/login/demo", &foreign).await;
    assert_problem(refused, 403, "origin_not_allowed").await;
    // Anonymous use is for this machine alone all the same.
    for answer in anonymous_answers(&server, &[("host", "chat.example")]).await {
        assert_problem(answer, 403, "anonymous_not_local").await;
    }
    assert_problem(
        ask(&server, "GET", "/", &[("host", "evil.example")]).await,
        403,
        "host_not_allowed",
    )
    .await;
}

#[tokio::test]
async fn in_a_network_the_name_is_the_networks_business() {
    let server = in_network(open());
    assert_eq!(ask(&server, "GET", "/healthz", &[("host", "im.corp.example")]).await.status(), 200);
}
