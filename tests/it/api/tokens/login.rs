//! `POST /v1/login/token`.

use std::{io::Write, time::SystemTime};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::{AUDIENCE, ISSUER, Signer};
use crate::harness::{
    Server, Start,
    server::{assert_problem, json_of},
};

/// A server that takes tokens by these keys. The file is read at its start.
fn start(signers: &[Signer]) -> (Start, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    for signer in signers {
        let (kid, algorithm, key) = (&signer.kid, signer.algorithm(), signer.key());
        write!(
            file,
            "[[auth.jwt.keys]]\nkid = '{kid}'\nalgorithm = '{algorithm}'\nkey = '''{key}'''\n"
        )
        .unwrap();
    }
    let start = Start::default()
        .env("IMSERVER_CONFIG", file.path().to_str().unwrap())
        .set("auth.jwt.issuer", ISSUER)
        .set("auth.jwt.audience", AUDIENCE)
        .set("auth.jwt.algorithms", "HS256,RS256, ES256 ,EdDSA");
    (start, file)
}

/// In seconds since 1970, by the clock of the server.
#[expect(clippy::disallowed_methods, reason = "the server under test has the system's clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn claims(sub: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": now() + 600})
}

async fn ask(server: &Server, token: &str) -> Response {
    server.post("/v1/login/token", &json!({"token": token})).await
}

async fn log_in(server: &Server, token: &str) -> Value {
    let response = ask(server, token).await;
    assert_eq!(response.status(), 200);
    json_of(response).await
}

#[tokio::test]
async fn a_token_logs_in_whom_it_names() {
    let signers = Signer::all();
    let (start, _file) = start(&signers);
    let server = start.run();
    let mut ids = Vec::new();
    for signer in &signers {
        let login = log_in(&server, &signer.token(&claims("marked-sub"))).await;
        let mut keys: Vec<_> = login.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["expiresAt", "token", "user"]);
        assert_eq!(login["user"]["externalId"], "marked-sub");
        ids.push(login["user"]["id"].as_i64().unwrap());
        let session = login["token"].as_str().unwrap();
        let me = server.request(Method::GET, "/v1/me").bearer_auth(session).send().await.unwrap();
        assert_eq!(json_of(me).await, login["user"]);
        assert!(!server.log().contains(session));
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let token = signers[0].token(&claims("marked-other"));
    let other = log_in(&server, &token).await;
    assert_ne!(other["user"]["id"], ids[0]);
    // A token logs in once more while it is good, and is no session itself.
    assert_eq!(log_in(&server, &token).await["user"], other["user"]);
    let me = server.request(Method::GET, "/v1/me").bearer_auth(&token).send().await.unwrap();
    assert_problem(me, 401, "unauthorized").await;
    // Nobody else has the name that the token gives nobody.
    assert_ne!(json!(server.person("marked-sub").await.id), ids[0]);

    let log = server.log();
    for hidden in [token.as_str(), token.rsplit('.').next().unwrap(), "marked-other"] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn the_name_in_a_token_is_the_users() {
    let signers = [Signer::eddsa("d")];
    let (start, _file) = start(&signers);
    let server = start.run();
    let named = async |name: Value| {
        let mut claims = claims("4711");
        claims["name"] = name;
        let token = signers[0].token(&claims);
        log_in(&server, &token).await["user"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(named(json!(" 张三 ")).await, "张三");
    assert_eq!(named(json!(null)).await, "张三");
    assert_eq!(named(json!("老张")).await, "老张");
    // What no user can be called changes nothing, and keeps nobody out.
    for unfit in [json!(""), json!("x".repeat(33)), json!("a\u{202e}b"), json!("已注销"), json!(7)]
    {
        assert_eq!(named(unfit).await, "老张");
    }
}

#[tokio::test]
async fn the_picture_in_a_token_is_the_users() {
    let signers = [Signer::eddsa("d")];
    let (start, _file) = start(&signers);
    let server = start.run();
    let li = server.person("李四").await;
    let shown = async |picture: Value| {
        let mut claims = claims("4711");
        claims["picture"] = picture;
        log_in(&server, &signers[0].token(&claims)).await["user"].clone()
    };
    let first = "https://shop.example/张三.png?v=1";
    let user = shown(json!(first)).await;
    assert_eq!(user["avatarUrl"], first);
    li.send(user["id"].as_i64().unwrap(), "k", "你好").await;
    let conversations = li.get_json("/v1/conversations").await;
    assert_eq!(conversations["conversations"][0]["peer"]["avatarUrl"], first, "to others, too");
    for unfit in [
        json!(null),
        json!(""),
        json!(7),
        json!("http://shop.example/1.png"),
        json!("javascript:alert(1)"),
        json!("/1.png"),
        json!(format!("https://shop.example/{}", "x".repeat(1_024))),
    ] {
        assert_eq!(shown(unfit).await["avatarUrl"], first, "what can be none changes nothing");
    }
    let second = "https://shop.example/2.png";
    assert_eq!(shown(json!(second)).await["avatarUrl"], second);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_said() {
    let signers = [Signer::hs256("h")];
    let (start, _file) = start(&signers);
    let server = start.set("limits.enabled", false).run();
    let with = |key: &str, value: Value| {
        let mut claims = claims("4711");
        claims[key] = value;
        signers[0].token(&claims)
    };
    let expired = with("exp", json!(now() - 31));
    assert_problem(ask(&server, &expired).await, 401, "token_expired").await;
    for (token, word) in [
        (with("aud", json!("other")), "aud"),
        (with("iss", json!("other")), "iss"),
        (with("nbf", json!(now() + 600)), "yet"),
        (Signer::es256("h").token(&claims("4711")), "key"),
        ("x".repeat(60_000), "long"),
        ("x".to_owned(), "off"),
        ("a.b.c".to_owned(), "JWT"),
    ] {
        let detail = assert_problem(ask(&server, &token).await, 401, "token_invalid").await;
        assert!(detail.contains(word), "{detail}");
        assert!(!detail.contains("4711") && !detail.contains(&token), "{detail}");
    }
    assert_problem(ask(&server, &"x".repeat(70_000)).await, 413, "payload_too_large").await;
    for body in [
        json!({}),
        json!({"token": ""}),
        json!({"token": null}),
        json!({"token": 7}),
        json!({"token": ["t"]}),
        json!([]),
    ] {
        let refused = server.post("/v1/login/token", &body).await;
        assert_problem(refused, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn refused_tokens_close_an_address_to_logins_that_may_fail() {
    let signers = [Signer::hs256("h")];
    let (start, _file) = start(&signers);
    let server = start.run();
    let good = signers[0].token(&claims("4711"));
    log_in(&server, &good).await;
    for _ in 0..10 {
        assert_problem(ask(&server, "a.b.c").await, 401, "token_invalid").await;
    }
    for token in ["a.b.c", &good] {
        assert_problem(ask(&server, token).await, 429, "rate_limited").await;
    }
}

#[tokio::test]
async fn without_settings_there_is_no_login_by_token() {
    let server = Server::start();
    assert_problem(ask(&server, "a.b.c").await, 404, "not_found").await;
}

#[tokio::test]
async fn a_jwks_is_enough() {
    let stub = MockServer::start().await;
    let signer = Signer::rs256("r");
    let keys = json!({"keys": [signer.jwk()]});
    let answer = ResponseTemplate::new(200).set_body_json(&keys);
    Mock::given(path("/keys")).respond_with(answer).mount(&stub).await;
    let server = Start::default()
        .set("auth.jwt.issuer", ISSUER)
        .set("auth.jwt.audience", AUDIENCE)
        .set("auth.jwt.algorithms", "RS256")
        .set("auth.jwt.jwks_url", format!("{}/keys", stub.uri()))
        .run();
    log_in(&server, &signer.token(&claims("4711"))).await;
    drop(stub);
    log_in(&server, &signer.token(&claims("4711"))).await;
    let unknown = Signer::rs256("x").token(&claims("4711"));
    assert_problem(ask(&server, &unknown).await, 401, "token_invalid").await;
}

#[tokio::test]
async fn keys_that_are_away_are_nobodys_fault() {
    let server = Start::default()
        .set("auth.jwt.issuer", ISSUER)
        .set("auth.jwt.audience", AUDIENCE)
        .set("auth.jwt.algorithms", "RS256")
        .set("auth.jwt.jwks_url", "http://127.0.0.1:1/keys")
        .run();
    let token = Signer::rs256("r").token(&claims("4711"));
    for _ in 0..12 {
        assert_problem(ask(&server, &token).await, 503, "unavailable").await;
    }
}

#[tokio::test]
async fn a_usersig_leads_to_the_user_of_the_same_id() {
    let signers = [Signer::hs256("h")];
    let (start, _file) = start(&signers);
    let server =
        start.set("auth.usersig.app_id", 1_400_000_000).set("auth.usersig.secret", "s").run();
    let by_jwt = log_in(&server, &signers[0].token(&claims("4711"))).await;
    let usersig = super::usersig::made("s", "4711", now(), 600);
    assert_eq!(log_in(&server, &usersig).await["user"], by_jwt["user"]);
    let expired = super::usersig::made("s", "4711", now() - 1_000, 600);
    assert_problem(ask(&server, &expired).await, 401, "token_expired").await;
    let forged = super::usersig::made("another", "4711", now(), 600);
    assert_problem(ask(&server, &forged).await, 401, "token_invalid").await;
    assert!(!server.log().contains(&usersig));
}
