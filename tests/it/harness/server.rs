//! A server process, and the people who use it over HTTP.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};

use super::{DEADLINE, Socket};

/// How a server is to be started.
pub struct Start {
    settings: Vec<(String, String)>,
    files: Option<Files>,
}

/// A limit of file descriptors, as the shell sets it.
#[derive(Clone, Copy)]
struct Files {
    flag: &'static str,
    most: u32,
}

impl Default for Start {
    fn default() -> Self {
        let start = Self { settings: Vec::new(), files: None };
        start
            .set("server.listen", "127.0.0.1:0")
            .set("metrics.listen", "127.0.0.1:0")
            .set("log.filter", "trace")
    }
}

impl Start {
    /// With this setting.
    #[allow(clippy::needless_pass_by_value, reason = "so that numbers and texts read the same")]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        let key = format!("IMSERVER__{}", key.to_uppercase().replace('.', "__"));
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_string()));
        self
    }

    /// With no more than so many file descriptors.
    pub fn files(mut self, most: u32) -> Self {
        self.files = Some(Files { flag: "-n", most });
        self
    }

    /// With no more than so many file descriptors until it raises that itself.
    pub fn soft_files(mut self, most: u32) -> Self {
        self.files = Some(Files { flag: "-Sn", most });
        self
    }

    /// Starts it in a folder of its own and waits until it listens.
    pub fn run(self) -> Server {
        self.begin().ready()
    }

    /// Starts it in a folder of its own.
    pub fn begin(self) -> Starting {
        let home = tempfile::tempdir().unwrap();
        let (child, said) = spawn(&self.settings, self.files, &home);
        Starting { child: Some(child), said, settings: self.settings, files: self.files, home }
    }
}

/// A server that does not serve yet; killed when it is dropped.
pub struct Starting {
    child: Option<Child>,
    said: mpsc::Receiver<String>,
    settings: Vec<(String, String)>,
    files: Option<Files>,
    home: TempDir,
}

impl Starting {
    /// Ends it with SIGKILL.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits until it listens.
    pub fn ready(mut self) -> Server {
        let mut child = self.child.take().unwrap();
        let (addr, metrics) = greeted(&mut child, &self.said, &self.home);
        let settings = std::mem::take(&mut self.settings);
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        let files = self.files;
        Server { child, addr, metrics, settings, files, home, http: http_client() }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An HTTP client that follows nothing and asks no proxy.
pub fn http_client() -> reqwest::Client {
    imserver::wechat::http_client().unwrap()
}

/// The program, with an environment that holds nothing but these settings.
pub fn program(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imserver"));
    command.env_clear().envs(settings.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
    command
}

/// Starts it, and hears what it says.
fn spawn(
    settings: &[(String, String)],
    files: Option<Files>,
    home: &TempDir,
) -> (Child, mpsc::Receiver<String>) {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.path().join("stderr.log"))
        .unwrap();
    let mut command = program(settings);
    if let Some(Files { flag, most }) = files {
        let program = command.get_program().to_owned();
        let mut limited = Command::new("/bin/sh");
        limited.arg("-c").arg(format!("ulimit {flag} {most}; exec \"$0\"")).arg(program);
        limited.env_clear().envs(settings.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command = limited;
    }
    let mut child =
        command.current_dir(home.path()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (lines, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    (child, heard)
}

/// Waits until it says where it listens, and where its metrics are.
fn greeted(
    child: &mut Child,
    heard: &mpsc::Receiver<String>,
    home: &TempDir,
) -> (SocketAddr, Option<SocketAddr>) {
    let (mut addr, mut metrics) = (None, None);
    loop {
        let Ok(line) = heard.recv_timeout(DEADLINE) else {
            let _ = child.kill();
            let _ = child.wait();
            let log = std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
            panic!("the server did not start: {log}");
        };
        if let Some((_, url)) = line.split_once("listens on http://") {
            addr = url.parse().ok();
        }
        if let Some((_, url)) = line.split_once("metrics      http://") {
            metrics = url.trim_end_matches("/metrics").parse().ok();
        }
        if line.starts_with("Next:") {
            return (addr.unwrap(), metrics);
        }
    }
}

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    pub metrics: Option<SocketAddr>,
    settings: Vec<(String, String)>,
    files: Option<Files>,
    home: TempDir,
    pub http: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server on its defaults: SQLite, demo login, anonymous routes.
    pub fn start() -> Self {
        Start::default().run()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.home.path().join("data/imserver.db")
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("stderr.log")).unwrap()
    }

    /// Whether it still runs, as the process that was started.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics.unwrap());
        self.http.get(url).timeout(DEADLINE).send().await.unwrap().text().await.unwrap()
    }

    /// The value of one series of `/metrics`, such as `imserver_sockets{kind="v1"}`; 0 if it is not
    /// there.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let mut values = metrics.lines().filter_map(|line| line.rsplit_once(' '));
        values.find(|(name, _)| *name == series).map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// A file under `/proc` about the process, such as `status`.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Stops it where it is: its connections stand, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Ends a freeze.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// Asks it to end with SIGTERM, and waits for its status.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let begun = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "did not end");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Starts it again after it has ended, on the same data and port.
    pub fn start_again(&mut self) {
        let listen = "IMSERVER__SERVER__LISTEN".to_owned();
        self.settings.retain(|(key, _)| *key != listen);
        self.settings.push((listen, self.addr.to_string()));
        let (mut child, heard) = spawn(&self.settings, self.files, &self.home);
        let (addr, metrics) = greeted(&mut child, &heard, &self.home);
        assert_eq!(addr, self.addr);
        (self.child, self.metrics) = (child, metrics);
    }

    /// Runs an `imserver` command on this server's data, such as `["admin", "rotate-epoch"]`.
    pub fn command(&self, args: &[&str]) -> std::process::Output {
        program(&self.settings).current_dir(self.home.path()).args(args).output().unwrap()
    }

    /// A request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).timeout(DEADLINE)
    }

    /// `GET` without a token.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// `POST` of a JSON body without a token.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).body(body.to_string()).send().await.unwrap()
    }

    /// Somebody who is logged in by a demo name. On a busy machine the database may take its time.
    pub async fn person(&self, name: &str) -> Person {
        let begun = std::time::Instant::now();
        let response = loop {
            let response = self.post("/v1/login/demo", &json!({"name": name})).await;
            let is_busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
            if !is_busy || begun.elapsed() > DEADLINE {
                break response;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        Person::logged_in(response, self.addr, &self.http).await
    }
}

/// The body of an answer as JSON.
pub async fn json_of(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Asserts that an answer is the problem document of this status and code, and returns its detail.
pub async fn assert_problem(response: Response, status: u16, code: &str) -> String {
    let got = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned();
    let retry_after = response.headers().contains_key("retry-after");
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    let content_type = content_type.unwrap();
    assert!(content_type.to_str().unwrap().starts_with("application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["code"], code, "{text}");
    assert_eq!(problem["status"], status, "{text}");
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{text}");
    assert!(retry_after || !matches!(status, 429 | 503), "{text}");
    problem["detail"].as_str().unwrap().to_owned()
}

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Person {
    pub id: i64,
    pub name: String,
    pub token: String,
    addr: SocketAddr,
    http: reqwest::Client,
}

impl Person {
    /// Whom the answer to a login names, at the service that gave it.
    pub async fn logged_in(response: Response, addr: SocketAddr, http: &reqwest::Client) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        let body: Value = json_of(response).await;
        Self {
            id: body["user"]["id"].as_i64().unwrap(),
            name: body["user"]["name"].as_str().unwrap().to_owned(),
            token: body["token"].as_str().unwrap().to_owned(),
            addr,
            http: http.clone(),
        }
    }

    /// The same person at another replica.
    pub fn at(&self, server: &Server) -> Self {
        Self { addr: server.addr, ..self.clone() }
    }

    /// A request with this person's token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.addr);
        self.http.request(method, url).timeout(DEADLINE).bearer_auth(&self.token)
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// `GET` of something that is there, as JSON.
    pub async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        json_of(response).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).body(body.to_string()).send().await.unwrap()
    }

    /// Sends a chat over HTTP; returns `{chat, seq}`.
    pub async fn send(&self, target: i64, key: &str, content: &str) -> Value {
        let body = json!({"clientMsgId": key, "targetUserId": target, "content": content});
        let response = self.post("/v1/chats", &body).await;
        let status = response.status();
        assert!(status.is_success(), "{status}: {}", response.text().await.unwrap());
        json_of(response).await
    }

    /// Opens a socket of version 1, without a `hello`.
    pub async fn connect(&self) -> Socket {
        Socket::v1(self.addr, self.id, &self.token).await
    }

    /// As [`Person::connect`]; `None`: the server did not let it in, or is not there.
    pub async fn try_connect(&self) -> Option<Socket> {
        let offers = format!("imserver.v1, bearer.{}", self.token);
        let headers = [("sec-websocket-protocol", offers.as_str())];
        let tcp = TcpStream::connect(self.addr).await.ok()?;
        Socket::try_over(tcp, &format!("/imserver/{}", self.id), &headers).await.ok()
    }

    /// As [`Person::connect`], through a connection that holds little of what is not read.
    pub async fn connect_narrowly(&self) -> Socket {
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.set_recv_buffer_size(4_096).unwrap();
        Socket::v1_over(tcp.connect(self.addr).await.unwrap(), self.id, &self.token).await
    }

    /// Opens a socket, says this `hello` and expects `ready`, which it returns too.
    pub async fn hello(&self, hello: &Value) -> (Socket, Value) {
        let mut socket = self.connect().await;
        let mut frame = hello.clone();
        frame["type"] = "hello".into();
        socket.send(&frame).await;
        let ready = socket.expect("ready").await;
        (socket, ready)
    }

    /// Opens a socket that is live from now on.
    pub async fn online(&self) -> Socket {
        self.hello(&json!({})).await.0
    }
}
