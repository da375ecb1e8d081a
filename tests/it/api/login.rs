//! Logging in, over HTTP: by WeChat, against a server that answers as WeChat does, and by demo name.

use reqwest::Method;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path, query_param},
};

use crate::harness::{
    Server, Start,
    server::{assert_problem, json_of},
};

const SESSION_KEY: &str = "the-session-key==";

/// As WeChat sends it: 200 and text/plain, whatever it says.
fn text(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "text/plain")
}

struct Wechat {
    stub: MockServer,
    server: Server,
}

impl Wechat {
    async fn start() -> Self {
        let stub = MockServer::start().await;
        let server = Start::default()
            .set("wechat.base_url", stub.uri())
            .set("wechat.appid", "wx1")
            .set("wechat.secret", "the-app-secret")
            .set("limits.enabled", false)
            .run();
        Self { stub, server }
    }

    /// From now on, this code is answered so.
    async fn answer(&self, code: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path("/sns/jscode2session"))
            .and(query_param("appid", "wx1"))
            .and(query_param("secret", "the-app-secret"))
            .and(query_param("js_code", code))
            .respond_with(answer)
            .mount(&self.stub)
            .await;
    }

    /// This code is that person's.
    async fn knows(&self, code: &str, openid: &str) {
        let body = json!({"openid": openid, "session_key": SESSION_KEY, "unionid": "the-unionid"});
        self.answer(code, text(&body)).await;
    }

    async fn log_in(&self, code: &str) -> Value {
        let response = self.server.post("/v1/login/wechat", &json!({"code": code})).await;
        assert_eq!(response.status(), 200, "{code}");
        assert_eq!(response.headers()["content-type"], "application/json");
        json_of(response).await
    }
}

#[tokio::test]
async fn a_code_logs_in_and_the_same_person_is_the_same_user() {
    let wechat = Wechat::start().await;
    wechat.knows("code-1", "openid-of-zhang").await;
    wechat.knows("code-2", "openid-of-zhang").await;
    wechat.knows("code-3", "openid-of-li").await;

    let login = wechat.log_in("code-1").await;
    let id = login["user"]["id"].as_i64().unwrap();
    assert_eq!(login["user"]["name"], format!("用户{id}"));
    assert_eq!(login["user"]["avatarUrl"], Value::Null);
    let token = login["token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    let mut keys: Vec<_> = login.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["expiresAt", "token", "user"]);

    let me =
        |token: &str, method: Method| wechat.server.request(method, "/v1/me").bearer_auth(token);
    assert_eq!(json_of(me(token, Method::GET).send().await.unwrap()).await, login["user"]);
    let renamed = me(token, Method::PATCH).body(json!({"name": "张三"}).to_string());
    assert_eq!(renamed.send().await.unwrap().status(), 200);

    let again = wechat.log_in("code-2").await;
    assert_eq!(again["user"]["id"], id);
    assert_eq!(again["user"]["name"], "张三", "a login renames nobody");
    assert_ne!(again["token"], login["token"]);
    assert_eq!(me(token, Method::GET).send().await.unwrap().status(), 200, "both sessions stand");
    let other = wechat.log_in("code-3").await;
    assert_ne!(other["user"]["id"], id);

    for shown in [&login, &again, &other].map(Value::to_string) {
        for hidden in ["openid", SESSION_KEY, "session_key", "unionid", "the-app-secret"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
    let log = wechat.server.log();
    for hidden in ["openid-of", SESSION_KEY, "the-unionid", "the-app-secret", "code-1", token] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn every_refusal_of_wechat_has_its_answer() {
    let wechat = Wechat::start().await;
    for (errcode, status, code) in [
        (40_029, 401, "wechat_code_invalid"),
        (40_163, 401, "wechat_code_invalid"),
        (41_008, 401, "wechat_code_invalid"),
        (40_226, 403, "wechat_user_blocked"),
        (45_011, 429, "rate_limited"),
        (-1, 503, "wechat_unavailable"),
        (40_013, 503, "wechat_unavailable"),
        (40_125, 503, "wechat_unavailable"),
        (12_345, 503, "wechat_unavailable"),
    ] {
        let login = format!("code{errcode}");
        let body = json!({"errcode": errcode, "errmsg": "words of wechat", "openid": "openid-x"});
        wechat.answer(&login, text(&body)).await;
        let response = wechat.server.post("/v1/login/wechat", &json!({"code": login})).await;
        let detail = assert_problem(response, status, code).await;
        for hidden in ["words of wechat", "openid", "http", "the-app-secret", &login] {
            assert!(!detail.contains(hidden), "{detail}");
        }
    }
    for (login, answer) in [
        ("busy", ResponseTemplate::new(502)),
        ("page", ResponseTemplate::new(200).set_body_string("<html>")),
        ("empty", text(&json!({}))),
    ] {
        wechat.answer(login, answer).await;
        let response = wechat.server.post("/v1/login/wechat", &json!({"code": login})).await;
        assert_problem(response, 503, "wechat_unavailable").await;
    }
}

#[tokio::test]
async fn a_wechat_that_is_away_is_unavailable() {
    let server = Start::default()
        .set("wechat.base_url", "http://127.0.0.1:1")
        .set("wechat.appid", "wx1")
        .set("wechat.secret", "the-app-secret")
        .run();
    let response = server.post("/v1/login/wechat", &json!({"code": "c"})).await;
    assert_problem(response, 503, "wechat_unavailable").await;
    assert!(!server.log().contains("the-app-secret"));
}

/// Three mini programs, the first one by itself. WeChat knows a person in all of them, by a unionid in two.
async fn three_mini_programs() -> (MockServer, Server) {
    let stub = MockServer::start().await;
    for (appid, secret, openid, unionid) in [
        ("wx1", "secret-1", "openid-1", json!("unionid-1")),
        ("wx2", "secret-2", "openid-2", json!("unionid-1")),
        ("wx3", "secret-3", "openid-3", json!(null)),
    ] {
        let body = json!({"openid": openid, "session_key": SESSION_KEY, "unionid": unionid});
        Mock::given(path("/sns/jscode2session"))
            .and(query_param("appid", appid))
            .and(query_param("secret", secret))
            .respond_with(text(&body))
            .mount(&stub)
            .await;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let apps = "[[wechat.apps]]\nappid = 'wx2'\nsecret = 'secret-2'\n\
                [[wechat.apps]]\nappid = 'wx3'\nsecret = 'secret-3'\n";
    std::fs::write(file.path(), apps).unwrap();
    let server = Start::default()
        .env("IMSERVER_CONFIG", file.path().to_str().unwrap())
        .set("wechat.base_url", stub.uri())
        .set("wechat.appid", "wx1")
        .set("wechat.secret", "secret-1")
        .set("limits.enabled", false)
        .run();
    (stub, server)
}

#[tokio::test]
async fn a_login_says_which_mini_program_it_comes_from() {
    let (stub, server) = three_mini_programs().await;
    let log_in = async |appid: Value| {
        let body = json!({"code": "c", "appid": appid});
        let response = server.post("/v1/login/wechat", &body).await;
        assert_eq!(response.status(), 200, "{body}");
        json_of(response).await["user"]["id"].clone()
    };
    let first = log_in(json!(null)).await;
    assert_eq!(log_in(json!("wx1")).await, first, "the first one, where none is named");
    assert_eq!(log_in(json!("wx2")).await, first, "one person by the unionid");
    let third = log_in(json!("wx3")).await;
    assert_ne!(third, first, "nobody knows that it is the same person");
    assert_eq!(log_in(json!("wx3")).await, third);

    let asked = stub.received_requests().await.unwrap().len();
    for appid in [json!("wx4"), json!("WX1"), json!(""), json!(7), json!(["wx1"])] {
        let body = json!({"code": "c", "appid": appid});
        let refused = server.post("/v1/login/wechat", &body).await;
        let detail = assert_problem(refused, 400, "invalid_request").await;
        assert!(detail.contains("`appid`"), "{detail}");
    }
    assert_eq!(stub.received_requests().await.unwrap().len(), asked, "WeChat was asked");
    let log = server.log();
    for hidden in ["openid-", "unionid-", "secret-", SESSION_KEY] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn a_code_must_be_there_and_be_text() {
    let wechat = Wechat::start().await;
    for body in [
        json!({}),
        json!({"code": ""}),
        json!({"code": null}),
        json!({"code": 7}),
        json!({"code": ["c"]}),
        json!([]),
        json!("c"),
    ] {
        let response = wechat.server.post("/v1/login/wechat", &body).await;
        assert_eq!(response.status(), 400, "{body}");
        assert_problem(response, 400, "invalid_request").await;
    }
    assert!(wechat.stub.received_requests().await.unwrap().is_empty(), "WeChat was not asked");
}

#[tokio::test]
async fn without_a_secret_there_is_no_login_by_wechat() {
    let server = Server::start();
    let response = server.post("/v1/login/wechat", &json!({"code": "c"})).await;
    assert_problem(response, 404, "not_found").await;
}

#[tokio::test]
async fn demo_login_is_off_where_it_is_switched_off() {
    let server = Start::default().set("auth.demo_login", false).run();
    let response = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    assert_problem(response, 404, "not_found").await;
}

#[tokio::test]
async fn a_demo_name_is_the_same_user_whatever_that_user_is_called_since() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let renamed = zhang.request(Method::PATCH, "/v1/me").body(json!({"name": "老张"}).to_string());
    assert_eq!(renamed.send().await.unwrap().status(), 200);

    let by_old_name = server.person("张三").await;
    assert_eq!(by_old_name.id, zhang.id);
    assert_eq!(by_old_name.name, "老张");
    let by_new_name = server.person("老张").await;
    assert_ne!(by_new_name.id, zhang.id, "whoever takes somebody's new name is not that person");
    assert_eq!(by_new_name.get_json("/v1/conversations").await["conversations"], json!([]));
}

#[tokio::test]
async fn a_demo_name_never_is_a_wechat_user() {
    let wechat = Wechat::start().await;
    wechat.knows("c", "openid-of-zhang").await;
    let login = wechat.log_in("c").await;
    let placeholder = login["user"]["name"].as_str().unwrap();
    let demo = wechat.server.person(placeholder).await;
    assert_ne!(login["user"]["id"], demo.id);
}

#[tokio::test]
async fn a_demo_name_has_1_to_32_characters() {
    let server = Start::default().set("limits.enabled", false).run();
    let longest = "字".repeat(32);
    assert_eq!(server.person(&longest).await.name, longest);
    for (body, code) in [
        (json!({}), "invalid_request"),
        (json!({"name": ""}), "invalid_request"),
        (json!({"name": "  "}), "invalid_name"),
        (json!({"name": null}), "invalid_request"),
        (json!({"name": 7}), "invalid_request"),
        (json!({"name": "字".repeat(33)}), "invalid_request"),
        (json!({"name": "a\u{0}b"}), "invalid_name"),
        (json!([]), "invalid_request"),
    ] {
        let response = server.post("/v1/login/demo", &body).await;
        assert_eq!(response.status(), 400, "{body}");
        assert_problem(response, 400, code).await;
    }
    for name in ["  ", "a\u{0}b", "已注销"] {
        let response = server.post("/v1/login/demo", &json!({"name": name})).await;
        assert_problem(response, 400, "invalid_name").await;
    }
}
