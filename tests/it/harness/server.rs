//! A server process, and the people who use it over HTTP.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command},
};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    BackEnd, DEADLINE, Person, Start,
    start::{Files, PROGRAM, greeted, program, spawn},
};

/// An HTTP client that follows nothing and asks no proxy.
pub fn http_client() -> reqwest::Client {
    imserver::http_client::http_client().unwrap()
}

/// A running server; killed when it is dropped.
pub struct Server {
    pub(super) child: Child,
    pub addr: SocketAddr,
    /// Where the server API is.
    pub admin: SocketAddr,
    pub metrics: Option<SocketAddr>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) files: Option<Files>,
    pub(super) home: TempDir,
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

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file under `/proc` about the process, such as `status`.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        super::process::resident(self.child.id())
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
        let (addr, admin, metrics) = greeted(&mut child, &heard, &self.home);
        assert_eq!(addr, self.addr);
        (self.child, self.admin, self.metrics) = (child, admin, metrics);
    }

    /// From the next start on it is the program under test.
    pub fn upgrade(&mut self) {
        self.settings.retain(|(key, _)| key != PROGRAM);
    }

    /// Runs an `imserver` command on this server's data, such as `["admin", "rotate-epoch"]`.
    pub fn command(&self, args: &[&str]) -> std::process::Output {
        program(&self.settings).current_dir(self.home.path()).args(args).output().unwrap()
    }

    /// A back end with a new API key of these scopes, such as `"users,chats"`.
    pub fn back_end(&self, scopes: &str) -> BackEnd {
        let made =
            self.command(&["admin", "api-key", "create", "--name", "crm", "--scopes", scopes]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let said = String::from_utf8(made.stdout).unwrap();
        let key = said.lines().next().unwrap().to_owned();
        BackEnd { key, addr: self.admin, http: self.http.clone() }
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
