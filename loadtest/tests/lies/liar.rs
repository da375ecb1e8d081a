//! A chat server in memory that speaks as much of the protocol as a load needs, and lies once in a while.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::AbortHandle};
use url::Url;

/// How far behind a page may begin, as a real one has it.
pub(crate) const REPLAY_LIMIT: i64 = 120;

/// What it does wrong, with each tenth chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    KeepsBack,
    ShowsTwice,
    Swaps,
    Misdelivers,
    Falsifies,
    Forgets,
    Refuses,
}

/// The server. It ends when it is dropped.
pub(crate) struct Liar {
    pub(crate) url: Url,
    task: AbortHandle,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Memory {
    lie: Lie,
    chats: i64,
    /// The events of each user as they are read back.
    events: HashMap<i64, Vec<Value>>,
    seqs: HashMap<i64, i64>,
    sockets: HashMap<i64, mpsc::UnboundedSender<Value>>,
    /// What is shown after the next event instead of before.
    held: HashMap<i64, Value>,
}

type Shared = Arc<Mutex<Memory>>;

impl Liar {
    pub(crate) async fn start(lie: Lie) -> Self {
        let memory = Memory {
            lie,
            chats: 0,
            events: HashMap::new(),
            seqs: HashMap::new(),
            sockets: HashMap::new(),
            held: HashMap::new(),
        };
        let router = Router::new()
            .route("/v1/login/demo", post(log_in))
            .route("/v1/events", get(events))
            .route("/imserver/{user}", get(upgrade))
            .with_state(Arc::new(Mutex::new(memory)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task: task.abort_handle() }
    }
}

/// The token is the user's id.
async fn log_in(Json(body): Json<Value>) -> Json<Value> {
    let name = body["name"].as_str().unwrap();
    let id: i64 = name.rsplit(' ').next().unwrap().parse::<i64>().unwrap() + 1;
    Json(json!({"token": id.to_string(), "user": {"id": id}}))
}

async fn events(
    State(memory): State<Shared>,
    Query(query): Query<HashMap<String, i64>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let token = headers["authorization"].to_str().unwrap();
    let user: i64 = token.strip_prefix("Bearer ").unwrap().parse().unwrap();
    let memory = memory.lock();
    let (since, last) = (query.get("since").copied(), memory.seqs.get(&user).copied());
    if since.is_some_and(|since| last.unwrap_or(0) - since > REPLAY_LIMIT) {
        return Err(StatusCode::CONFLICT);
    }
    let all = memory.events.get(&user).cloned().unwrap_or_default();
    let after = all.into_iter().filter(|event| event["seq"].as_i64() > since);
    let mut page: Vec<_> = after.take(101).collect();
    let has_more = page.len() > 100;
    page.truncate(100);
    Ok(Json(json!({"events": page, "hasMore": has_more})))
}

async fn upgrade(
    State(memory): State<Shared>,
    Path(user): Path<i64>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.protocols(["imserver.v1"]).on_upgrade(move |socket| serve(memory, user, socket))
}

async fn serve(memory: Shared, user: i64, mut socket: WebSocket) {
    let (shown, mut show) = mpsc::unbounded_channel();
    memory.lock().sockets.insert(user, shown.clone());
    loop {
        tokio::select! {
            Some(frame) = show.recv() => {
                if socket.send(Message::text(frame.to_string())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                let Ok(text) = message.to_text() else { continue };
                let Ok(frame) = serde_json::from_str::<Value>(text) else { continue };
                let last = memory.lock().seqs.get(&user).copied().unwrap_or(0);
                match frame["type"].as_str() {
                    Some("hello") => {
                        let ready = json!({"type": "ready", "epoch": "e", "lastSeq": last});
                        let _ = shown.send(ready);
                    }
                    Some("send") => memory.lock().take(user, &frame),
                    _ => {}
                }
            }
        }
    }
}

impl Memory {
    fn take(&mut self, sender: i64, send: &Value) {
        self.chats += 1;
        let lie = if self.chats % 10 == 0 { self.lie } else { Lie::None };
        let target = send["targetUserId"].as_i64().unwrap();
        let key = &send["clientMsgId"];
        if lie == Lie::Refuses {
            let error = json!({"type": "error", "code": "invalid_content", "clientMsgId": key});
            return self.show(sender, error);
        }
        let chat = json!({
            "id": self.chats,
            "userId": sender,
            "targetUserId": target,
            "content": send["content"],
            "clientMsgId": key,
        });
        for user in [sender, target] {
            let seq = self.seqs.entry(user).or_default();
            *seq += 1;
            let mut event = json!({"type": "event", "event": "chat", "seq": *seq, "chat": chat});
            if lie != Lie::Forgets {
                self.events.entry(user).or_default().push(event.clone());
            }
            if user == sender {
                event["type"] = "sent".into();
                event["clientMsgId"] = key.clone();
                self.show(user, event);
                continue;
            }
            match lie {
                Lie::KeepsBack => {}
                Lie::ShowsTwice => {
                    self.show(user, event.clone());
                    self.show(user, event);
                }
                Lie::Swaps => {
                    self.held.insert(user, event);
                    continue;
                }
                Lie::Misdelivers => self.show(user % 10 + 1, event),
                Lie::Falsifies => {
                    event["chat"]["content"] = "something else".into();
                    self.show(user, event);
                }
                _ => self.show(user, event),
            }
            if let Some(held) = self.held.remove(&user) {
                self.show(user, held);
            }
        }
    }

    fn show(&self, user: i64, frame: Value) {
        if let Some(socket) = self.sockets.get(&user) {
            let _ = socket.send(frame);
        }
    }
}
