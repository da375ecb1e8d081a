//! The shortest way from one person to another.

use serde_json::json;

use crate::harness::{self, Server, Start, start::program};

#[tokio::test]
async fn a_chat_goes_from_one_person_to_another() {
    talk(&Server::start()).await;
}

#[tokio::test]
async fn a_chat_goes_over_postgres_too() {
    let url = harness::postgres::database().await.replace("postgres@", "postgres:hunter2@");
    let server = Start::default()
        .set("database.url", url)
        .set("bus.single_replica", true)
        .set("auth.demo_login", true)
        .run();
    talk(&server).await;
    assert!(!server.log().contains("hunter2"), "a password was logged");
    let migrated = server.command(&["migrate"]);
    assert!(migrated.status.success());
    assert_eq!(String::from_utf8_lossy(&migrated.stdout), "the schema is up to date\n");
}

#[test]
fn postgres_with_the_bus_of_one_process_is_refused() {
    let key = "IMSERVER__DATABASE__URL".to_owned();
    let settings = [(key, "postgres://u:hunter2@127.0.0.1:1/d".to_owned())];
    for args in [&[][..], &["migrate"]] {
        let refused = program(&settings).args(args).output().unwrap();
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr);
        for named in ["bus.url", "bus.single_replica", "database.url"] {
            assert!(said.contains(named), "{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
}

async fn talk(server: &Server) {
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    let frame =
        json!({"type": "send", "clientMsgId": "k1", "targetUserId": li.id, "content": "你好"});
    at_zhang.send(&frame).await;
    let sent = at_zhang.expect("sent").await;
    let event = at_li.expect("event").await;
    assert_eq!((&sent["seq"], &event["seq"]), (&json!(1), &json!(1)));
    assert_eq!(sent["chat"], event["chat"]);
    assert_eq!(event["chat"]["content"], "你好");
    assert_eq!(event["chat"]["userName"], "张三");
}
