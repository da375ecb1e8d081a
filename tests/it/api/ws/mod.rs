//! The WebSocket, version 1, as a client sees it: resume, order, crashes, closes, notices, epochs.

mod close;
mod cost;
mod ended;
mod epoch;
mod frames;
mod kill;
mod notices;
mod order;
mod resume;
mod slow;

use imserver::{
    clock::Clock,
    domain::{ClientMsgId, Content, Destination, UserId},
    store::{Appends, NewChat, sqlite::SqliteStore},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::harness::{Person, Seen, Server, Socket, Start};

/// A server whose tests send a lot.
fn without_limits() -> Start {
    Start::default().set("limits.enabled", false).set("log.filter", "info")
}

/// Sends a chat over a socket, whose content is its key.
async fn say(socket: &mut Socket, target: &Person, key: &str) {
    socket.send(&chat(target, key)).await;
}

/// The frame that sends a chat whose content is its key.
fn chat(target: &Person, key: &str) -> Value {
    json!({"type": "send", "clientMsgId": key, "targetUserId": target.id, "content": key})
}

/// The content of the chat that a frame shows.
fn content_of(frame: &Value) -> String {
    frame["chat"]["content"].as_str().unwrap_or_else(|| panic!("no chat: {frame}")).to_owned()
}

/// A client as the contract wants it: it applies each numbered frame once, in order.
#[derive(Default)]
struct Client {
    /// The number of the last event that was applied.
    cursor: i64,
    /// The chats that were applied, in order.
    chats: Vec<Value>,
    /// The keys that `sent` answered, in order; a repeat's answer too.
    answered: Vec<String>,
    /// How many answers moved nothing.
    repeats: usize,
}

impl Client {
    /// A client that has applied everything up to here.
    fn at(cursor: i64) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// Takes a frame. One that is out of order, or unexpected, fails the test.
    fn apply(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap();
        assert!(matches!(kind, "event" | "sent"), "neither event nor sent: {frame}");
        let seq = frame["seq"].as_i64().unwrap();
        if kind == "sent" {
            assert_eq!(frame["clientMsgId"], frame["chat"]["clientMsgId"]);
            self.answered.push(frame["clientMsgId"].as_str().unwrap().to_owned());
            if seq <= self.cursor {
                self.repeats += 1;
                return;
            }
        }
        assert_eq!(seq, self.cursor + 1, "a hole, or the same again: {frame}");
        self.cursor = seq;
        self.chats.push(frame["chat"].clone());
    }

    /// Reads and applies until the cursor is here.
    async fn follow(&mut self, socket: &mut Socket, last: i64) {
        while self.cursor < last {
            self.apply(&socket.frame().await);
        }
    }

    /// Reads and applies until the socket closes; returns the code.
    async fn follow_to_the_end(&mut self, socket: &mut Socket) -> u16 {
        loop {
            match socket.next().await {
                Seen::Frame(frame) => self.apply(&frame),
                Seen::Closed(code) => return code,
            }
        }
    }

    /// The contents of the chats that were applied.
    fn contents(&self) -> Vec<&str> {
        self.chats.iter().map(|chat| chat["content"].as_str().unwrap()).collect()
    }

    /// The ids of the chats that were applied.
    fn ids(&self) -> Vec<i64> {
        self.chats.iter().map(|chat| chat["id"].as_i64().unwrap()).collect()
    }
}

/// The server's database, opened beside it.
async fn store(server: &Server) -> SqliteStore {
    SqliteStore::open(&server.database(), Clock::system()).await.unwrap()
}

/// Runs a statement behind the server's back.
async fn tamper(server: &Server, statement: &str) {
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Commits so many chats at once, behind the server's back. The contents are `0`, `1`, … and then
/// this padding.
async fn commit(server: &Server, from: &Person, to: &Person, count: usize, padding: &str) {
    let store = store(server).await;
    let chats: Vec<_> = (0..count)
        .map(|n| {
            let content = Content::parse(&format!("{n}{padding}"), 100_000).unwrap();
            let to = Destination::Direct(UserId::new(to.id).unwrap());
            NewChat::text(UserId::new(from.id).unwrap(), to, ClientMsgId::random(), content)
        })
        .collect();
    for batch in chats.chunks(500) {
        store.append(batch).await.unwrap();
    }
}
