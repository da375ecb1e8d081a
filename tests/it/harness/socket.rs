//! A WebSocket client that waits for frames with a deadline.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue, Response},
    },
};

use super::DEADLINE;

/// What came over a socket.
#[derive(Debug, PartialEq)]
pub enum Seen {
    /// A text frame with JSON.
    Frame(Value),
    /// A close frame, or the end without one (1006).
    Closed(u16),
}

/// A socket of a client.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    pub headers: tungstenite::http::HeaderMap,
}

impl Socket {
    /// Opens a socket at this path with these headers. `Err`: the answer that refused it.
    pub async fn open(
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response<Option<Vec<u8>>>> {
        let tcp = TcpStream::connect(addr).await.unwrap();
        Self::over(tcp, path, headers).await
    }

    /// As [`Socket::open`], over this connection.
    pub async fn over(
        tcp: TcpStream,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response<Option<Vec<u8>>>> {
        let shaken = timeout(DEADLINE, Self::try_over(tcp, path, headers)).await;
        match shaken.expect("no handshake in time") {
            Ok(socket) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(*response),
            Err(error) => panic!("handshake failed: {error}"),
        }
    }

    /// As [`Socket::over`], where the connection may break too.
    pub async fn try_over(
        tcp: TcpStream,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let addr = tcp.peer_addr()?;
        let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            if name == "host" {
                request.headers_mut().remove("host");
            }
            request.headers_mut().append(name, HeaderValue::try_from(*value).unwrap());
        }
        tcp.set_nodelay(true)?;
        let (stream, response) = client_async(request, tcp).await?;
        Ok(Self { stream, headers: response.headers().clone() })
    }

    /// Opens a socket of version 1.
    pub async fn v1(addr: SocketAddr, user: i64, token: &str) -> Self {
        Self::v1_over(TcpStream::connect(addr).await.unwrap(), user, token).await
    }

    /// Opens a socket of version 1 over this connection.
    pub async fn v1_over(tcp: TcpStream, user: i64, token: &str) -> Self {
        let offers = format!("imserver.v1, bearer.{token}");
        let headers = [("sec-websocket-protocol", offers.as_str())];
        let socket = Self::over(tcp, &format!("/imserver/{user}"), &headers).await;
        let socket = socket.unwrap_or_else(|refused| panic!("refused: {}", refused.status()));
        assert_eq!(socket.headers["sec-websocket-protocol"], "imserver.v1");
        socket
    }

    /// Opens a legacy socket, anonymously.
    pub async fn legacy(addr: SocketAddr, user: i64) -> Self {
        let socket = Self::open(addr, &format!("/imserver/{user}"), &[]).await;
        socket.unwrap_or_else(|refused| panic!("refused: {}", refused.status()))
    }

    /// Sends a JSON frame.
    pub async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// Sends a text frame.
    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(Message::text(text)).await;
    }

    /// Sends any message. A socket that the server closed meanwhile takes it silently.
    pub async fn send_raw(&mut self, message: Message) {
        let _ = timeout(DEADLINE, self.stream.send(message)).await.expect("not sent in time");
    }

    /// The next frame or the end; pings are answered on the way.
    pub async fn next(&mut self) -> Seen {
        loop {
            let message =
                timeout(DEADLINE, self.stream.next()).await.expect("nothing came in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    return Seen::Frame(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Seen::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Seen::Closed(1006),
            }
        }
    }

    /// The next frame, which must be one.
    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Seen::Frame(frame) => frame,
            Seen::Closed(code) => panic!("closed with {code}"),
        }
    }

    /// The next frame, which must be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame of this type; others are passed over.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Shows that nothing else was under way: the answer to a ping comes next.
    pub async fn expect_quiet(&mut self) {
        self.send(&serde_json::json!({"type": "ping"})).await;
        self.expect("pong").await;
    }

    /// The close code; frames before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Seen::Closed(code) = self.next().await {
                return code;
            }
        }
    }

    /// Reads nothing any more, and says nothing: the connection just stands.
    pub fn into_stream(self) -> WebSocketStream<TcpStream> {
        self.stream
    }
}

/// Asks for a socket at this path and returns the answer, of whatever status, with its whole body.
pub async fn handshake(
    http: &reqwest::Client,
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = http
        .get(format!("http://{addr}{path}"))
        .timeout(DEADLINE)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}
