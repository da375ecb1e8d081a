//! Somebody who is told by webhooks, and answers as a test wants.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use parking_lot::Mutex;
use ring::hmac;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

/// What the tests' endpoints sign with.
pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What arrived, and whether it was taken.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub body: Value,
    pub is_taken: bool,
}

impl Received {
    /// The kind of the event.
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    /// The words of the chat that it tells of.
    pub fn words(&self) -> &str {
        self.body["data"]["chat"]["content"].as_str().unwrap_or_default()
    }
}

/// How an endpoint answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    /// Takes it after so long.
    Late(Duration),
    Redirect(String),
    /// Takes it, with an answer that never ends.
    Endless,
}

type Answers = Box<dyn Fn(&Value) -> Answer + Send + Sync>;

struct Inner {
    received: Mutex<Vec<Received>>,
    answers: Mutex<Answers>,
}

/// An endpoint on a port of this machine; it ends when it is dropped.
pub struct Receiver {
    pub addr: SocketAddr,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// One that answers each body so.
    pub async fn start(answers: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    /// One on this address.
    pub async fn start_at(
        addr: SocketAddr,
        answers: impl Fn(&Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answers: Answers = Box::new(answers);
        let inner = Arc::new(Inner { received: Mutex::default(), answers: Mutex::new(answers) });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, inner, task }
    }

    /// Answers so from now on.
    pub fn answer(&self, answers: impl Fn(&Value) -> Answer + Send + Sync + 'static) {
        *self.inner.answers.lock() = Box::new(answers);
    }

    /// All that arrived.
    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().clone()
    }

    /// The words of chats that it took, in the order of their first arrival.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for received in self.received().iter().filter(|it| it.is_taken) {
            let said = received.words().to_owned();
            if received.kind() == "chat.created" && !words.contains(&said) {
                words.push(said);
            }
        }
        words
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }
}

async fn receive(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let id = check(&headers, &body);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let answer = (inner.answers.lock())(&body);
    let is_taken = matches!(answer, Answer::Late(_) | Answer::Endless | Answer::Status(200..300));
    inner.received.lock().push(Received { id, body, is_taken });
    let response = Response::builder();
    match answer {
        Answer::Status(status) => response.status(status).body(Body::empty()),
        Answer::Late(wait) => {
            tokio::time::sleep(wait).await;
            response.body(Body::empty())
        }
        Answer::Redirect(to) => response
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header(header::LOCATION, to)
            .body(Body::empty()),
        Answer::Endless => {
            let part = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096]));
            let parts = stream::repeat_with(part);
            response.body(Body::from_stream(parts))
        }
    }
    .unwrap()
}

/// Verifies a delivery as Standard Webhooks says. Returns its id.
fn check(headers: &HeaderMap, body: &[u8]) -> String {
    let header = |name: &str| headers[name].to_str().unwrap();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    hmac::verify(&key, &signed, &STANDARD.decode(signature).unwrap()).unwrap();
    assert_eq!(header("content-type"), "application/json");
    id.to_owned()
}
