//! Bad bodies of HTTP requests.

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::{Method, Response};

use super::{Is, Stage, no_objects, shown, with};
use crate::harness::server::{assert_problem, json_of};

/// A request with a body that is good, and what its keys are.
pub struct Form {
    method: Method,
    path: String,
    fields: Vec<(&'static str, String)>,
    kinds: Vec<(&'static str, Is)>,
    /// The status of the good one.
    good: u16,
}

/// A form with these good fields.
pub fn form(
    method: Method,
    path: &str,
    good: u16,
    fields: &[(&'static str, &str)],
    kinds: Vec<(&'static str, Is)>,
) -> Form {
    let fields = fields.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Form { method, path: path.into(), fields, kinds, good }
}

fn forms(stage: &Stage) -> Vec<Form> {
    use Is::{Content, Id, Key, Name, OptionalId, OptionalKey, OptionalName, OptionalText, Text};
    let (zhang, li) = (stage.zhang.id.to_string(), stage.li.id.to_string());
    let read = format!("/v1/conversations/{}/read", stage.conversation);
    vec![
        form(
            Method::POST,
            "/v1/chats",
            201,
            &[("clientMsgId", r#""k""#), ("targetUserId", &li), ("content", r#""再见""#)],
            vec![
                ("clientMsgId", Key),
                ("targetUserId", Id),
                ("content", Content),
                ("userId", OptionalId),
            ],
        ),
        form(
            Method::POST,
            "/push",
            200,
            &[("userId", &zhang), ("targetUserId", &li), ("content", r#""再见""#)],
            vec![
                ("userId", Id),
                ("targetUserId", Id),
                ("content", Content),
                ("clientMsgId", OptionalKey),
            ],
        ),
        form(
            Method::POST,
            &read,
            204,
            &[("upTo", &stage.chat.to_string())],
            vec![("upTo", Id), ("userId", OptionalId)],
        ),
        form(
            Method::POST,
            "/v1/reports",
            201,
            &[("reportedUserId", &li), ("reason", r#""spam""#)],
            vec![("reportedUserId", OptionalId), ("userId", OptionalId)],
        ),
        form(
            Method::PATCH,
            "/v1/me",
            200,
            &[("name", r#""王五""#)],
            vec![("name", OptionalName), ("userId", OptionalId)],
        ),
        form(
            Method::PUT,
            "/v1/me",
            200,
            &[("name", r#""王五""#)],
            vec![("name", OptionalName), ("userId", OptionalId)],
        ),
        form(Method::POST, "/v1/login/demo", 200, &[("name", r#""赵六""#)], vec![("name", Name)]),
        form(
            Method::POST,
            "/v1/login/wechat",
            503,
            &[("code", r#""c""#), ("appid", r#""wx1""#)],
            vec![("code", Text), ("appid", OptionalText)],
        ),
        form(Method::POST, "/v1/login/token", 401, &[("token", r#""t""#)], vec![("token", Text)]),
    ]
}

impl Form {
    async fn send(&self, stage: &Stage, body: impl Into<reqwest::Body>) -> Response {
        let request = stage.zhang.request(self.method.clone(), &self.path);
        request.body(body).send().await.unwrap()
    }

    /// The good body, made this long by a key that nobody knows.
    fn padded(&self, length: usize) -> String {
        let good = with(&self.fields, "padding", Some(r#""""#));
        good.replace(
            r#""padding":"""#,
            &format!(r#""padding":"{}""#, "x".repeat(length - good.len())),
        )
    }
}

#[tokio::test]
async fn every_wrong_value_of_every_key_is_refused() {
    let stage = Stage::set().await;
    refuse_wrong_values(&stage, &forms(&stage)).await;
}

/// Sends each of these with each wrong value of each key: refused, and nothing changes.
pub async fn refuse_wrong_values(stage: &Stage, forms: &[Form]) {
    let before = stage.seen().await;
    for form in forms {
        for (key, kind) in &form.kinds {
            for (value, code) in kind.wrong() {
                let body = with(&form.fields, key, value.as_deref());
                let answer = form.send(stage, body.clone()).await;
                assert_eq!(answer.status(), 400, "{} {}", form.path, shown(&body));
                let detail = assert_problem(answer, 400, code).await;
                assert!(detail.contains(key), "{} {}: {detail}", form.path, shown(&body));
            }
        }
    }
    assert_eq!(stage.seen().await, before);
    stage.assert_alive().await;
}

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let stage = Stage::set().await;
    refuse_no_objects(&stage, &forms(&stage)).await;
}

/// Sends to each of these what is no object: refused, and nothing changes.
pub async fn refuse_no_objects(stage: &Stage, forms: &[Form]) {
    let before = stage.seen().await;
    for form in forms {
        for body in no_objects() {
            let text = shown(&String::from_utf8_lossy(&body));
            let answer = form.send(stage, body).await;
            assert_eq!(answer.status(), 400, "{} {text}", form.path);
            assert_problem(answer, 400, "invalid_request").await;
        }
    }
    assert_eq!(stage.seen().await, before);
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_body_is_refused_from_64_kib_and_1_byte_on() {
    let stage = Stage::set().await;
    refuse_large_bodies(&stage, &forms(&stage)).await;
}

/// Sends each of these too long: refused, and nothing changes; and as long as may be.
pub async fn refuse_large_bodies(stage: &Stage, forms: &[Form]) {
    let before = stage.seen().await;
    for form in forms {
        for body in [form.padded(64 * 1024 + 1), form.padded(300_000), " ".repeat(64 * 1024 + 1)] {
            assert_problem(form.send(stage, body).await, 413, "payload_too_large").await;
        }
        // In pieces, whose sum nobody says beforehand.
        let piece = Bytes::from_static(&[b' '; 8 * 1024]);
        let pieces = [(); 9].map(|()| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
        let body = reqwest::Body::wrap(StreamBody::new(futures_util::stream::iter(pieces)));
        assert_problem(form.send(stage, body).await, 413, "payload_too_large").await;
    }
    assert_eq!(stage.seen().await, before);
    for form in forms {
        let answer = form.send(stage, form.padded(64 * 1024)).await;
        assert_eq!(answer.status(), form.good, "{}", form.path);
    }
}

#[tokio::test]
async fn keys_that_nobody_knows_are_ignored_whatever_they_hold() {
    let strange = [
        r#""\ud800":1"#.to_owned(),
        r#""\udc00\ud800":"\ud800""#.to_owned(),
        r#""x":"\ud800""#.to_owned(),
        r#""":null"#.to_owned(),
        r#""\u0000":"\u0000""#.to_owned(),
        r#""x":1e400"#.to_owned(),
        r#""x":123456789012345678901234567890"#.to_owned(),
        r#""x":1,"x":2,"x":[]"#.to_owned(),
        format!(r#""x":{}"#, super::deep()),
        format!(r#""x":{}1{}"#, r#"{"y":"#.repeat(8_000), "}".repeat(8_000)),
        format!(r#""{}":1"#, "k".repeat(50_000)),
        (0..5_000).map(|n| format!(r#""{n}":{n}"#)).collect::<Vec<_>>().join(","),
    ];
    for strange in strange {
        let stage = Stage::set().await;
        for form in forms(&stage) {
            let body = with(&form.fields, "", None);
            let first = format!("{{{strange},{}", &body[1..]);
            let answer = form.send(&stage, first).await;
            assert_eq!(answer.status(), form.good, "{} {}", form.path, shown(&strange));
            if form.path == "/v1/chats" {
                let last = format!(" {},{strange}}}\r\n\t", &body[..body.len() - 1]);
                assert_eq!(form.send(&stage, last).await.status(), 200, "{}", shown(&strange));
            }
        }
    }
}

#[tokio::test]
async fn a_key_may_be_escaped_and_stand_twice() {
    let stage = Stage::set().await;
    let li = stage.li.id;
    // The same object as any parser reads it: escapes mean what they stand for, the last one counts.
    let body = format!(
        r#"{{"clientMsgId":"k","\u0074argetUserId":{li},"content":7,"content":"\u4f60\u597d\ud83d\ude00"}}"#
    );
    let answer = stage.zhang.request(Method::POST, "/v1/chats").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(json_of(answer).await["chat"]["content"], "你好😀");
    let twice = format!(
        r#"{{"clientMsgId":"l","targetUserId":{li},"content":"x","userId":{},"userId":{li}}}"#,
        stage.zhang.id
    );
    let answer = stage.zhang.request(Method::POST, "/v1/chats").body(twice).send().await.unwrap();
    assert_problem(answer, 403, "forbidden").await;
}

#[tokio::test]
async fn anonymous_names_have_their_bounds_and_make_nobody() {
    let stage = Stage::set().await;
    let push = async |body: String| {
        stage.server.request(Method::POST, "/push").body(body).send().await.unwrap()
    };
    let fields = [("userId", "1"), ("targetUserId", "2"), ("content", r#""x""#)];
    let fields = fields.map(|(key, value)| (key, value.to_owned()));
    for key in ["userName", "targetUserName"] {
        for (value, code) in Is::OptionalName.wrong() {
            let body = with(&fields, key, value.as_deref());
            assert_problem(push(body).await, 400, code).await;
        }
    }
    for (key, kind) in [("userId", Is::Id), ("targetUserId", Is::Id), ("content", Is::Content)] {
        for (value, code) in kind.wrong() {
            assert_problem(push(with(&fields, key, value.as_deref())).await, 400, code).await;
        }
    }
    for id in [1, 2] {
        let path = format!("/v1/users/{id}");
        assert_problem(stage.zhang.get(&path).await, 404, "user_not_found").await;
    }
}
