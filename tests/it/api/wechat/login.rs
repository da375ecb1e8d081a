//! The exchange of a login code with WeChat, against a server that answers as WeChat does, or worse.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use imserver::{
    http_client::http_client,
    secret::Secret,
    wechat::{Addresses, Login, LoginError, MiniProgram},
};
use tracing_subscriber::fmt::MakeWriter;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path, query_param},
};

use super::{APPID, OPENID, SECRET, text};
use crate::harness::DEADLINE;

const CODE: &str = "the-login-code";

fn at(base_url: &str) -> Addresses {
    Addresses { base_url: base_url.parse().unwrap(), token_url: None }
}

fn client(base_url: &str) -> MiniProgram {
    MiniProgram::new(http_client().unwrap(), &at(base_url), APPID, Secret::new(SECRET))
}

/// A server that gives every login this answer.
async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/sns/jscode2session"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

async fn openid_of(answer: ResponseTemplate) -> Result<Login, LoginError> {
    let server = answering(answer).await;
    client(&server.uri()).log_in(CODE).await
}

#[tokio::test]
async fn a_code_is_traded_for_the_openid() {
    let body = format!(r#"{{"session_key":"k==","openid":"{OPENID}","unionid":"u"}}"#);
    assert_eq!(openid_of(text(&body)).await.unwrap().openid.as_str(), OPENID);
    let body = format!(r#"{{"openid":"{OPENID}","errcode":0,"errmsg":"ok"}}"#);
    assert_eq!(openid_of(text(&body)).await.unwrap().openid.as_str(), OPENID);
}

#[tokio::test]
async fn the_request_is_what_wechat_expects() {
    let code = "a+b/c=&secret=x 你";
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(query_param("appid", APPID))
        .and(query_param("secret", SECRET))
        .and(query_param("js_code", code))
        .and(query_param("grant_type", "authorization_code"))
        .respond_with(text(r#"{"openid":"o"}"#))
        .mount(&server)
        .await;

    for base in ["", "/", "/wx", "/wx/", "/wx/?a=b#c"] {
        client(&format!("{}{base}", server.uri())).log_in(code).await.unwrap();
    }

    let requests = server.received_requests().await.unwrap();
    let asked: Vec<_> = requests.iter().map(|request| request.url.path()).collect();
    let plain = "/sns/jscode2session";
    let below = "/wx/sns/jscode2session";
    assert_eq!(asked, [plain, plain, below, below, below]);
    assert!(requests.iter().all(|request| request.url.query_pairs().count() == 4));
}

#[tokio::test]
async fn error_codes_have_their_meaning() {
    for (errcode, meaning) in [
        (40_029, LoginError::CodeInvalid),
        (40_163, LoginError::CodeInvalid),
        (41_008, LoginError::CodeInvalid),
        (40_226, LoginError::UserBlocked),
        (45_011, LoginError::RateLimited),
        (-1, LoginError::Unavailable),
        (40_013, LoginError::Unavailable),
        (40_125, LoginError::Unavailable),
        (99_999, LoginError::Unavailable),
    ] {
        // An openid beside an error is not to be trusted.
        let body = format!(r#"{{"errcode":{errcode},"errmsg":"rid: 1","openid":"{OPENID}"}}"#);
        assert_eq!(openid_of(text(&body)).await, Err(meaning), "{errcode}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_understands_is_unavailable() {
    let openid = format!(r#"{{"openid":"{OPENID}"}}"#);
    let long = format!(r#"{{"openid":"{OPENID}","padding":"{}"}}"#, "x".repeat(64 * 1024));
    for (what, answer) in [
        ("server error", ResponseTemplate::new(500).set_body_string(&openid)),
        ("not found", ResponseTemplate::new(404).set_body_string(&openid)),
        ("another success", ResponseTemplate::new(201).set_body_string(&openid)),
        ("no JSON", text("<html>busy</html>")),
        ("nothing", text("")),
        ("no object", text("[]")),
        ("neither", text("{}")),
        ("an empty openid", text(r#"{"openid":""}"#)),
        ("no error and no openid", text(r#"{"errcode":0,"errmsg":"ok"}"#)),
        ("an openid that is no text", text(r#"{"openid":7}"#)),
        ("too long", text(&long)),
    ] {
        assert_eq!(openid_of(answer).await, Err(LoginError::Unavailable), "{what}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = answering(text(&format!(r#"{{"openid":"{OPENID}"}}"#))).await;
    let target = format!("{}/sns/jscode2session", elsewhere.uri());
    let answer = ResponseTemplate::new(302).insert_header("Location", target.as_str());
    assert_eq!(openid_of(answer).await, Err(LoginError::Unavailable));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_server_is_unavailable_in_time() {
    let late = text(&format!(r#"{{"openid":"{OPENID}"}}"#)).set_delay(Duration::from_secs(30));
    let server = answering(late).await;
    let start = Instant::now();
    let answer = MiniProgram::with_timeout(
        http_client().unwrap(),
        &at(&server.uri()),
        APPID,
        Secret::new(SECRET),
        Duration::from_millis(100),
    )
    .log_in(CODE)
    .await;
    assert_eq!(answer, Err(LoginError::Unavailable));
    assert!(start.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(client(&url).log_in(CODE).await, Err(LoginError::Unavailable));
}

#[tokio::test]
async fn codes_that_cannot_be_any_are_not_passed_on() {
    let server = answering(text(r#"{"openid":"o"}"#)).await;
    let client = client(&server.uri());
    assert_eq!(client.log_in("").await, Err(LoginError::CodeInvalid));
    assert_eq!(client.log_in(&"x".repeat(513)).await, Err(LoginError::CodeInvalid));
    assert!(server.received_requests().await.unwrap().is_empty());
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn failures_are_logged_once_and_nothing_shows_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // While there is only one subscriber, tests on other threads, which have none, may switch events
    // off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut shown = String::new();
    let mut show = |result: Result<Login, LoginError>| {
        let logged = log.take();
        let error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        shown.extend([&logged, &error, &format!("{result:?}")].map(String::as_str));
        logged
    };

    let quoting = format!(r#"{{"openid":["{OPENID} {SECRET} {CODE}"]}}"#);
    for (answer, word) in [
        (text(r#"{"errcode":40013}"#), "errcode=40013"),
        (text(r#"{"errcode":-1}"#), "errcode=-1"),
        (ResponseTemplate::new(502), "502"),
        (text(&quoting), "JSON"),
        (text(&format!("{OPENID} {SECRET} {CODE}")), "JSON"),
        (text("{}"), "neither"),
    ] {
        let logged = show(openid_of(answer).await);
        assert_eq!(logged.lines().count(), 1, "{logged}");
        assert!(logged.contains(word) && logged.contains("WARN"), "{logged}");
    }
    let logged = show(client("http://127.0.0.1:1").log_in(CODE).await);
    assert!(logged.lines().count() == 1 && logged.contains("refused"), "{logged}");
    for quiet in [r#"{"errcode":40029}"#, r#"{"errcode":45011}"#, r#"{"openid":"the-openid"}"#] {
        assert_eq!(show(openid_of(text(quiet)).await), "", "nothing for the operator to do");
    }

    for hidden in [SECRET, CODE, OPENID, "js_code", "http://"] {
        assert!(!shown.contains(hidden), "{hidden} is shown in {shown}");
    }
    assert!(!format!("{:?}", client("http://127.0.0.1:1")).contains(SECRET));
}
