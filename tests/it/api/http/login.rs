//! Logging in, by a name and by WeChat, and out.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::query_param};

use super::{is_time, keys};
use crate::harness::{
    Server, Start,
    server::{assert_problem, json_of},
};

#[tokio::test]
async fn the_same_name_is_the_same_user_with_another_session() {
    let server = Server::start();
    let login = async |name: &str| {
        let response = server.post("/v1/login/demo", &json!({"name": name})).await;
        assert_eq!(response.status(), StatusCode::OK);
        json_of(response).await
    };
    let (first, again, other) = (login("张三").await, login("张三").await, login("李四").await);
    assert_eq!(keys(&first), ["expiresAt", "token", "user"]);
    assert!(is_time(&first["expiresAt"]), "{}", first["expiresAt"]);
    assert_eq!(first["user"]["name"], "张三");
    assert_eq!(first["user"]["avatarUrl"], Value::Null);
    assert_eq!(first["user"], again["user"]);
    assert_ne!(first["token"], again["token"]);
    assert_ne!(first["user"]["id"], other["user"]["id"]);
    // 256 bits need 43 characters of base64.
    assert!(first["token"].as_str().unwrap().len() >= 43);
}

#[tokio::test]
async fn a_demo_name_has_1_to_32_characters_of_which_one_can_be_seen() {
    let server = Server::start();
    for name in ["x", "😀".repeat(32).as_str(), "שלום", "%_'\"<b>\\"] {
        assert_eq!(server.person(name).await.name, name);
    }
    for (code, names) in [
        ("invalid_request", ["", &"x".repeat(33), &"😀".repeat(33)]),
        ("invalid_name", [" ", "\u{3164}\u{2800}", "\u{202e}שלום"]),
        ("invalid_name", ["已注销", " 已注销\n", "a\u{200b}b"]),
    ] {
        for name in names {
            let refused = server.post("/v1/login/demo", &json!({"name": name})).await;
            assert_problem(refused, 400, code).await;
        }
    }
}

#[tokio::test]
async fn a_name_that_looks_the_same_is_the_same_demo_user() {
    let server = Server::start();
    let composed = server.person("René 가").await;
    for same in ["Rene\u{301} \u{1100}\u{1161}", "\u{3000}René 가\t"] {
        let again = server.person(same).await;
        assert_eq!((again.id, again.name), (composed.id, composed.name.clone()));
    }
    let found = composed.get_json("/v1/users?query=Rene%CC%81").await;
    assert_eq!(found["users"][0]["id"], composed.id, "however the keyboard makes it");
}

#[tokio::test]
async fn a_name_that_was_taken_before_the_rules_stays_readable() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let old = "\u{202e} a\u{200b}\n\u{3164}".to_owned() + &"x".repeat(40);
    let url = format!("sqlite://{}", server.database().display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let renamed = sqlx::query("UPDATE users SET name = ?1 WHERE id = ?2").bind(&old).bind(li.id);
    renamed.execute(&pool).await.unwrap();
    assert_eq!(zhang.send(li.id, "k", "你好").await["chat"]["targetUserName"], *old);
    assert_eq!(li.get_json("/v1/me").await["name"], *old);
    assert_eq!(
        zhang.get_json("/v1/events?since=0").await["events"][0]["chat"]["targetUserName"],
        *old
    );
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["peer"]["name"], *old);
}

#[tokio::test]
async fn a_login_that_is_off_is_not_found() {
    let server = Start::default().set("auth.demo_login", false).run();
    let refused = server.post("/v1/login/demo", &json!({"name": "张三"})).await;
    assert_problem(refused, 404, "not_found").await;
    let refused = server.post("/v1/login/wechat", &json!({"code": "c"})).await;
    assert_problem(refused, 404, "not_found").await;
}

#[tokio::test]
async fn who_is_renamed_stays_the_demo_user_of_the_old_name() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let renamed = zhang.request(reqwest::Method::PATCH, "/v1/me").body(r#"{"name":"王五"}"#);
    assert_eq!(renamed.send().await.unwrap().status(), StatusCode::OK);
    let again = server.person("张三").await;
    assert_eq!((again.id, again.name.as_str()), (zhang.id, "王五"));
    assert_ne!(server.person("王五").await.id, zhang.id);
}

#[tokio::test]
async fn wechat_says_who_somebody_is_and_the_openid_stays_here() {
    let wechat = MockServer::start().await;
    for (code, answer) in [
        ("good", r#"{"openid":"the-openid","session_key":"the-key"}"#),
        ("of-another", r#"{"openid":"another-openid","session_key":"k"}"#),
        ("used", r#"{"errcode":40163,"errmsg":"code been used"}"#),
        ("blocked", r#"{"errcode":40226,"errmsg":"code blocked"}"#),
        ("often", r#"{"errcode":45011,"errmsg":"api minute-quota reach limit"}"#),
        ("busy", r#"{"errcode":-1,"errmsg":"system error"}"#),
    ] {
        Mock::given(query_param("js_code", code))
            .respond_with(ResponseTemplate::new(200).set_body_raw(answer, "text/plain"))
            .mount(&wechat)
            .await;
    }
    let server = Start::default()
        .set("wechat.base_url", wechat.uri())
        .set("wechat.appid", "wx1")
        .set("wechat.secret", "s")
        .run();
    let log_in = async |code: &str| server.post("/v1/login/wechat", &json!({"code": code})).await;

    let (first, again, other) =
        (log_in("good").await, log_in("good").await, log_in("of-another").await);
    assert_eq!(first.status(), StatusCode::OK);
    let (first, again, other) = (json_of(first).await, json_of(again).await, json_of(other).await);
    assert_eq!(keys(&first), ["expiresAt", "token", "user"]);
    assert_eq!(keys(&first["user"]), ["avatarUrl", "id", "name"]);
    assert!(!first.to_string().contains("the-"), "{first}");
    assert_eq!(first["user"]["id"], again["user"]["id"]);
    assert_ne!(first["user"]["id"], other["user"]["id"]);
    // Somebody who takes the name of a WeChat user is not that user.
    let name = first["user"]["name"].as_str().unwrap();
    assert_ne!(json!(server.person(name).await.id), first["user"]["id"]);

    assert_problem(log_in("used").await, 401, "wechat_code_invalid").await;
    assert_problem(log_in("blocked").await, 403, "wechat_user_blocked").await;
    // With `Retry-After`, as `assert_problem` checks.
    assert_problem(log_in("often").await, 429, "rate_limited").await;
    assert_problem(log_in("busy").await, 503, "wechat_unavailable").await;
    assert_problem(log_in("").await, 400, "invalid_request").await;
}

#[tokio::test]
async fn logout_ends_this_session_and_no_other() {
    let server = Server::start();
    let (here, there) = (server.person("张三").await, server.person("张三").await);
    let (mut at_here, mut at_there) = (here.online().await, there.online().await);
    let answer = here.request(reqwest::Method::POST, "/v1/logout").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.text().await.unwrap(), "");
    assert_eq!(at_here.closed().await, 4401);
    assert_problem(here.get("/v1/me").await, 401, "unauthorized").await;
    assert_problem(here.post("/v1/logout", &json!({})).await, 401, "unauthorized").await;
    there.get_json("/v1/me").await;
    at_there.expect_quiet().await;
}

#[tokio::test]
async fn logout_everywhere_ends_all_sessions_of_the_user() {
    let server = Server::start();
    let (here, there) = (server.person("张三").await, server.person("张三").await);
    let other = server.person("李四").await;
    for wrong in [json!("true"), json!(1), json!([true]), json!({})] {
        let refused = here.post("/v1/logout", &json!({"everywhere": wrong})).await;
        let detail = assert_problem(refused, 400, "invalid_request").await;
        assert!(detail.contains("everywhere"), "{detail}");
    }
    let foreign = here.post("/v1/logout", &json!({"everywhere": true, "userId": other.id})).await;
    assert_problem(foreign, 403, "forbidden").await;
    for person in [&here, &there, &other] {
        assert_eq!(person.get("/v1/me").await.status(), 200);
    }
    let third = server.person("张三").await;
    for one in [json!({"everywhere": false}), json!({"everywhere": null})] {
        let person = server.person("张三").await;
        assert_eq!(person.post("/v1/logout", &one).await.status(), 204);
        assert_problem(person.get("/v1/me").await, 401, "unauthorized").await;
    }
    let answer = here.post("/v1/logout", &json!({"everywhere": true})).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for person in [&here, &there, &third] {
        assert_problem(person.get("/v1/me").await, 401, "unauthorized").await;
    }
    assert_eq!(other.get("/v1/me").await.status(), 200);
    assert_eq!(server.person("张三").await.id, here.id, "and may come back");
}
