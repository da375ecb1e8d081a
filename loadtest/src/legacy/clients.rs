//! The clients of the legacy protocol: sockets that read snapshots, and connections for `POST /push`.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::{LegacyArgs, Load};
use phone::{target::Target, wire};

/// How long a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that was not used for so long is replaced: a server closes it some time, ours after 30 s, and does not answer
/// what is written at that moment.
const IDLE: Duration = Duration::from_secs(20);

/// After so many chats in a row that were shown before, older ones in a snapshot are not looked at.
const KNOWN_IN_A_ROW: u32 = 32;

/// How long nothing may come before a reader takes its last snapshot for the latest.
const QUIET: Duration = Duration::from_millis(1_500);

type Socket = WebSocketStream<TcpStream>;

/// Users count from 0, ids from 1.
fn id(user: u32) -> u32 {
    user + 1
}

/// Opens a user's socket.
pub(super) async fn open(target: &Target, user: u32) -> anyhow::Result<Socket> {
    let request = wire::upgrade(&target.url, &format!("/imserver/{}", id(user)));
    let tcp = TcpStream::connect(target.addr).await.context("no connection")?;
    tcp.set_nodelay(true)?;
    let (socket, _) = client_async(request, tcp)
        .await
        .context("a legacy socket was not opened; is the server in anonymous mode?")?;
    Ok(socket)
}

/// What `/getMessage` says.
pub(super) async fn latest(
    http: &reqwest::Client,
    target: &Target,
    user: u32,
) -> anyhow::Result<Vec<Value>> {
    let answer = http.get(target.at(&format!("/getMessage?userId={}", id(user)))).send().await?;
    ensure!(answer.status() == 200, "/getMessage was answered with {}", answer.status());
    Ok(answer.json().await?)
}

/// Reads the snapshots of one user.
pub(super) struct Reader {
    load: Arc<Load>,
    user: u32,
    /// What stands before the number of a chat of this load.
    mark: String,
}

impl Reader {
    pub(super) fn new(load: &Arc<Load>, user: u32) -> Self {
        let mark = format!(r#""content":"{}"#, head(load.run));
        Self { load: Arc::clone(load), user, mark }
    }

    /// Reads until the load is over and nothing comes any more. Returns the last snapshot.
    pub(super) async fn read(self, mut socket: Socket) -> Option<Vec<Value>> {
        let mut last = None;
        loop {
            match timeout(QUIET, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    self.snapshot(text.as_str());
                    last = Some(text);
                }
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    self.load.fail(format!("the socket of user {} ended", self.user));
                    return None;
                }
                Err(_) if self.load.is_over.load(Relaxed) => break,
                Ok(Some(Ok(_))) | Err(_) => {}
            }
        }
        let chats = serde_json::from_str(last?.as_str());
        chats.map_err(|error| self.load.fail(format!("a snapshot: {error}"))).ok()
    }

    /// Notes the chats of a snapshot, from its end on.
    fn snapshot(&self, text: &str) {
        let now = self.load.clock.now();
        self.load.snapshots.fetch_add(1, Relaxed);
        self.load.bytes.fetch_add(text.len() as u64, Relaxed);
        let mut known = 0;
        for (place, _) in text.rmatch_indices(&self.mark) {
            let number = text.get(place + self.mark.len()..).and_then(|rest| rest.get(..8));
            let number = number.and_then(|hex| usize::from_str_radix(hex, 16).ok());
            let Some(number) = number else { continue };
            known = if self.load.show(number, self.user, now) { known + 1 } else { 0 };
            if known == KNOWN_IN_A_ROW {
                return;
            }
        }
        if text.starts_with('{') {
            self.load.fail(text.to_owned());
        }
    }
}

/// How the content of a chat of this run begins.
fn head(run: u32) -> String {
    format!("{run:08x}-")
}

/// The connections for `POST /push`: some for each person, each with one request at a time.
pub(super) struct Lanes {
    numbers: Vec<mpsc::UnboundedSender<usize>>,
    each: usize,
    tasks: Vec<JoinHandle<()>>,
}

impl Lanes {
    pub(super) fn start(load: &Arc<Load>, args: &LegacyArgs, at: impl Fn(u32) -> Target) -> Self {
        let mut started =
            Self { numbers: Vec::new(), each: args.lanes as usize, tasks: Vec::new() };
        for user in 0..args.users {
            for _ in 0..args.lanes {
                let (lane, numbers) = mpsc::unbounded_channel();
                let load = Arc::clone(load);
                let lane_of = Lane { load, user, size: args.size, target: at(user), tcp: None };
                started.numbers.push(lane);
                started.tasks.push(tokio::spawn(lane_of.run(numbers)));
            }
        }
        started
    }

    /// Gives a chat to one of its sender's lanes.
    pub(super) fn give(&self, number: usize, sender: u32) {
        let lane = sender as usize * self.each + number % self.each;
        // A lane lives as long as this.
        let _ = self.numbers[lane].send(number);
    }

    /// Ends when all are answered.
    pub(super) async fn end(self) {
        drop(self.numbers);
        for task in self.tasks {
            let _ = timeout(PATIENCE, task).await;
        }
    }
}

struct Lane {
    load: Arc<Load>,
    user: u32,
    size: usize,
    target: Target,
    /// The connection, and when it was used last.
    tcp: Option<(TcpStream, Instant)>,
}

impl Lane {
    async fn run(mut self, mut numbers: mpsc::UnboundedReceiver<usize>) {
        while let Some(number) = numbers.recv().await {
            self.load.note(number, self.load.clock.now(), |meter| &mut meter.lag);
            match timeout(PATIENCE, self.push(number)).await {
                Ok(Ok(())) => {
                    self.load.note(number, self.load.clock.now(), |meter| &mut meter.push);
                    self.load.meter.lock().stored += usize::from(number >= self.load.first);
                }
                Ok(Err(error)) => self.load.fail(format!("{error:#}")),
                Err(_) => self.load.fail("/push was not answered".to_owned()),
            }
        }
    }

    async fn push(&mut self, number: usize) -> anyhow::Result<()> {
        let (from, to) = (id(self.user), id(self.user ^ 1));
        let mut content = format!("{}{number:08x} ", head(self.load.run));
        content.extend(std::iter::repeat_n('x', self.size.saturating_sub(content.len())));
        let body = json!({
            "userId": from,
            "targetUserId": to,
            "userName": format!("load {from}"),
            "targetUserName": format!("load {to}"),
            "content": content,
        })
        .to_string();
        let request = format!(
            "POST /push HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.target.addr,
            body.len(),
        );
        let kept = self.tcp.take().filter(|(_, used)| used.elapsed() < IDLE);
        let mut tcp = if let Some((tcp, _)) = kept {
            tcp
        } else {
            let tcp = TcpStream::connect(self.target.addr).await?;
            tcp.set_nodelay(true)?;
            tcp
        };
        exchange(&mut tcp, request.as_bytes()).await?;
        self.tcp = Some((tcp, Instant::now()));
        Ok(())
    }
}

/// Writes a request, and reads its answer to the end.
async fn exchange(tcp: &mut TcpStream, request: &[u8]) -> anyhow::Result<()> {
    tcp.write_all(request).await?;
    let (mut answer, mut part) = (Vec::new(), [0; 1_024]);
    loop {
        let count = tcp.read(&mut part).await?;
        ensure!(count > 0, "the connection ended before its answer");
        answer.extend_from_slice(&part[..count]);
        let text = std::str::from_utf8(&answer).context("an answer")?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let is_whole = match head.lines().find_map(content_length) {
            Some(length) => body.len() >= length,
            None => body.ends_with("0\r\n\r\n"),
        };
        if is_whole {
            ensure!(head.starts_with("HTTP/1.1 200"), "/push was answered with {text}");
            return Ok(());
        }
    }
}

fn content_length(line: &str) -> Option<usize> {
    let (name, value) = line.split_once(':')?;
    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
}
