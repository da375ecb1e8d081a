//! Logs hold no token, no openid, no secret and no message body, however much is logged; and a send can be
//! followed in them.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::query_param};

use crate::harness::{
    Person, Redis, Server, Socket, Start, eventually, replica_on, server::json_of,
};

const SECRET: &str = "marked-wechat-secret";
const CODE: &str = "marked-login-code";
const OPENID: &str = "marked-openid";
const SESSION_KEY: &str = "marked-session-key";
const BAD_TOKEN: &str = "marked-forged-token-0123456789-0123456789xx";

/// In every message body, good or bad.
const BODY: &str = "marked-body";

async fn wechat() -> MockServer {
    let wechat = MockServer::start().await;
    let good = json!({"openid": OPENID, "session_key": SESSION_KEY, "unionid": "marked-unionid"});
    let bad = json!({"errcode": 40029, "errmsg": format!("invalid code {CODE}"), "openid": OPENID});
    // An answer that cannot be read, in which all of it stands.
    let broken = format!("{OPENID} {SESSION_KEY} {SECRET} {CODE}");
    for (code, answer) in [
        (CODE.to_owned(), good.to_string()),
        (format!("{CODE}-bad"), bad.to_string()),
        (format!("{CODE}-broken"), broken),
    ] {
        Mock::given(query_param("js_code", code))
            .respond_with(ResponseTemplate::new(200).set_body_raw(answer, "text/plain"))
            .mount(&wechat)
            .await;
    }
    wechat
}

/// Everybody who logs in, by every way, and those who do not get in. Returns the token by WeChat.
async fn log_in(server: &Server) -> String {
    let mut token = String::new();
    for code in [CODE.to_owned(), format!("{CODE}-bad"), format!("{CODE}-broken")] {
        let answer = server.post("/v1/login/wechat", &json!({"code": code})).await;
        let body = json_of(answer).await;
        token.extend(body["token"].as_str());
    }
    for (path, body) in [
        ("/v1/login/wechat", json!({"code": [CODE]})),
        ("/v1/login/wechat", json!({"code": format!("{CODE}-{}", "x".repeat(600))})),
        ("/v1/login/demo", json!({"name": 7, "code": CODE})),
    ] {
        assert!(server.post(path, &body).await.status().is_client_error());
    }
    assert!(!token.is_empty());
    token
}

/// Every route, with what is good and what is not.
async fn use_http(server: &Server, zhang: &Person, li: &Person) {
    let conversation = zhang.send(li.id, "k1", BODY).await["chat"]["conversationId"].clone();
    for path in [
        "/v1/me",
        "/v1/conversations",
        &format!("/v1/conversations/{conversation}/chats"),
        "/v1/events?since=0",
        "/v1/users?query=x",
        &format!("/v1/users/{}", li.id),
        &format!("/v1/presence?userIds={}", li.id),
        &format!("/getMessage?userId={}", zhang.id),
        "/getOnlineUser",
        &format!("/v1/me?token={BAD_TOKEN}"),
        &format!("/v1/me?access_token={}", zhang.token),
        &format!("/v1/avatars/{BAD_TOKEN}"),
        &format!("/{BAD_TOKEN}"),
        &format!("/v1/users/{BAD_TOKEN}"),
    ] {
        zhang.get(path).await;
    }
    for body in [
        json!({"clientMsgId": "k1", "targetUserId": li.id, "content": BODY}),
        json!({"clientMsgId": "k1", "targetUserId": li.id, "content": format!("{BODY} other")}),
        json!({"clientMsgId": "k2", "targetUserId": 7, "content": BODY}),
        json!({"clientMsgId": "k3", "targetUserId": BODY, "content": BODY}),
        json!({"clientMsgId": "k4", "targetUserId": li.id, "content": BODY.repeat(200)}),
        json!({"clientMsgId": "k5", "targetUserId": li.id, "content": [BODY]}),
        json!({"userId": zhang.id, "targetUserId": li.id, "content": BODY}),
        json!([BODY]),
        json!({"content": BODY.repeat(7_000)}),
    ] {
        zhang.post("/v1/chats", &body).await;
        zhang.post("/push", &body).await;
        server.post("/push", &body).await;
    }
    server.post("/push", &json!({"userId": 1, "targetUserId": 2, "content": BODY})).await;
    zhang.post(&format!("/v1/conversations/{conversation}/read"), &json!({"upTo": 1})).await;
    for body in [json!({"name": "王五"}), json!({"name": BODY.repeat(9)})] {
        zhang.request(Method::PATCH, "/v1/me").body(body.to_string()).send().await.unwrap();
    }
    zhang.request(Method::PUT, "/v1/me/avatar").body(BODY).send().await.unwrap();
    for authorization in [format!("Bearer {BAD_TOKEN}"), format!("Basic {BAD_TOKEN}")] {
        let request = server.request(Method::GET, "/v1/me").header("authorization", authorization);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

/// Both kinds of socket, handshakes that fail, and frames of all kinds.
async fn use_sockets(server: &Server, zhang: &Person, li: &Person) {
    let path = format!("/imserver/{}", zhang.id);
    let of_li = format!("/imserver/{}", li.id);
    for (path, offers) in [
        (&path, format!("imserver.v1, bearer.{BAD_TOKEN}")),
        (&path, format!("bearer.{BAD_TOKEN}")),
        (&path, format!("imserver.v9, bearer.{}", zhang.token)),
        (&of_li, format!("imserver.v1, bearer.{}", zhang.token)),
        (&of_li, format!("bearer.{}", zhang.token)),
    ] {
        let headers = [("sec-websocket-protocol", offers.as_str())];
        assert!(Socket::open(server.addr, path, &headers).await.is_err());
    }
    let in_url = format!("{path}?token={}", zhang.token);
    assert!(Socket::open(server.addr, &in_url, &[]).await.is_err());

    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for frame in [
        json!({"type": "send", "clientMsgId": "w1", "targetUserId": li.id, "content": [BODY]}),
        json!({"type": "send", "clientMsgId": "w2", "targetUserId": 7, "content": BODY}),
        json!({"type": BODY, "content": BODY}),
        json!({"type": "watch", "userIds": [BODY]}),
        json!({"type": "send", "clientMsgId": "w3", "targetUserId": li.id, "content": BODY}),
    ] {
        at_zhang.send(&frame).await;
    }
    at_zhang.until("sent").await;
    assert_eq!(at_li.until("event").await["chat"]["content"], BODY);
    at_zhang.send_raw(Message::binary(BODY)).await;
    assert_eq!(at_zhang.closed().await, 4400);
    let mut unwanted = zhang.connect().await;
    unwanted.send(&json!({"type": "send", "content": BODY})).await;
    assert_eq!(unwanted.closed().await, 4400);

    let offers = format!("bearer.{}", zhang.token);
    let headers = [("sec-websocket-protocol", offers.as_str())];
    for headers in [&headers[..], &[]] {
        let (path, user) = if headers.is_empty() { ("/imserver/1", 1) } else { (&*path, zhang.id) };
        let mut legacy = Socket::open(server.addr, path, headers).await.ok().unwrap();
        legacy.send_text(BODY).await;
        assert_eq!(legacy.frame().await["code"], "invalid_request");
        let target = if headers.is_empty() { 2 } else { li.id };
        let chat = json!({"userId": user, "targetUserId": target, "content": BODY});
        legacy.send(&chat).await;
        assert!(legacy.frame().await.to_string().contains(BODY));
    }
}

async fn nothing_secret_is_logged(format: &str) {
    let wechat = wechat().await;
    let mut server = Start::default()
        .set("log.format", format)
        // As much as can be asked for.
        .set("log.filter", "trace,tungstenite::protocol=trace")
        .set("limits.enabled", false)
        .set("wechat.base_url", wechat.uri())
        .set("wechat.appid", "wx1")
        .set("wechat.secret", SECRET)
        .run();
    let by_wechat = log_in(&server).await;
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    use_http(&server, &zhang, &li).await;
    use_sockets(&server, &zhang, &li).await;
    zhang.post("/v1/logout", &json!({})).await;
    // What is logged late is logged before the end.
    assert!(server.terminate().await.success());
    eventually("the log is there", async || server.log().contains("stopped")).await;

    let log = server.log();
    // It is the log of all that, in this format, and down to the last detail.
    for word in ["TRACE", "DEBUG", "INFO", "/v1/chats", "/imserver/{userId}", "logged in"] {
        assert!(log.contains(word), "{word} is not in the log");
    }
    assert_eq!(log.lines().next().unwrap().starts_with('{'), format == "json");
    for hidden in [
        SECRET,
        CODE,
        OPENID,
        SESSION_KEY,
        BAD_TOKEN,
        BODY,
        "marked-",
        "bearer.",
        &by_wechat,
        &zhang.token,
        &li.token,
    ] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(line.is_none(), "{hidden} is in the log: {}", line.unwrap_or_default());
    }
    // Not as the numbers of its bytes either.
    let bytes = format!("{:?}", BODY.as_bytes());
    assert!(!log.contains(bytes.trim_matches(['[', ']'])), "the body is in the log, as bytes");
}

#[tokio::test]
async fn nothing_secret_is_in_a_log_of_text() {
    nothing_secret_is_logged("text").await;
}

#[tokio::test]
async fn nothing_secret_is_in_a_log_of_json() {
    nothing_secret_is_logged("json").await;
}

/// The key of the send that is followed.
const KEY: &str = "marked-key";

/// Whether a line has all these fields, with these values.
fn has(line: &Value, fields: &Value) -> bool {
    fields
        .as_object()
        .map_or(line == fields, |fields| fields.iter().all(|(name, value)| has(&line[name], value)))
}

#[tokio::test]
async fn a_send_can_be_followed_from_its_socket_to_one_of_another_replica() {
    let start = replica_on(Redis::shared()).await;
    let run = || start().set("log.format", "json").set("log.filter", "debug").run();
    let (mut a, mut b) = (run(), run());
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let send = json!({"type": "send", "clientMsgId": KEY, "targetUserId": li.id, "content": BODY});
    at_zhang.send(&send).await;
    let sent = at_zhang.until("sent").await;
    let (chat, seq) = (&sent["chat"]["id"], &at_li.until("event").await["seq"]);

    let [at_a, at_b] = [&mut a, &mut b].map(async |server| {
        assert!(server.terminate().await.success());
        eventually("the log is there", async || server.log().contains("stopped")).await;
        let log = server.log();
        assert!(!log.contains(BODY) && !log.contains(KEY), "{log}");
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    });
    let (at_a, at_b) = (at_a.await, at_b.await);
    let socket = |of: &Person| json!({"name": "socket", "user": of.id.to_string()});
    let of_li = format!("(UserId({}), Seq({seq}))", li.id);
    for (log, step) in [
        (&at_a, json!({"message": "send ended", "chat": chat, "span": socket(&zhang)})),
        (
            &at_a,
            json!({
                "message": "chat goes to its sockets",
                "chat": chat,
                "first": format!("[(UserId({}), Seq({})), {of_li}]", zhang.id, sent["seq"]),
                "span": {"name": "batch", "chats": 1},
            }),
        ),
        (
            &at_b,
            json!({"message": "event reached this replica", "user": li.id.to_string(), "seq": seq}),
        ),
        (&at_b, json!({"message": "event goes to the client", "seq": seq, "span": socket(&li)})),
    ] {
        assert!(log.iter().any(|line| has(line, &step)), "{step} is not in the log: {log:#?}");
    }
}
