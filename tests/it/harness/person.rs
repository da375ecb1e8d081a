//! People who are logged in, and what they do over HTTP and with sockets.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use super::{DEADLINE, Server, Socket, server::json_of};

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
        let path = format!("/imserver/{}", self.id);
        let opening = async {
            let tcp = TcpStream::connect(self.addr).await.ok()?;
            Socket::try_over(tcp, &path, &headers).await.ok()
        };
        tokio::time::timeout(DEADLINE, opening).await.ok()?
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
