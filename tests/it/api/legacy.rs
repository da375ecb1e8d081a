//! The legacy client, unchanged: exactly what it asks for and sends, and nothing that it does not.

use std::collections::BTreeSet;

use clap::Parser;
use loadtest::cli::{Cli, Command};
use serde_json::{Value, json};

use crate::harness::{
    Person, Seen, Server, Socket, Start, eventually,
    server::{assert_problem, json_of},
};
use tokio_tungstenite::tungstenite::Message;

/// What the legacy page sends when somebody presses the button.
fn chat(from: (i64, &str), to: (i64, &str), content: &str) -> Value {
    json!({
        "userId": from.0,
        "targetUserId": to.0,
        "userName": from.1,
        "targetUserName": to.1,
        "content": content,
    })
}

const ZHANG: (i64, &str) = (1, "张三");
const LI: (i64, &str) = (2, "李四");

async fn push(server: &Server, chat: &Value) {
    let request = server.request(reqwest::Method::POST, "/push");
    let request = request.header("content-type", "application/json").body(chat.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(response.text().await.unwrap(), "MSG SEND SUCCESS");
}

async fn messages(server: &Server, user: i64) -> Value {
    json_of(server.get(&format!("/getMessage?userId={user}")).await).await
}

fn contents(chats: &Value) -> Vec<&str> {
    chats.as_array().unwrap().iter().map(|chat| chat["content"].as_str().unwrap()).collect()
}

/// Reads frames until one ends with this chat.
async fn until_last(socket: &mut Socket, content: &str) -> Value {
    loop {
        let frame = socket.frame().await;
        if contents(&frame).last() == Some(&content) {
            return frame;
        }
    }
}

#[tokio::test]
async fn two_people_chat() {
    let server = Server::start();
    let (mut at_zhang, mut at_li) =
        (Socket::legacy(server.addr, ZHANG.0).await, Socket::legacy(server.addr, LI.0).await);
    assert_eq!(at_zhang.headers.get("sec-websocket-protocol"), None);

    push(&server, &chat(ZHANG, LI, "你好")).await;
    let (seen, frame) = (at_zhang.frame().await, at_li.frame().await);
    assert_eq!(seen, frame);
    let only = &frame[0];
    assert_eq!(frame.as_array().unwrap().len(), 1);
    let mut keys: Vec<_> = only.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = "clientMsgId content conversationId createTime id kind targetUserId \
                    targetUserName userId userName version";
    assert_eq!(keys.join(" "), expected);
    for (key, value) in chat(ZHANG, LI, "你好").as_object().unwrap() {
        assert_eq!(only[key], *value);
    }
    assert_eq!(only["kind"], "text");
    assert_eq!(only["createTime"].as_str().unwrap().len(), "2026-11-22T09:40:59.123Z".len());

    push(&server, &chat(LI, ZHANG, "你也好")).await;
    let (seen, frame) = (at_zhang.frame().await, at_li.frame().await);
    assert_eq!(contents(&frame), ["你好", "你也好"], "oldest first");
    assert_eq!(seen, frame);
    assert_eq!(messages(&server, LI.0).await, frame);
    assert_eq!(messages(&server, ZHANG.0).await, frame);
}

#[tokio::test]
async fn nothing_arrives_when_a_socket_opens() {
    let server = Server::start();
    for content in ["一", "二"] {
        push(&server, &chat(ZHANG, LI, content)).await;
    }
    let mut at_li = Socket::legacy(server.addr, LI.0).await;
    // What a client hears first is the answer to what it says, not the past.
    at_li.send_text("?").await;
    assert_eq!(at_li.frame().await["code"], "invalid_request");
    push(&server, &chat(ZHANG, LI, "三")).await;
    assert_eq!(contents(&at_li.frame().await), ["一", "二", "三"]);
}

#[tokio::test]
async fn a_chat_right_after_the_opening_is_never_missed() {
    let server = Start::default().set("limits.enabled", false).run();
    for turn in 0..50 {
        let mut at_li = Socket::legacy(server.addr, LI.0).await;
        let content = format!("turn {turn}");
        push(&server, &chat(ZHANG, LI, &content)).await;
        let frame = at_li.frame().await;
        assert_eq!(contents(&frame).last(), Some(&content.as_str()), "{turn}");
        assert_eq!(frame.as_array().unwrap().len(), turn + 1);
    }
}

#[tokio::test]
async fn a_frame_holds_the_latest_chats_of_this_users_timeline() {
    let server = Start::default().set("chat.classic_limit", 3).run();
    let mut at_li = Socket::legacy(server.addr, LI.0).await;
    let wang = (3, "王五");
    for (from, to, content) in [
        (ZHANG, LI, "1"),
        (wang, LI, "2"),
        (ZHANG, wang, "not to 李四"),
        (LI, wang, "3"),
        (ZHANG, LI, "4"),
    ] {
        push(&server, &chat(from, to, content)).await;
    }
    let frame = until_last(&mut at_li, "4").await;
    assert_eq!(contents(&frame), ["2", "3", "4"]);
    assert_eq!(contents(&messages(&server, LI.0).await), ["2", "3", "4"]);
    assert_eq!(contents(&messages(&server, wang.0).await), ["2", "not to 李四", "3"]);
    assert_eq!(messages(&server, 4).await, json!([]), "somebody who has none");
}

#[tokio::test]
async fn a_burst_may_share_frames_and_its_last_one_has_everything() {
    let server = Start::default().set("limits.enabled", false).run();
    let mut at_li = Socket::legacy(server.addr, LI.0).await;
    let mut at_zhang = Socket::legacy(server.addr, ZHANG.0).await;
    let sent: Vec<String> = (0..30).map(|number| format!("burst {number}")).collect();
    let chats: Vec<Value> = sent.iter().map(|content| chat(ZHANG, LI, content)).collect();
    futures_util::future::join_all(chats.iter().map(|chat| push(&server, chat))).await;

    let mut seen: Vec<Value> = Vec::new();
    while seen.last().is_none_or(|frame| frame.as_array().unwrap().len() < sent.len()) {
        seen.push(at_li.frame().await);
    }
    let last = seen.last().unwrap().clone();
    let all: BTreeSet<_> = contents(&last).into_iter().collect();
    assert_eq!(all, sent.iter().map(String::as_str).collect());
    let ids: Vec<_> = last.as_array().unwrap().iter().map(|chat| chat["id"].as_i64()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    for frame in &seen {
        let earlier = frame.as_array().unwrap();
        assert_eq!(earlier[..], last.as_array().unwrap()[..earlier.len()], "each grows the last");
    }
    assert!(seen.is_sorted_by_key(|frame| frame.as_array().unwrap().len()));
    loop {
        let frame = at_zhang.frame().await;
        if frame == last {
            break;
        }
    }
    assert_eq!(messages(&server, ZHANG.0).await, last);
}

#[tokio::test]
async fn a_chat_may_come_over_the_socket() {
    let server = Server::start();
    let (mut at_zhang, mut at_li) =
        (Socket::legacy(server.addr, ZHANG.0).await, Socket::legacy(server.addr, LI.0).await);
    at_zhang.send(&chat(ZHANG, LI, "由套接字")).await;
    // No answer of its own: the sender sees it as everybody does.
    let frame = at_li.frame().await;
    assert_eq!(contents(&frame), ["由套接字"]);
    assert_eq!(at_zhang.frame().await, frame);
    assert_eq!(frame[0]["userName"], "张三");
}

#[tokio::test]
async fn what_is_no_chat_is_answered_by_a_problem_and_the_socket_stays() {
    let server = Server::start();
    let mut at_zhang = Socket::legacy(server.addr, ZHANG.0).await;
    for frame in [
        Message::text("ping"),
        Message::text(""),
        Message::text("[]"),
        Message::text("{}"),
        Message::text("null"),
        Message::text(r#"{"type":"hello"}"#),
        Message::text(r#"{"userId":1,"targetUserId":"2","content":"x"}"#),
        Message::text(r#"{"userId":1,"targetUserId":2}"#),
        Message::binary(chat(ZHANG, LI, "binary").to_string().into_bytes()),
        Message::binary(vec![0xff, 0x00]),
    ] {
        at_zhang.send_raw(frame.clone()).await;
        let problem = at_zhang.frame().await;
        assert_eq!(problem["code"], "invalid_request", "{frame:?}");
        assert_eq!(problem["status"], 400, "{frame:?}");
        for key in ["type", "title", "detail"] {
            assert!(problem[key].is_string(), "{problem}");
        }
    }
    at_zhang.send(&chat(ZHANG, LI, " ")).await;
    assert_eq!(at_zhang.frame().await["code"], "invalid_content");
    at_zhang.send(&chat(ZHANG, LI, "还在")).await;
    assert_eq!(contents(&at_zhang.frame().await), ["还在"], "and nothing else was stored");
}

#[tokio::test]
async fn who_is_online_is_an_object_by_user_id() {
    let server = Server::start();
    assert_eq!(json_of(server.get("/getOnlineUser").await).await, json!({}));
    push(&server, &chat(ZHANG, LI, "名字")).await;
    let _at_zhang = Socket::legacy(server.addr, ZHANG.0).await;
    let mut at_li = Socket::legacy(server.addr, LI.0).await;
    let _again = Socket::legacy(server.addr, LI.0).await;
    let _unknown = Socket::legacy(server.addr, 77).await;
    let online = json_of(server.get("/getOnlineUser").await).await;
    let expected = json!({
        "1": {"userId": 1, "userName": "张三", "connections": 1},
        "2": {"userId": 2, "userName": "李四", "connections": 2},
        "77": {"userId": 77, "userName": "用户77", "connections": 1},
    });
    assert_eq!(online, expected);

    let closed = server.get("/close?userId=2").await;
    assert_eq!(closed.status(), 200);
    assert_eq!(closed.text().await.unwrap(), "ok");
    assert_eq!(at_li.closed().await, 4403);
}

#[tokio::test]
async fn close_ends_all_of_a_users_sockets_and_is_ok_without_any() {
    let server = Server::start();
    for _ in 0..2 {
        assert_eq!(server.get("/close?userId=2").await.text().await.unwrap(), "ok");
    }
    let mut sockets =
        [Socket::legacy(server.addr, LI.0).await, Socket::legacy(server.addr, LI.0).await];
    let mut at_zhang = Socket::legacy(server.addr, ZHANG.0).await;
    assert_eq!(server.get("/close?userId=2").await.text().await.unwrap(), "ok");
    for socket in &mut sockets {
        assert_eq!(socket.next().await, Seen::Closed(4403));
    }
    push(&server, &chat(ZHANG, LI, "还在")).await;
    assert_eq!(contents(&at_zhang.frame().await), ["还在"]);
    for path in
        ["/close", "/close?userId=", "/close?userId=x", "/getMessage", "/getMessage?userId=0"]
    {
        assert_problem(server.get(path).await, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn names_name_new_users_only() {
    let server = Server::start();
    push(&server, &chat(ZHANG, LI, "第一")).await;
    push(&server, &chat((1, "别人"), (2, "另一个"), "第二")).await;
    for chat in messages(&server, 1).await.as_array().unwrap() {
        assert_eq!((&chat["userName"], &chat["targetUserName"]), (&json!("张三"), &json!("李四")));
    }
    push(&server, &json!({"userId": 31, "targetUserId": 32, "content": "无名"})).await;
    let unnamed = messages(&server, 32).await;
    assert_eq!(unnamed[0]["userName"], "用户31");
    assert_eq!(unnamed[0]["targetUserName"], "用户32");
}

#[tokio::test]
async fn anonymous_users_and_demo_users_are_never_the_same() {
    let server = Server::start();
    // Taken before any demo user is made: the ids that those would get.
    for id in [1_000_000, 1_000_001, 1_000_003] {
        push(&server, &chat((id, "张三"), LI, "占号")).await;
    }
    let mut ids = BTreeSet::from([1_000_000, 1_000_001, 1_000_003, LI.0]);
    for name in ["张三", "李四", "王五", "赵六"] {
        let person = server.person(name).await;
        assert!(ids.insert(person.id), "{name} got the id {} of another", person.id);
        assert_eq!(person.get_json("/v1/conversations").await["conversations"], json!([]));
    }
    // And the other way round: a number that is named later names who is there.
    let zhang = server.person("张三").await;
    push(&server, &chat(LI, (zhang.id, "冒名"), "你好")).await;
    assert_eq!(zhang.get_json("/v1/me").await["name"], "张三");
}

#[tokio::test]
async fn legacy_clients_and_version_1_chat_with_each_other() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let legacy = (7, "种子");
    let mut at_zhang = zhang.online().await;
    let mut at_legacy = Socket::legacy(server.addr, legacy.0).await;

    push(&server, &chat(legacy, (zhang.id, "随便"), "来自种子")).await;
    let event = at_zhang.expect("event").await;
    assert_eq!(event["seq"], 1);
    assert_eq!((&event["chat"]["userId"], &event["chat"]["userName"]), (&json!(7), &json!("种子")));
    let frame = at_legacy.frame().await;
    assert_eq!(frame, json!([event["chat"]]));
    assert_eq!(frame[0]["targetUserName"], "张三");

    let reply = json!({"type": "send", "clientMsgId": "k", "targetUserId": 7, "content": "回复"});
    at_zhang.send(&reply).await;
    let sent = at_zhang.expect("sent").await;
    let frame = at_legacy.frame().await;
    assert_eq!(contents(&frame), ["来自种子", "回复"]);
    assert_eq!(frame[1], sent["chat"]);
    assert_eq!(zhang.get_json("/getOnlineUser").await.as_object().unwrap().len(), 2);
}

/// A legacy socket with this person's token in the header.
async fn legacy_of(server: &Server, person: &Person) -> Socket {
    let bearer = format!("Bearer {}", person.token);
    let path = format!("/imserver/{}", person.id);
    Socket::open(server.addr, &path, &[("authorization", &bearer)]).await.ok().unwrap()
}

#[tokio::test]
async fn with_a_token_its_user_acts_on_the_legacy_routes() {
    let server = Start::default().set("auth.anonymous", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (mut at_zhang, mut at_li) =
        (legacy_of(&server, &zhang).await, legacy_of(&server, &li).await);

    // Names in a chat that is sent are ignored.
    let sent = chat((zhang.id, "假名"), (li.id, "假名"), "有令牌");
    let response = zhang.post("/push", &sent).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "MSG SEND SUCCESS");
    let frame = at_li.frame().await;
    assert_eq!(at_zhang.frame().await, frame);
    assert_eq!(frame[0]["userName"], "张三");
    assert_eq!(frame[0]["targetUserName"], "李四");
    assert_eq!(li.get_json(&format!("/getMessage?userId={}", li.id)).await, frame);

    let nobody = chat((zhang.id, "张三"), (999, "没有"), "无人");
    assert_problem(zhang.post("/push", &nobody).await, 404, "user_not_found").await;
    let closed = zhang.get(&format!("/close?userId={}", zhang.id)).await;
    assert_eq!(closed.text().await.unwrap(), "ok");
    assert_eq!(at_zhang.closed().await, 4403);
    eventually("only 李四 is online", async || {
        let online = li.get_json("/getOnlineUser").await;
        online[zhang.id.to_string()]["connections"].as_i64().unwrap_or(0) == 0
    })
    .await;
}

#[tokio::test]
async fn a_group_makes_no_frame() {
    let server = Start::default().set("auth.anonymous", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut at_li = legacy_of(&server, &li).await;
    let group = json!({"kind": "group", "key": "g", "userIds": [li.id]});
    let group = json_of(zhang.post("/v1/conversations", &group).await).await;
    let said = json!({"clientMsgId": "k", "conversationId": group["id"], "content": "大家好"});
    assert_eq!(zhang.post("/v1/chats", &said).await.status(), 201);
    let direct = chat((zhang.id, "张三"), (li.id, "李四"), "你好");
    assert_eq!(zhang.post("/push", &direct).await.status(), 200);
    assert_eq!(contents(&at_li.frame().await), ["你好"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_both_sides_are_shown_every_chat() {
    let server = Start::default().set("limits.enabled", false).run();
    let target = format!("http://{}", server.addr);
    // 40 chats a person: snapshots of two are full before the end.
    let words = ["loadtest", "legacy", "--users", "10", "--duration", "8s", "--target", &target];
    let Command::Legacy(args) = Cli::parse_from(words).command else { unreachable!() };
    let outcome = loadtest::legacy::load(&args, 100.0).await.unwrap();
    outcome.print(100.0);
    assert!(outcome.is_good());
}
