//! What the service does with WeChat, against a stub that answers as WeChat does, or worse.

mod login;
mod media;
mod push;
mod text;
mod token;
mod whole;

use std::sync::Arc;

use imserver::{
    domain::{OpenId, WechatUser},
    http_client::http_client,
    secret::Secret,
    wechat::{Addresses, MiniProgram, Wechat},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

pub const APPID: &str = "wx0123456789";
pub const SECRET: &str = "the-app-secret";
pub const OPENID: &str = "the-openid";

type Answers = Box<dyn Fn(&str, &Value) -> ResponseTemplate + Send>;

/// What the stub knows.
#[derive(Default)]
struct State {
    /// How many tokens were asked for.
    asked: usize,
    /// The answer in place of a token.
    no_token: Option<ResponseTemplate>,
    /// How long a token is said to be good, in seconds.
    expires_in: u64,
    /// The newest token; no other is taken.
    token: String,
    /// The error for tokens that are not taken.
    refusal: i64,
    /// Whether no token at all is taken.
    takes_none: bool,
    answers: Option<Answers>,
    /// The calls that had a good token, each by its path and its body.
    calls: Vec<(String, Value)>,
}

/// WeChat, as the tests have it.
pub struct Stub {
    pub server: MockServer,
    state: Arc<Mutex<State>>,
}

/// As WeChat sends it: 200 and text/plain, whatever it says.
pub fn text(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "text/plain")
}

/// An error in WeChat's form.
pub fn error(errcode: i64) -> ResponseTemplate {
    text(&json!({"errcode": errcode, "errmsg": "as told rid: 1-2-3"}).to_string())
}

/// What a check of a text answers.
pub fn verdict(suggest: &str, detail: &Value) -> ResponseTemplate {
    let label = if suggest == "pass" { 100 } else { 20001 };
    text(
        &json!({"errcode": 0, "errmsg": "ok", "trace_id": "t-1", "detail": detail,
            "result": {"suggest": suggest, "label": label}})
        .to_string(),
    )
}

impl Stub {
    /// One that gives tokens, and whose calls are answered so.
    pub async fn start(
        answers: impl Fn(&str, &Value) -> ResponseTemplate + Send + 'static,
    ) -> Self {
        let server = MockServer::start().await;
        let state = Arc::new(Mutex::new(State {
            expires_in: 7_200,
            refusal: 40_001,
            answers: Some(Box::new(answers)),
            ..State::default()
        }));
        let of_mock = Arc::clone(&state);
        Mock::given(any())
            .respond_with(move |request: &Request| respond(&mut of_mock.lock(), request))
            .mount(&server)
            .await;
        Self { server, state }
    }

    /// Answers calls so from now on.
    pub fn answer(&self, answers: impl Fn(&str, &Value) -> ResponseTemplate + Send + 'static) {
        self.state.lock().answers = Some(Box::new(answers));
    }

    /// The calls so far that had a good token.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.state.lock().calls.clone()
    }

    /// How many tokens were asked for.
    pub fn asked(&self) -> usize {
        self.state.lock().asked
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    /// One mini program that asks this WeChat.
    pub fn wechat(&self) -> Wechat {
        wechat_at(&self.addresses())
    }

    fn addresses(&self) -> Addresses {
        Addresses { base_url: self.server.uri().parse().unwrap(), token_url: None }
    }
}

pub fn wechat_at(at: &Addresses) -> Wechat {
    let secret = Secret::new(SECRET);
    Wechat::new(vec![MiniProgram::new(http_client().unwrap(), at, APPID, secret)])
}

/// Somebody whom the mini program knows.
pub fn user() -> WechatUser {
    WechatUser { appid: Some(APPID.into()), openid: OpenId::new(OPENID) }
}

fn respond(state: &mut State, request: &Request) -> ResponseTemplate {
    let path = request.url.path().to_owned();
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    if path == "/cgi-bin/stable_token" {
        assert_eq!(request.method.as_str(), "POST");
        let wanted = json!({"grant_type": "client_credential", "appid": APPID, "secret": SECRET,
            "force_refresh": false});
        assert_eq!(body, wanted);
        return give_token(state);
    }
    if path == "/company/token" {
        let query: Vec<_> = request.url.query_pairs().into_owned().collect();
        assert_eq!(query, [("appid".to_owned(), APPID.to_owned())]);
        return give_token(state);
    }
    if path == "/sns/jscode2session" {
        let code = request.url.query_pairs().find(|(key, _)| key == "js_code").unwrap();
        return text(&json!({"openid": code.1, "session_key": "k"}).to_string());
    }
    let token = request.url.query_pairs().find(|(key, _)| key == "access_token");
    let token = token.map(|(_, token)| token.into_owned()).unwrap_or_default();
    if token != state.token || state.takes_none {
        return error(state.refusal);
    }
    let answer = state.answers.as_ref().unwrap()(&path, &body);
    state.calls.push((path, body));
    answer
}

fn give_token(state: &mut State) -> ResponseTemplate {
    state.asked += 1;
    if let Some(answer) = &state.no_token {
        return answer.clone();
    }
    state.token = format!("the-token-{}", state.asked);
    let answer = json!({"access_token": state.token, "expires_in": state.expires_in});
    text(&answer.to_string())
}
