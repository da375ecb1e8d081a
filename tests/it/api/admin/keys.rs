//! API keys: how they are made, shown and revoked, what they may do, and what is noted of it.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{BackEnd, Server, Start, server::assert_problem};

fn api_key(server: &Server, args: &[&str]) -> (bool, String) {
    let output = server.command(&[&["admin", "api-key"], args].concat());
    let is_done = output.status.success();
    let said = if is_done { output.stdout } else { output.stderr };
    (is_done, String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_key_is_shown_once_and_good_until_it_is_revoked() {
    let server = Server::start();
    let (old, new) = (server.back_end("audit"), server.back_end("all"));
    for key in [&old.key, &new.key] {
        assert!(key.starts_with("imk_") && key.len() == 47, "{key}");
    }
    // Two are good at once.
    for back_end in [&old, &new] {
        assert_eq!(back_end.get("/audit").await.status(), 200);
    }
    let (_, list) = api_key(&server, &["list"]);
    assert!(!list.contains("imk_"), "{list}");
    let rows: Vec<Vec<_>> = list.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["id", "name", "scopes", "created", "last used", "revoked"]);
    assert_eq!((rows[1][..3].to_vec(), rows[1][5]), (vec!["1", "crm", "audit"], "-"));
    assert!(rows[1][4].ends_with('Z') && rows.len() == 3, "{list}");

    let (is_done, _) = api_key(&server, &["revoke", "1"]);
    assert!(is_done);
    assert_problem(old.get("/audit").await, 401, "unauthorized").await;
    assert_eq!(new.get("/audit").await.status(), 200);
    let (is_done, why) = api_key(&server, &["revoke", "1"]);
    assert!(!is_done && why.contains("no key 1 that is good"), "{why}");
    let (_, list) = api_key(&server, &["list"]);
    assert!(list.lines().nth(1).unwrap().ends_with('Z'), "{list}");
    assert!(!server.log().contains("imk_"), "the log shows a key");
}

#[test]
fn a_key_wants_a_name_and_scopes_that_there_are() {
    let server = Server::start();
    for args in [
        &["create"][..],
        &["create", "--name", "x"],
        &["create", "--scopes", "users"],
        &["create", "--name", "x", "--scopes", "user"],
        &["create", "--name", "x", "--scopes", ""],
        &["create", "--name", "x", "--scopes", "users,,chats"],
        &["create", "--name", " ", "--scopes", "users"],
        &["create", "--name", "a\nb", "--scopes", "users"],
        &["revoke"],
        &["revoke", "0"],
        &["revoke", "x"],
    ] {
        let (is_done, said) = api_key(&server, args);
        assert!(!is_done && !said.contains("imk_"), "{args:?}: {said}");
    }
    assert_eq!(api_key(&server, &["list"]).1.lines().count(), 1, "none was made");
}

#[tokio::test]
async fn a_key_opens_nothing_but_the_server_api_and_a_session_opens_that_not() {
    let server = Start::default().set("limits.enabled", false).run();
    let back_end = server.back_end("all");
    let zhang = server.person("张三").await;
    for path in ["/v1/me", "/v1/conversations", "/v1/events"] {
        let request = server.request(Method::GET, path).bearer_auth(&back_end.key);
        assert_problem(request.send().await.unwrap(), 401, "unauthorized").await;
    }
    for key in [&zhang.token, "", "x", &back_end.key[4..], &format!("{}A", back_end.key)] {
        let wrong = BackEnd { key: key.to_owned(), ..back_end.clone() };
        let answer = wrong.get("/audit").await;
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_problem(answer, 401, "unauthorized").await;
    }
    assert_problem(server.get("/v1/admin/audit").await, 401, "unauthorized").await;
    let in_url = format!("/v1/admin/audit?token={}", back_end.key);
    assert_problem(server.get(&in_url).await, 400, "token_in_url").await;
}

#[tokio::test]
async fn what_a_key_may_not_do_is_refused_and_noted() {
    let server = Server::start();
    let (all, users) = (server.back_end("all"), server.back_end("users"));
    let why = assert_problem(users.get("/audit").await, 403, "forbidden").await;
    assert!(why.contains("`audit`"), "{why}");
    let log = all.get_json("/audit").await;
    let entries = log["entries"].as_array().unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| ["keyId", "keyName", "action", "subject", "outcome"].map(|key| &entry[key]))
        .map(|values| values.map(Value::to_string).join(" "))
        .collect();
    assert_eq!(
        shown,
        [
            r#"1 "crm" "audit.read" null null"#,
            r#"2 "crm" "audit.read" null "forbidden""#,
            r#"null null "api_key.create" "api_key:2" "ok""#,
            r#"null null "api_key.create" "api_key:1" "ok""#,
        ]
    );
    assert!(entries.iter().all(|entry| crate::api::http::is_time(&entry["createTime"])));
    let older = all.get_json(&format!("/audit?before={}&limit=1", entries[2]["id"])).await;
    assert_eq!(older["entries"].as_array().unwrap(), &entries[3..]);
    assert_eq!(older["hasMore"], false);
    assert_eq!(all.audited().await.len(), 2);
}

#[tokio::test]
async fn wrong_keys_cost_only_those_who_have_them() {
    let server = Start::default().set("limits.failures_per_min", 3).run();
    let back_end = server.back_end("audit");
    let wrong = BackEnd { key: back_end.key.replace("imk_", "imk_A"), ..back_end.clone() };
    for _ in 0..3 {
        assert_problem(wrong.get("/audit").await, 401, "unauthorized").await;
    }
    assert_problem(wrong.get("/audit").await, 429, "rate_limited").await;
    assert_eq!(back_end.get("/audit").await.status(), 200);
    // Neither logins nor sockets of the address are counted with them.
    server.person("张三").await.online().await;
}

#[tokio::test]
async fn with_a_listener_of_its_own_the_server_api_is_nowhere_else() {
    let server = Start::default().set("admin.listen", "127.0.0.1:0").run();
    assert_ne!(server.admin, server.addr);
    let back_end = server.back_end("audit");
    assert_eq!(back_end.get("/audit").await.status(), 200);
    let elsewhere = BackEnd { addr: server.addr, ..back_end.clone() };
    assert_problem(elsewhere.get("/audit").await, 404, "not_found").await;
    let beside = server.http.get(format!("http://{}/v1/service", server.admin)).send().await;
    assert_problem(beside.unwrap(), 404, "not_found").await;
    assert_problem(back_end.post("/audit", &Value::Null).await, 405, "method_not_allowed").await;
    let rebound = back_end.request(Method::GET, "/audit").header("host", "evil.example");
    assert_problem(rebound.send().await.unwrap(), 403, "host_not_allowed").await;
    // The document describes it wherever it is.
    let document = server.get("/v1/openapi.json").await.text().await.unwrap();
    assert!(document.contains("/v1/admin/audit"));
}
