//! A client as a phone behaves: one socket, a cursor, an outbox that is repeated until it is
//! acknowledged, and another replica when its own is gone.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use rand::Rng;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    chat::Chat,
    ledger::{ClientNumber, Ledger},
    reading,
};

/// How long a connection, its handshake included, may take.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// How often a client says `ping`.
const PING_EVERY: Duration = Duration::from_secs(2);
/// A replica from which nothing has come for so long is gone, as far as the client can tell.
const SILENCE: Duration = Duration::from_secs(6);
/// The waits between attempts are drawn from zero to these. A phone's are ten times as long.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];
/// A connection that has lasted so long makes the next wait short again.
const STABLE: Duration = Duration::from_secs(6);
/// The most chats in an outbox: people who see that nothing goes out stop writing.
const OUTBOX: usize = 8;

/// What all clients of a load are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// Write, and send what was written.
    Write,
    /// Send what was written.
    Drain,
    /// Close the socket and end.
    End,
}

/// How a client is doing, as the test sees it.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The replica to which it has an open socket that said `ready`.
    pub replica: Option<usize>,
    /// The last number that it was shown.
    pub cursor: i64,
    /// How many chats it has not been acknowledged.
    pub unsent: usize,
    /// How often it has been `ready`.
    pub readies: usize,
    /// How often it was told to load anew.
    pub resets: usize,
}

/// Whose client it is, and what it needs to know.
pub struct Setup {
    pub number: ClientNumber,
    pub user: i64,
    pub token: String,
    /// The replicas. Dead ones keep their address.
    pub replicas: Arc<[SocketAddr]>,
    /// To whom it writes. Nobody: it only listens.
    pub peers: Vec<i64>,
    /// The mean time between two chats that it writes.
    pub pause: Duration,
    pub http: reqwest::Client,
    pub ledger: Arc<Mutex<Ledger>>,
    pub orders: watch::Receiver<Orders>,
    pub status: Arc<Mutex<Status>>,
}

/// A client. [`Client::run`] is its life.
pub struct Client {
    setup: Setup,
    /// Its own replica now.
    at: usize,
    cursor: i64,
    epoch: Option<String>,
    /// What is to be sent to each peer, one after another.
    outbox: HashMap<i64, Queue>,
    written: usize,
    next_write: Instant,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Unsent>,
    /// When the first one may be sent. `None`: it is under way.
    due: Option<Instant>,
}

struct Unsent {
    key: String,
    content: String,
}

/// Why a socket has ended.
struct Ended {
    /// How long to wait before the next one; `None`: the backoff says so.
    after: Option<Duration>,
}

const LOST: Ended = Ended { after: None };

type Stream = WebSocketStream<TcpStream>;
type Step = ControlFlow<Ended>;

impl Client {
    /// A client that will first try this replica.
    pub fn new(setup: Setup, at: usize) -> Self {
        Self {
            setup,
            at,
            cursor: 0,
            epoch: None,
            outbox: HashMap::new(),
            written: 0,
            next_write: Instant::now(),
        }
    }

    /// Lives until it is told to end.
    ///
    /// # Panics
    ///
    /// Where a phone would give up: a refused session, a final error, a close that says stop.
    pub async fn run(mut self) {
        let mut orders = self.setup.orders.clone();
        let mut attempts = 0;
        while *orders.borrow() != Orders::End {
            let begun = Instant::now();
            let ended = match self.connect().await {
                Some(stream) => self.live(stream).await,
                None => LOST,
            };
            self.setup.status.lock().replica = None;
            attempts = if begun.elapsed() > STABLE { 0 } else { attempts + 1 };
            // Not the same again, if there is another one.
            let others = self.setup.replicas.len().max(2) - 1;
            self.at = (self.at + rand::rng().random_range(1..=others)) % self.setup.replicas.len();
            let most = BACKOFF[1].min(BACKOFF[0] * 2_u32.pow(attempts.min(8)));
            let wait = ended.after.unwrap_or_else(|| most.mul_f64(rand::random()));
            tokio::select! {
                () = sleep(wait) => {}
                _ = orders.wait_for(|orders| *orders == Orders::End) => {}
            }
        }
    }

    /// Opens a socket and says hello.
    async fn connect(&self) -> Option<Stream> {
        let Setup { user, token, replicas, number, .. } = &self.setup;
        let addr = replicas[self.at];
        let mut request = format!("ws://{addr}/imserver/{user}").into_client_request().unwrap();
        let offers = HeaderValue::try_from(format!("imserver.v1, bearer.{token}")).unwrap();
        request.headers_mut().append("sec-websocket-protocol", offers);
        let connecting = async {
            let tcp = TcpStream::connect(addr).await.ok()?;
            tcp.set_nodelay(true).ok()?;
            match client_async(request, tcp).await {
                Ok((stream, _)) => Some(stream),
                Err(tungstenite::Error::Http(answer)) => {
                    let status = answer.status();
                    assert!(status.is_server_error() || status == 429, "refused with {status}");
                    None
                }
                Err(_) => None,
            }
        };
        let mut stream = timeout(CONNECT_WAIT, connecting).await.ok()??;
        let mut hello = json!({
            "type": "hello",
            "since": self.cursor,
            "deviceId": format!("phone-{number}"),
        });
        if let Some(epoch) = &self.epoch {
            hello["epoch"] = epoch.as_str().into();
        }
        say(&mut stream, &hello).await.is_continue().then_some(stream)
    }

    /// Lives on one socket.
    async fn live(&mut self, mut stream: Stream) -> Ended {
        // What was under way on the last socket is sent again.
        for queue in self.outbox.values_mut() {
            queue.due = Some(Instant::now());
        }
        let mut heard = Instant::now();
        let mut pinged = Instant::now();
        let mut is_ready = false;
        loop {
            if is_ready && let ControlFlow::Break(ended) = self.send_due(&mut stream).await {
                return ended;
            }
            if is_ready && pinged.elapsed() > PING_EVERY {
                pinged = Instant::now();
                if say(&mut stream, &json!({"type": "ping"})).await.is_break() {
                    return LOST;
                }
            }
            if heard.elapsed() > SILENCE {
                return LOST;
            }
            let next = self.next_write.saturating_duration_since(Instant::now());
            let next = next.clamp(Duration::from_millis(5), Duration::from_millis(50));
            let message = tokio::select! {
                message = stream.next() => message,
                () = sleep(next) => {
                    if *self.setup.orders.borrow() == Orders::End {
                        let _ = timeout(CONNECT_WAIT, stream.close(None)).await;
                        return LOST;
                    }
                    continue;
                }
            };
            let Some(Ok(message)) = message else { return LOST };
            heard = Instant::now();
            let step = match message {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    is_ready |= frame["type"] == "ready";
                    self.hear(&frame).await
                }
                Message::Close(close) => {
                    let code = close.map_or(1005, |close| u16::from(close.code));
                    // The others say that this client has done something wrong, or is not wanted.
                    let goes_on = matches!(code, 1001 | 1005 | 1011 | 1012 | 4408 | 4410);
                    assert!(goes_on, "client {} was closed with {code}", self.setup.number);
                    Step::Break(LOST)
                }
                _ => Step::Continue(()),
            };
            if let ControlFlow::Break(ended) = step {
                return ended;
            }
        }
    }

    /// Applies a frame.
    async fn hear(&mut self, frame: &Value) -> Step {
        let at = Instant::now();
        match frame["type"].as_str().unwrap() {
            "ready" => {
                self.epoch = Some(frame["epoch"].as_str().unwrap().to_owned());
                let mut status = self.setup.status.lock();
                status.replica = Some(self.at);
                status.readies += 1;
            }
            "event" | "sent" => self.event(frame, at),
            "reset" => {
                self.epoch = Some(frame["epoch"].as_str().unwrap().to_owned());
                return self.reload(frame["lastSeq"].as_i64().unwrap()).await;
            }
            "error" => self.fault(frame, at),
            "reconnect" => {
                let after = Duration::from_millis(frame["afterMs"].as_u64().unwrap());
                return Step::Break(Ended { after: Some(after) });
            }
            _ => {}
        }
        Step::Continue(())
    }

    fn event(&mut self, frame: &Value, at: Instant) {
        let Setup { number, user, ledger, status, .. } = &self.setup;
        let seq = frame["seq"].as_i64().unwrap();
        let chat = frame.get("chat").map(Chat::read);
        let is_sent = frame["type"] == "sent";
        let mut ledger = ledger.lock();
        // Up to the cursor it is the answer to a repeat, which moves nothing.
        if !is_sent || seq > self.cursor {
            ledger.show(*number, seq, chat.as_ref(), at);
            self.cursor = self.cursor.max(seq);
            status.lock().cursor = self.cursor;
        }
        let Some(chat) = chat else { return };
        // A user's other clients have keys of their own.
        let is_own = chat.sender == *user && chat.key.starts_with(&format!("{number}-"));
        if is_sent || is_own {
            ledger.acknowledge(*number, seq, &chat, at);
            drop(ledger);
            self.settle(&chat);
        }
    }

    /// Takes a chat out of the outbox.
    fn settle(&mut self, chat: &Chat) {
        let Some(queue) = self.outbox.get_mut(&chat.target) else { return };
        if queue.waiting.front().is_some_and(|unsent| unsent.key == chat.key) {
            queue.waiting.pop_front();
            queue.due = Some(Instant::now());
        }
        self.note_unsent();
    }

    fn fault(&mut self, frame: &Value, at: Instant) {
        let code = frame["code"].as_str().unwrap();
        assert!(matches!(code, "unavailable" | "rate_limited"), "{frame}");
        let after = Duration::from_millis(frame["retryAfterMs"].as_u64().unwrap());
        let key = frame["clientMsgId"].as_str();
        for queue in self.outbox.values_mut() {
            if key.is_some() && queue.waiting.front().map(|unsent| unsent.key.as_str()) == key {
                queue.due = Some(at + after);
            }
        }
    }

    /// Writes and sends what it is time for.
    async fn send_due(&mut self, stream: &mut Stream) -> Step {
        let now = Instant::now();
        if *self.setup.orders.borrow() == Orders::Write && now >= self.next_write {
            self.next_write = now + self.setup.pause.mul_f64(rand::rng().random_range(0.5..1.5));
            if self.outbox.values().map(|queue| queue.waiting.len()).sum::<usize>() < OUTBOX {
                self.write(now);
            }
        }
        let mut frames = Vec::new();
        for (target, queue) in &mut self.outbox {
            let Some(first) = queue.waiting.front() else { continue };
            if queue.due.is_some_and(|due| due <= now) {
                queue.due = None;
                self.setup.ledger.lock().send(&first.key, now);
                frames.push(json!({
                    "type": "send",
                    "clientMsgId": first.key,
                    "targetUserId": target,
                    "content": first.content,
                }));
            }
        }
        for frame in frames {
            if say(stream, &frame).await.is_break() {
                return Step::Break(LOST);
            }
        }
        Step::Continue(())
    }

    fn write(&mut self, now: Instant) {
        let Setup { number, peers, ledger, .. } = &self.setup;
        if peers.is_empty() {
            return;
        }
        let target = peers[rand::rng().random_range(0..peers.len())];
        self.written += 1;
        let key = format!("{number}-{}", self.written);
        let content = format!("{key} 给 {target}：{}", "好".repeat(self.written % 40));
        ledger.lock().write(*number, target, &key, &content, now);
        let queue = self.outbox.entry(target).or_default();
        if queue.waiting.is_empty() {
            queue.due = Some(now);
        }
        queue.waiting.push_back(Unsent { key, content });
        self.note_unsent();
    }

    fn note_unsent(&self) {
        let unsent = self.outbox.values().map(|queue| queue.waiting.len()).sum();
        self.setup.status.lock().unsent = unsent;
    }

    /// Loads everything anew over HTTP, up to `last`.
    async fn reload(&mut self, last: i64) -> Step {
        let Setup { number, ledger, status, replicas, http, token, .. } = &self.setup;
        let events = reading::timeline(http, replicas[self.at], token).await;
        let Some(events) = events else { return Step::Break(LOST) };
        ledger.lock().reload(*number, &events, last);
        self.cursor = last;
        let mut status = status.lock();
        (status.cursor, status.resets) = (last, status.resets + 1);
        Step::Continue(())
    }
}

async fn say(stream: &mut Stream, frame: &Value) -> Step {
    match timeout(CONNECT_WAIT, stream.send(Message::text(frame.to_string()))).await {
        Ok(Ok(())) => Step::Continue(()),
        _ => Step::Break(LOST),
    }
}
