//! A service within the tests' own process, for what no setting asks for: rules of the tests' own.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use imserver::{
    admission::Rule,
    app::{App, Further},
    checks::TextCheck,
    clock::Clock,
    config::{self, Overrides},
    subscribe::SubscribeSender,
};
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{DEADLINE, Person, server::http_client};

/// A service on a thread and a SQLite file of its own. It ends when it is dropped, as if it was killed.
pub struct Here {
    pub addr: SocketAddr,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _home: TempDir,
}

/// What sends subscribe messages in place of WeChat.
pub type Sender = Arc<dyn SubscribeSender>;

impl Here {
    /// Starts it with the default settings, and with these rules after its own.
    pub fn start(rules: Vec<Arc<dyn Rule>>) -> Self {
        Self::start_with(&[], Further { rules, ..Further::default() })
    }

    /// Starts it with these settings, and with what checks texts.
    pub fn checking(settings: &[(&str, &str)], text_check: Arc<dyn TextCheck>) -> Self {
        Self::start_with(settings, Further { text_check: Some(text_check), ..Further::default() })
    }

    /// Starts it with these settings, and with what sends subscribe messages.
    pub fn sending(settings: &[(&str, &str)], sender: Sender) -> Self {
        Self::start_with(settings, Further { sender: Some(sender), ..Further::default() })
    }

    fn start_with(more: &[(&str, &str)], further: Further) -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", home.path().join("im.db").display());
        let settings =
            [("server.listen", "127.0.0.1:0"), ("metrics.listen", ""), ("database.url", &database)];
        let settings = settings.iter().chain(more);
        let values =
            settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let settings = config::load(&Overrides { file: None, values }).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (started, starts) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let app = App::build_with(settings, Clock::system(), further).await.unwrap();
                started.send(app.addr().unwrap()).unwrap();
                tokio::select! {
                    ended = app.run(std::future::pending()) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let addr = starts.recv_timeout(DEADLINE).expect("the service did not start");
        Self { addr, http: http_client(), stop: Some(stop), thread: Some(thread), _home: home }
    }

    /// Somebody who is logged in by the code that WeChat takes for this openid.
    pub async fn wechat_person(&self, openid: &str) -> Person {
        let response = self.post("/v1/login/wechat", &json!({"code": openid})).await;
        Person::logged_in(response, self.addr, &self.http).await
    }

    /// `POST` of a JSON body without a token.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.http.post(format!("http://{}{path}", self.addr)).timeout(DEADLINE);
        request.body(body.to_string()).send().await.unwrap()
    }

    /// Somebody who is logged in by a demo name.
    pub async fn person(&self, name: &str) -> Person {
        let response = self.post("/v1/login/demo", &json!({"name": name})).await;
        Person::logged_in(response, self.addr, &self.http).await
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        // A second panic would hide the first one.
        assert!(ended || std::thread::panicking(), "the service panicked");
    }
}
