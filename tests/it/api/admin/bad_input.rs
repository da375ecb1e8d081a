//! Bad input on every route of the server API: a typed refusal, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};

use super::{routes, set};
use crate::{
    api::bad_input::{Is, deep, no_objects, shown, with},
    harness::server::assert_problem,
};

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let (server, back_end) = set();
    for (method, template, path, body, _) in routes(1) {
        if body.is_null() {
            continue;
        }
        for wrong in no_objects() {
            // A list may be one, but of users.
            let text = shown(&String::from_utf8_lossy(&wrong));
            let answer = back_end.request(method.clone(), &path).body(wrong).send().await.unwrap();
            // What a path names may be missing before its body is looked at.
            let status = answer.status();
            let is_named = template.contains("{id}") && status == 404;
            assert!(status == 400 || is_named, "{method} {template} {text}: {status}");
        }
    }
    assert_eq!(super::super::http::keys(&json!({})), [""; 0]);
    drop(server);
}

/// A request, its good fields, one of them, and wrong values of it.
type Case<'a> = (Method, String, &'a Vec<(&'static str, String)>, &'static str, Vec<String>);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of values")]
async fn every_wrong_value_of_every_key_is_refused() {
    let (server, back_end) = set();
    for id in ["u1", "u2"] {
        back_end.put(&format!("/users/{id}"), &json!({"name": id})).await;
    }
    let group = json!({"kind": "group", "externalId": "g", "members": ["u1", "u2"]});
    back_end.post("/conversations", &group).await;
    let texts = |wrong: &[&str]| -> Vec<String> {
        let texts = wrong.iter().map(|text| json!(text).to_string());
        texts.chain(["true".into(), "[]".into(), "{}".into(), "1.5".into(), deep()]).collect()
    };
    let long = "x".repeat(129);
    let external = texts(&["", " ", "a b", "\u{0}", "system", "id:7", ".", "..", &long]);
    let named = texts(&["", " ", "a b", "id:0", "id:x", &long]);
    let quoted = |text: &str| json!(text).to_string();
    let put = vec![("name", quoted("甲"))];
    let session = vec![("externalId", quoted("u1"))];
    let chat = vec![
        ("from", quoted("u1")),
        ("to", quoted("u2")),
        ("clientMsgId", quoted("k")),
        ("content", quoted("x")),
    ];
    let begin = vec![("kind", quoted("group")), ("members", r#"["u1","u2"]"#.to_owned())];
    let members = vec![("members", r#"["u1"]"#.to_owned())];
    let restriction = vec![("kind", quoted("muted"))];
    let (held, report) = (vec![("action", quoted("refuse"))], vec![("action", quoted("resolve"))]);
    let wrong_members: Vec<String> = [
        "[]",
        "{}",
        "1",
        r#""u1""#,
        "[null]",
        "[[]]",
        "[0]",
        r#"[""]"#,
        r#"["id:x"]"#,
        "[{}]",
        r#"[{"userId":1,"externalId":"u1"}]"#,
        r#"[{"externalId":"u1","role":"king"}]"#,
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("[{}]", vec!["\"u1\""; 1_001].join(","))])
    .collect();
    let wrong = |is: Is| is.wrong().into_iter().filter_map(|(value, _)| value).collect::<Vec<_>>();
    let (post, route) = (Method::POST, "/conversations/external:g");
    let cases: Vec<Case<'_>> = vec![
        (Method::PUT, "/users/u1".into(), &put, "name", wrong(Is::Name)),
        (
            Method::PUT,
            "/users/u1".into(),
            &put,
            "avatarUrl",
            texts(&["x", "http://a/b.png", "javascript:x"]),
        ),
        (
            Method::PUT,
            "/users/u1".into(),
            &put,
            "profile",
            vec![
                "1".into(),
                "[]".into(),
                r#"{"public":1}"#.into(),
                r#"{"private":[]}"#.into(),
                format!(r#"{{"public":{{"x":"{}"}}}}"#, "x".repeat(4_096)),
            ],
        ),
        (post.clone(), "/sessions".into(), &session, "externalId", external.clone()),
        (post.clone(), "/sessions".into(), &session, "userId", wrong(Is::OptionalId)),
        (post.clone(), "/chats".into(), &chat, "from", named.clone()),
        (post.clone(), "/chats".into(), &chat, "to", [&named[..], &[quoted("system")]].concat()),
        (post.clone(), "/chats".into(), &chat, "conversationId", vec!["1".into(), "0".into()]),
        (post.clone(), "/chats".into(), &chat, "conversationExternalId", vec![quoted("g")]),
        (post.clone(), "/chats".into(), &chat, "clientMsgId", wrong(Is::Key)),
        (post.clone(), "/chats".into(), &chat, "content", wrong(Is::Content)),
        (post.clone(), "/chats".into(), &chat, "kind", texts(&["", "video", "SYSTEM"])),
        (post.clone(), "/conversations".into(), &begin, "externalId", external),
        (post.clone(), "/conversations".into(), &begin, "kind", texts(&["", "channel"])),
        (post.clone(), "/conversations".into(), &begin, "members", wrong_members.clone()),
        (Method::PUT, "/users/u1/restriction".into(), &restriction, "kind", texts(&["", "gone"])),
        (
            Method::PUT,
            "/users/u1/restriction".into(),
            &restriction,
            "until",
            texts(&["", "2999-01-01", "2999-01-01T00:00:00", "1"]),
        ),
        (
            Method::PUT,
            "/users/u1/restriction".into(),
            &restriction,
            "reason",
            texts(&["", "\u{0}", &"x".repeat(501)]),
        ),
        (post.clone(), "/held/1".into(), &held, "action", texts(&["", "recall"])),
        (post.clone(), "/held/1".into(), &held, "detail", texts(&["", &"x".repeat(201)])),
        (post.clone(), "/reports/1".into(), &report, "action", texts(&["", "release"])),
        (Method::PUT, route.into(), &begin, "title", texts(&["", " ", "a\u{0}b", &long])),
        (post.clone(), format!("{route}/members"), &members, "members", wrong_members.clone()),
        (Method::DELETE, format!("{route}/members"), &members, "members", wrong_members),
    ];
    for (method, path, good, key, values) in cases {
        for value in values {
            let body = with(good, key, Some(&value));
            let request = back_end.request(method.clone(), &path).body(body.clone());
            let answer = request.send().await.unwrap();
            let status = answer.status();
            assert_eq!(status, 400, "{method} {path} {key} {}", shown(&body));
        }
        if good.iter().any(|(name, _)| *name == key) && !matches!(key, "title" | "kind") {
            let request = back_end.request(method.clone(), &path).body(with(good, key, None));
            assert_problem(request.send().await.unwrap(), 400, "invalid_request").await;
        }
    }
    let both = json!({"kind": "direct", "members": ["u1", "u2"], "title": "x"});
    assert_problem(back_end.post("/conversations", &both).await, 400, "invalid_request").await;
    let owners = json!({"kind": "group", "members": [{"externalId": "u1", "role": "owner"}, {"externalId": "u2", "role": "owner"}]});
    assert_problem(back_end.post("/conversations", &owners).await, 400, "invalid_request").await;
    for path in ["/users/system", "/users/id:x", "/users/a%20b", "/users/%00", "/users/%ff"] {
        let answer = back_end.put(path, &json!({"name": "x"})).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for path in
        ["/conversations/x", "/conversations/0", "/conversations/external:", "/chats/x/recall"]
    {
        let method = if path.ends_with("recall") { Method::POST } else { Method::PUT };
        let answer = back_end.send(method, path, &json!({})).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for query in ["before=x", "after=-1", "before=1&after=1", "limit=0"] {
        let answer = back_end.get(&format!("{route}/chats?{query}")).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for path in ["/held/x", "/reports/0"] {
        let answer = back_end.post(path, &json!({"action": "resolve"})).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for path in ["/held?after=x", "/held?limit=0", "/reports?after=-1"] {
        assert_problem(back_end.get(path).await, 400, "invalid_request").await;
    }
    for query in ["before=x", "before=0", "limit=x"] {
        assert_problem(back_end.get(&format!("/audit?{query}")).await, 400, "invalid_request")
            .await;
    }
    // Nobody was made, and nothing was said.
    let chats = back_end.get_json(&format!("{route}/chats")).await;
    assert_eq!(chats["chats"].as_array().unwrap().len(), 1);
    drop(server);
}

#[tokio::test]
async fn a_list_of_users_is_taken_whole_or_not_at_all() {
    let (server, back_end) = set();
    let user = |n: usize| json!({"externalId": format!("u{n}"), "name": "甲"});
    let most: Vec<Value> = (0..1_000).map(user).collect();
    let too_many = json!((0..1_001).map(user).collect::<Vec<_>>());
    for wrong in [
        json!([]),
        too_many,
        json!({"users": []}),
        json!([user(1), {"externalId": "u2"}]),
        json!([user(1), {"name": "x"}]),
        json!([user(1), user(1)]),
        json!([user(1), {"externalId": "u2", "name": " "}]),
        json!([user(1), null]),
        json!([user(1), "u2"]),
    ] {
        let answer = back_end.post("/users", &wrong).await;
        assert_eq!(answer.status(), 400, "{}", shown(&wrong.to_string()));
    }
    let session = back_end.post("/sessions", &json!({"externalId": "u1"})).await;
    assert_problem(session, 404, "user_not_found").await;
    let large = format!("[{}]", " ".repeat(4 * 1024 * 1024));
    let answer = back_end.request(Method::POST, "/users").body(large).send().await.unwrap();
    assert_problem(answer, 413, "payload_too_large").await;
    // More than any other body may be.
    let body = json!(most);
    assert!(body.to_string().len() < 64 * 1024);
    assert_eq!(back_end.post("/users", &body).await.status(), 200);
    drop(server);
}
