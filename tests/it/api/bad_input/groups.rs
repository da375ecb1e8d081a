//! Bad bodies and frames of groups, of what one keeps of a conversation, of cards, quotes and mentions.

use reqwest::Method;
use serde_json::json;

use super::{
    Is, Stage,
    bodies::{Form, form, refuse_large_bodies, refuse_no_objects, refuse_wrong_values},
    frames::{refuse, without_presence},
    with,
};
use crate::harness::server::assert_problem;

/// As in `/v1/chats` and in the frame `send`.
const OF_A_CHAT: [(&str, Is); 7] = [
    ("clientMsgId", Is::Key),
    ("conversationId", Is::OptionalId),
    ("kind", Is::OptionalWord),
    ("content", Is::Content),
    ("replyTo", Is::OptionalId),
    ("mentions", Is::OptionalMentions),
    ("userId", Is::OptionalId),
];

fn forms(stage: &Stage) -> Vec<Form> {
    use Is::{Card, Key, OptionalDraft, OptionalFlag, OptionalId, OptionalTitle, Users, Word};
    let (group, li) = (stage.group.unwrap().to_string(), stage.li.id.to_string());
    let at = |rest: &str| format!("/v1/conversations/{group}{rest}");
    let users = format!("[{li}]");
    let user = ("userId", OptionalId);
    vec![
        form(
            Method::POST,
            "/v1/conversations",
            201,
            &[("kind", r#""group""#), ("key", r#""k""#), ("userIds", &users)],
            vec![("kind", Word), ("key", Key), ("title", OptionalTitle), ("userIds", Users), user],
        ),
        form(
            Method::PUT,
            &at(""),
            200,
            &[("title", r#""游泳""#)],
            vec![("title", OptionalTitle), user],
        ),
        form(
            Method::POST,
            &at("/members"),
            200,
            &[("userIds", &users)],
            vec![("userIds", Users), user],
        ),
        form(
            Method::PUT,
            &at(&format!("/members/{li}")),
            200,
            &[("role", r#""admin""#)],
            vec![("role", Word), user],
        ),
        form(
            Method::PUT,
            &at("/settings"),
            200,
            &[("muted", "true")],
            vec![
                ("pinned", OptionalFlag),
                ("muted", OptionalFlag),
                ("markedUnread", OptionalFlag),
                ("draft", OptionalDraft),
                user,
            ],
        ),
        form(
            Method::POST,
            "/v1/chats",
            201,
            &[("clientMsgId", r#""k""#), ("conversationId", &group), ("content", r#""走""#)],
            OF_A_CHAT.to_vec(),
        ),
        form(
            Method::POST,
            "/v1/chats",
            201,
            &[
                ("clientMsgId", r#""c""#),
                ("conversationId", &group),
                ("kind", r#""card""#),
                ("body", r#"{"title":"订单"}"#),
            ],
            vec![("body", Card), ("replyTo", OptionalId), ("mentions", Is::OptionalMentions)],
        ),
    ]
}

#[tokio::test]
async fn every_wrong_value_of_groups_is_refused() {
    let stage = Stage::with_group().await;
    refuse_wrong_values(&stage, &forms(&stage)).await;
    stage.assert_alive().await;
}

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let stage = Stage::with_group().await;
    refuse_no_objects(&stage, &forms(&stage)).await;
    stage.assert_alive().await;
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let stage = Stage::with_group().await;
    refuse_large_bodies(&stage, &forms(&stage)).await;
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let stage = Stage::with_group().await;
    let before = stage.seen().await;
    let (group, li, chat) = (stage.group.unwrap(), stage.li.id, stage.chat);
    let card = json!({"title": "a"});
    for (more, status, code) in [
        (json!({"content": "x"}), 400, "invalid_request"),
        (
            json!({"conversationId": group, "targetUserId": li, "content": "x"}),
            400,
            "invalid_request",
        ),
        (json!({"conversationId": group}), 400, "invalid_request"),
        (json!({"conversationId": group, "content": "x", "body": card}), 400, "invalid_request"),
        (
            json!({"conversationId": group, "kind": "card", "content": "x", "body": card}),
            400,
            "invalid_request",
        ),
        (json!({"conversationId": group, "kind": "card", "content": "x"}), 400, "invalid_request"),
        (json!({"conversationId": group, "kind": "system", "content": "x"}), 403, "forbidden"),
        (json!({"conversationId": group, "kind": "system", "body": card}), 403, "forbidden"),
        (
            json!({"conversationId": group, "content": "x", "mentions": [li, li + 1]}),
            400,
            "invalid_request",
        ),
        (json!({"targetUserId": li, "content": "x", "mentions": "all"}), 400, "invalid_request"),
        (
            json!({"conversationId": stage.conversation, "content": "x", "mentions": "all"}),
            400,
            "invalid_request",
        ),
        // Of another conversation, and of none.
        (json!({"conversationId": group, "content": "x", "replyTo": chat}), 404, "chat_not_found"),
        (
            json!({"targetUserId": li, "content": "x", "replyTo": 9_007_199_254_740_991_i64}),
            404,
            "chat_not_found",
        ),
        (
            json!({"conversationId": 9_007_199_254_740_991_i64, "content": "x"}),
            404,
            "conversation_not_found",
        ),
    ] {
        let mut body = more.clone();
        body["clientMsgId"] = "w".into();
        let answer = stage.zhang.post("/v1/chats", &body).await;
        assert_eq!(answer.status(), status, "{more}");
        assert_problem(answer, status, code).await;
    }
    let direct = format!("/v1/conversations/{}", stage.conversation);
    for (method, path, body) in [
        (Method::PUT, direct.clone(), json!({"title": "x"})),
        (Method::PUT, direct.clone(), json!({})),
        (Method::POST, format!("{direct}/members"), json!({"userIds": [li]})),
        (Method::PUT, format!("{direct}/members/{li}"), json!({"role": "owner"})),
        (Method::DELETE, format!("{direct}/members/{li}"), json!({})),
        (Method::GET, format!("{direct}/members"), json!({})),
    ] {
        let answer = stage.zhang.request(method, &path).body(body.to_string()).send().await;
        assert_problem(answer.unwrap(), 404, "conversation_not_found").await;
    }
    assert_eq!(stage.seen().await, before);
    stage.assert_alive().await;
}

#[tokio::test]
async fn every_wrong_value_of_a_frame_is_an_error_and_the_socket_stays() {
    let stage = Stage::with_group().await;
    let before = stage.seen().await;
    let group = stage.group.unwrap().to_string();
    let fields = |list: &[(&'static str, &str)]| {
        list.iter().map(|(key, value)| (*key, (*value).to_owned())).collect::<Vec<_>>()
    };
    let send = fields(&[
        ("type", r#""send""#),
        ("clientMsgId", r#""k""#),
        ("conversationId", &group),
        ("content", r#""走""#),
    ]);
    let card = fields(&[
        ("type", r#""send""#),
        ("clientMsgId", r#""k""#),
        ("conversationId", &group),
        ("kind", r#""card""#),
        ("body", r#"{"title":"订单"}"#),
    ]);
    let typing = fields(&[("type", r#""typing""#), ("conversationId", &group)]);
    let state = fields(&[("type", r#""state""#), ("background", "true")]);
    let mut rows: Vec<_> = OF_A_CHAT.iter().map(|(key, kind)| (&send, *key, *kind)).collect();
    rows.extend([
        (&card, "body", Is::Card),
        (&typing, "conversationId", Is::Id),
        (&typing, "targetUserId", Is::OptionalId),
        (&typing, "userId", Is::OptionalId),
        (&state, "background", Is::Flag),
        (&state, "userId", Is::OptionalId),
    ]);
    let mut socket = stage.zhang.online().await;
    let mut at_li = stage.li.online().await;
    for (frame, key, kind) in rows {
        for (value, code) in kind.wrong() {
            refuse(&mut socket, &with(frame, key, value.as_deref()), code).await;
        }
    }
    // Each of them is an id, and not the two together.
    let both = with(&typing, "targetUserId", Some(&stage.li.id.to_string()));
    refuse(&mut socket, &both, "invalid_request").await;
    at_li.expect_quiet().await;
    assert_eq!(without_presence(&stage.seen().await), without_presence(&before));
    for good in [&state, &typing] {
        socket.send_text(&with(good, "", None)).await;
        socket.expect_quiet().await;
    }
    at_li.expect("typing").await;
    socket.send_text(&with(&send, "", None)).await;
    assert_eq!(socket.expect("sent").await["seq"], 6);
}
