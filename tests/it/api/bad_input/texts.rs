//! Every text that a client can send, with what a database may not hold: never a fault of the service.

use reqwest::Method;
use serde_json::json;
use tokio::task::block_in_place;

use crate::harness::{Person, Server, Start, postgres, server::json_of};

/// As they stand in a query or a path.
const IN_URLS: [&str; 14] = [
    "%00",
    "a%00b",
    "%00%00",
    "%25",
    "%",
    "%zz",
    "%ff",
    "%ED%A0%80",
    "%C3%28",
    "%F4%90%80%80",
    "%EF%BF%BF",
    "%27%3B--",
    "%5C",
    "%F0%9F%98%80",
];

/// As they stand in JSON, within the quotes.
const IN_JSON: [&str; 12] = [
    r"\u0000",
    r"a\u0000b",
    r"\ud800",
    r"\udc00\ud800",
    r"\uffff",
    r"\ufffe",
    "%00",
    "%",
    r"\\",
    "';--",
    "😀",
    r"\u202e",
];

fn routes(zhang: &Person, text: &str) -> Vec<(Method, String)> {
    let get = [
        format!("/v1/users?query={text}"),
        format!("/v1/users?query=x&limit={text}"),
        format!("/v1/users/{text}"),
        format!("/v1/presence?userIds={text}"),
        format!("/v1/conversations?peerId={text}"),
        format!("/v1/conversations?before={text}"),
        format!("/v1/conversations/{text}/chats"),
        format!("/v1/conversations/1/chats?after={text}"),
        format!("/v1/conversations/1/chats?changedSince={text}"),
        format!("/v1/conversations/{text}"),
        format!("/v1/conversations/{text}/members"),
        format!("/v1/conversations/1/members?after={text}"),
        format!("/v1/events?since=0&epoch={text}"),
        format!("/v1/events?since={text}"),
        format!("/v1/avatars/{text}"),
        format!("/getMessage?userId={text}"),
        format!("/close?userId={text}"),
        format!("/getOnlineUser?userId={text}"),
        format!("/v1/me?{text}={text}"),
        format!("/{text}"),
    ];
    let mut routes: Vec<_> = get.into_iter().map(|path| (Method::GET, path)).collect();
    for rest in ["read", "hide", "clear"] {
        routes.push((Method::POST, format!("/v1/conversations/{text}/{rest}")));
    }
    routes.push((Method::POST, format!("/v1/chats/{text}/recall")));
    routes.push((Method::DELETE, format!("/v1/chats/{text}")));
    routes.push((Method::DELETE, format!("/v1/conversations/1/members/{text}")));
    routes.push((Method::POST, format!("/push?userId={}&x={text}", zhang.id)));
    routes
}

fn bodies(zhang: &Person, group: i64, text: &str) -> Vec<(Method, String, String)> {
    let mut bodies = Vec::new();
    for key in ["clientMsgId", "content", "userName", "targetUserName", "anything"] {
        let mut chat = json!({"userId": zhang.id, "targetUserId": zhang.id, "content": "x", "clientMsgId": "k"});
        chat[key] = "TEXT".into();
        let chat = chat.to_string().replace("TEXT", text);
        bodies.push((Method::POST, "/v1/chats".to_owned(), chat.clone()));
        bodies.push((Method::POST, "/push".to_owned(), chat));
    }
    for (method, path, key) in [
        (Method::POST, "/v1/login/demo", "name"),
        (Method::POST, "/v1/login/wechat", "code"),
        (Method::POST, "/v1/login/token", "token"),
        (Method::PATCH, "/v1/me", "name"),
        (Method::POST, "/v1/logout", "everywhere"),
    ] {
        bodies.push((method, path.to_owned(), format!(r#"{{"{key}":"{text}"}}"#)));
    }
    let at = format!("/v1/conversations/{group}");
    for (path, key) in [
        (at.clone(), "title"),
        (format!("{at}/settings"), "draft"),
        (format!("{at}/members/{}", zhang.id), "role"),
    ] {
        bodies.push((Method::PUT, path, format!(r#"{{"{key}":"{text}"}}"#)));
    }
    for key in ["kind", "key", "title"] {
        let mut new = json!({"kind": "group", "key": "k", "userIds": [zhang.id]});
        new[key] = "TEXT".into();
        let new = new.to_string().replace("TEXT", text);
        bodies.push((Method::POST, "/v1/conversations".to_owned(), new));
    }
    for card in [
        r#""title":"TEXT""#,
        r#""title":"a","description":"TEXT""#,
        r#""title":"a","path":"TEXT""#,
        r#""title":"a","url":"https://a.b/TEXT""#,
        r#""title":"a","imageUrl":"https://a.b/TEXT""#,
        r#""title":"a","data":{"TEXT":"TEXT"}"#,
    ] {
        let body = card.replace("TEXT", text);
        let key = format!("c{}", bodies.len());
        let card = format!(
            r#"{{"clientMsgId":"{key}","conversationId":{group},"kind":"card","body":{{{body}}}}}"#
        );
        bodies.push((Method::POST, "/v1/chats".to_owned(), card));
    }
    bodies
}

async fn no_text_is_a_fault(server: &Server) {
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let new = json!({"kind": "group", "key": "g", "userIds": [li.id]});
    let group = json_of(zhang.post("/v1/conversations", &new).await).await["id"].as_i64().unwrap();
    for text in IN_URLS {
        for (method, path) in routes(&zhang, text) {
            let answer = zhang.request(method, &path).send().await.unwrap();
            assert!(answer.status().as_u16() < 500, "{path}: {}", answer.status());
        }
    }
    for text in IN_JSON {
        for (method, path, body) in bodies(&zhang, group, text) {
            let answer =
                zhang.request(method.clone(), &path).body(body.clone()).send().await.unwrap();
            assert!(answer.status().as_u16() < 500, "{path} {body}: {}", answer.status());
            // With no token the names of a chat count.
            if path == "/push" {
                let answer = server.request(method, &path).body(body.clone()).send().await.unwrap();
                assert!(answer.status().as_u16() < 500, "{path} {body}: {}", answer.status());
            }
        }
        let mut socket = zhang.connect().await;
        socket
            .send_text(&format!(r#"{{"type":"hello","deviceId":"{text}","epoch":"{text}"}}"#))
            .await;
        socket.next().await;
        let mut socket = zhang.online().await;
        for frame in [
            format!(
                r#"{{"type":"send","clientMsgId":"{text}","targetUserId":{},"content":"x"}}"#,
                zhang.id
            ),
            format!(
                r#"{{"type":"send","clientMsgId":"f","targetUserId":{},"content":"{text}"}}"#,
                zhang.id
            ),
            format!(r#"{{"type":"watch","userIds":["{text}"]}}"#),
        ] {
            socket.send_text(&frame).await;
            let answer = socket.frame().await;
            assert_ne!(answer["code"], "internal", "{frame}");
            assert_ne!(answer["code"], "unavailable", "{frame}");
        }
    }
    let log = server.log();
    let fault = log
        .lines()
        .find(|line| line.contains("internal error") || line.contains("refused by the database"));
    assert_eq!(fault, None);
}

fn start() -> Start {
    Start::default()
        .set("limits.enabled", false)
        .set("auth.demo_login", true)
        .set("auth.anonymous", true)
        .set("users.directory", true)
        .set("log.filter", "info")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_a_fault_on_sqlite() {
    let server = block_in_place(|| start().run());
    no_text_is_a_fault(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_a_fault_on_postgres() {
    let database = postgres::database().await;
    let start = start().set("database.url", database).set("bus.single_replica", true);
    let server = block_in_place(|| start.run());
    no_text_is_a_fault(&server).await;
}
