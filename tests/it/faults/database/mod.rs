//! What can become of a database under a service that runs, and what the service says of it: nothing is
//! acknowledged that is not kept, whoever asks for its health is told, and it recovers by itself.

mod migrations;
mod old;
mod pooler;
mod postgres;
mod sqlite;

use serde_json::{Value, json};

use crate::harness::{Person, Server, eventually, server::json_of};

/// Sends a chat to oneself under this key; the status of the answer.
async fn send(person: &Person, key: &str) -> u16 {
    let body = json!({"clientMsgId": key, "targetUserId": person.id, "content": "你好"});
    person.post("/v1/chats", &body).await.status().as_u16()
}

/// What `/readyz` says: its status and its reasons.
async fn readiness(server: &Server) -> (u16, Vec<String>) {
    let answer = server.get("/readyz").await;
    let status = answer.status().as_u16();
    let health: Value = json_of(answer).await;
    let reasons = health["reasons"].as_array().cloned().unwrap_or_default();
    (status, reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect())
}

/// Reads work, writes do not, and that is what `/readyz` says.
async fn only_reads(server: &Server, person: &Person) {
    eventually("it shows", async || {
        readiness(server).await == (200, vec!["database_writes".to_owned()])
    })
    .await;
    assert_eq!(person.get("/v1/events?since=0").await.status(), 200, "reads go on");
}

/// Waits until it says that all is well.
async fn is_well(server: &Server) {
    eventually("it is well again", async || readiness(server).await == (200, vec![])).await;
}
