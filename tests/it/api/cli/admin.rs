//! What looks after a deployment that runs: the health check, and the erasure of a user.

use std::net::TcpListener;

use serde_json::json;

use super::home;
use crate::harness::{Run, Server, server::assert_problem};

#[test]
fn the_health_check_ends_as_the_service_is() {
    let server = Server::start();
    let listen = server.addr.to_string();
    let home = home();
    let check = |more: &[&str]| {
        let args = [&["healthcheck", "--listen", &listen], more].concat();
        Run::new(home.path(), &args).ended()
    };
    for more in [&[][..], &["--live"]] {
        let ended = check(more);
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(ended.stdout, "{\"status\":\"ok\"}\n");
    }
    drop(server);
    let refusal = check(&[]);
    assert!(!refusal.status.success() && refusal.stderr.contains("does not answer"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "asking makes no database");
}

#[tokio::test]
async fn a_service_that_is_not_ready_fails_the_health_check() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            assert!(head[..read].starts_with(b"GET /readyz "));
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let home = home();
    let refusal = Run::new(home.path(), &["healthcheck", "--listen", &listen]).refusal();
    assert!(refusal.contains("503") && refusal.contains("draining"), "{refusal}");
}

#[tokio::test]
async fn an_erased_user_is_gone_from_a_service_that_runs() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "a", "你好").await;
    let mut at_zhang = zhang.online().await;

    let id = zhang.id.to_string();
    for wrong in ["0", "x", "99", "external:99", "id:x"] {
        let refused = server.command(&["admin", "erase-user", wrong]);
        assert!(!refused.status.success(), "{wrong}");
    }
    let erased = server.command(&["admin", "erase-user", &id]);
    assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));

    assert_problem(zhang.get("/v1/me").await, 401, "unauthorized").await;
    assert_eq!(at_zhang.closed().await, 4401);
    assert_problem(li.get(&format!("/v1/users/{id}")).await, 404, "user_not_found").await;
    let body = json!({"clientMsgId": "b", "targetUserId": zhang.id, "content": "?"});
    assert_problem(li.post("/v1/chats", &body).await, 404, "user_not_found").await;
    let events = li.get_json("/v1/events?since=0").await;
    let chat = &events["events"][0]["chat"];
    assert_eq!((&chat["content"], &chat["userName"]), (&json!(""), &json!("已注销")));
    // The name is free for somebody new.
    assert_ne!(server.person("张三").await.id, zhang.id);
}
