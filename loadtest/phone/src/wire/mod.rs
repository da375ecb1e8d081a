//! How a server is spoken to: what a phone needs of a protocol, and `imserver`'s. No I/O.

mod imserver;

use std::{borrow::Cow, time::Duration};

use tokio_tungstenite::tungstenite::http::Request;
use url::Url;

pub use imserver::Imserver;

/// Somebody with a phone.
#[derive(Clone)]
pub struct Person {
    pub id: i64,
    /// Empty where the server asks for none.
    pub token: String,
}

/// Where a phone goes on after it lost its socket.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// The last number that was applied, where there are such.
    pub seq: Option<i64>,
    pub epoch: Option<String>,
}

/// A chat that goes out.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    pub key: &'a str,
    pub sender: i64,
    /// As [`address`](crate::address) has it.
    pub target: i64,
    pub content: &'a str,
    /// The upload that it shows, instead of a content.
    pub picture: Option<u128>,
}

/// What a frame of the server means.
#[derive(Debug)]
pub enum Heard<'a> {
    /// This is to be said next: the opening is not over, or the server asks whether one is there.
    Say(String),
    /// The socket is open for chats.
    Ready { epoch: Option<String>, last_seq: Option<i64> },
    /// A chat of one's own is committed.
    Sent { seq: Option<i64>, chat: ChatFrame<'a> },
    /// Somebody else's chat, one's own from elsewhere, or something else that happened.
    Event { seq: Option<i64>, event: Event<'a> },
    /// A send that failed; absent `after`: for good.
    Refused { key: Option<Cow<'a, str>>, code: Cow<'a, str>, after: Option<Duration> },
    /// The cursor counts no more: load over HTTP.
    Reset { epoch: Option<String>, last_seq: i64 },
    /// A close follows; come again after this time.
    Reconnect { after: Duration },
    /// Nothing that matters to a load.
    Nothing,
}

/// What an event says.
#[derive(Debug)]
pub enum Event<'a> {
    Chat(ChatFrame<'a>),
    Line(Line),
    /// The words of this chat are gone.
    Recalled(i64),
    /// The user deleted this chat. It stands for the chat, too.
    Deleted(i64),
    /// Nothing that matters to a load.
    Other,
}

/// A line of the service in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: i64,
    /// The group's conversation.
    pub group: i64,
    /// Who is a member from this line on.
    pub joined: Vec<i64>,
    /// Who is a member up to this line.
    pub left: Vec<i64>,
}

/// A chat as it is shown or stored.
#[derive(Debug)]
pub struct ChatFrame<'a> {
    pub key: Cow<'a, str>,
    pub id: i64,
    pub sender: i64,
    /// As [`address`](crate::address) has it.
    pub target: i64,
    pub content: Content<'a>,
}

/// What a chat says.
#[derive(Debug)]
pub enum Content<'a> {
    /// It is an answer that names the key alone: who wrote it to whom is then what the phone knows of the key.
    Unsaid,
    Text(Cow<'a, str>),
    Picture(Picture<'a>),
    Recalled,
}

/// A picture that a chat shows.
#[derive(Debug)]
pub struct Picture<'a> {
    /// The id of the upload.
    pub media: u128,
    pub url: Cow<'a, str>,
    /// In bytes.
    pub size: u64,
}

/// A part of what a user has.
#[derive(Debug)]
pub struct Page<'a> {
    pub events: Vec<(Option<i64>, Event<'a>)>,
    /// What the next page is after; `None` if this is the last.
    pub next: Option<i64>,
}

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the server said what this protocol does not have: {0}")]
pub struct Unreadable(pub String);

/// A protocol over a WebSocket. Text frames only.
pub trait Wire: Send + Sync {
    /// The request that opens a socket. `host` of the target, the upgrade's own headers are added.
    fn handshake(&self, target: &Url, person: &Person) -> Request<()>;

    /// What is said first on a new socket, if the client speaks first.
    fn greeting(&self, person: &Person, phone: u32, cursor: &Cursor) -> Option<String>;

    /// The frame that sends a chat.
    fn send(&self, letter: &Letter<'_>) -> String;

    /// The frame that keeps the socket alive, if the client is to send one.
    fn ping(&self) -> Option<String>;

    /// Tells what a frame means, part by part: some servers put several answers into one.
    fn hear<'a>(&self, frame: &'a str, tell: &mut dyn FnMut(Heard<'a>)) -> Result<(), Unreadable>;

    /// The path of a page of what this user has, in the order of the timeline, after a number or an id; its URL
    /// if what is read is not where the sockets are.
    fn page_path(&self, person: &Person, after: i64) -> String;

    /// Reads such a page.
    fn read_page<'a>(&self, body: &'a str) -> Result<Page<'a>, Unreadable>;

    /// Whether a client goes on after its socket was closed with this code. The others say that the client
    /// has done something wrong, or is not wanted.
    fn is_to_come_back_after(&self, code: u16) -> bool;

    /// Whether events have numbers, so that a phone resumes where it was.
    fn has_numbers(&self) -> bool;

    /// How far behind the end a page may begin. `None`: anywhere.
    fn replay_limit(&self) -> Option<i64> {
        None
    }
}

/// A WebSocket handshake for this path of a target.
pub fn upgrade(target: &Url, path: &str) -> Request<()> {
    use tokio_tungstenite::tungstenite::handshake::client::generate_key;
    let host = match (target.host_str(), target.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    Request::builder()
        .uri(format!("ws://{host}{path}"))
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .body(())
        .expect("a host from a URL, and a path of this program")
}
