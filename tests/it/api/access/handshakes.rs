//! What is decided before a socket opens.

use reqwest::Response;

use super::{NOBODY, assert_unauthorized, server};
use crate::harness::{Person, Server, Start, handshake, server::assert_problem};

struct Door {
    server: Server,
    zhang: Person,
    li: Person,
}

impl Door {
    async fn of(start: Start) -> Self {
        let server = start.run();
        let (zhang, li) = (server.person("张三").await, server.person("李四").await);
        Self { server, zhang, li }
    }

    async fn knock(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        handshake(&self.server.http, self.server.addr, path, headers).await
    }

    /// As 张三, offering these subprotocols and nothing else.
    async fn offer(&self, offers: &str) -> Response {
        let path = format!("/imserver/{}", self.zhang.id);
        self.knock(&path, &[("sec-websocket-protocol", offers)]).await
    }

    /// As 张三, with the token in the header.
    async fn offer_with_header(&self, offers: Option<&str>) -> Response {
        let path = format!("/imserver/{}", self.zhang.id);
        let bearer = format!("Bearer {}", self.zhang.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(offers.map(|offers| ("sec-websocket-protocol", offers)));
        self.knock(&path, &headers).await
    }
}

/// Asserts that the socket opens, and that this subprotocol is selected.
fn assert_opens(response: &Response, selected: Option<&str>) {
    assert_eq!(response.status(), 101);
    let got = response.headers().get("sec-websocket-protocol");
    assert_eq!(got.map(|value| value.to_str().unwrap()), selected);
}

#[tokio::test]
async fn version_1_is_selected_and_the_token_is_not_echoed() {
    let door = Door::of(server()).await;
    let bearer = format!("bearer.{}", door.zhang.token);
    for offers in [
        format!("imserver.v1, {bearer}"),
        format!("{bearer}, imserver.v1"),
        format!("imserver.v1,{bearer}"),
        format!("imserver.v2, imserver.v1, {bearer}"),
    ] {
        let response = door.offer(&offers).await;
        assert_opens(&response, Some("imserver.v1"));
        assert!(!format!("{:?}", response.headers()).contains(&door.zhang.token), "{offers}");
    }
    assert_opens(&door.offer_with_header(Some("imserver.v1")).await, Some("imserver.v1"));
    // The header says who it is.
    let lis = format!("imserver.v1, bearer.{}", door.li.token);
    assert_opens(&door.offer_with_header(Some(&lis)).await, Some("imserver.v1"));
    assert!(!door.server.log().contains(&door.zhang.token), "the log shows a token");
}

#[tokio::test]
async fn a_legacy_socket_takes_its_token_by_header_or_alone() {
    for anonymous in [true, false] {
        let door = Door::of(server().set("auth.anonymous", anonymous)).await;
        let bearer = format!("bearer.{}", door.zhang.token);
        assert_opens(&door.offer(&bearer).await, Some(&bearer));
        assert_opens(&door.offer_with_header(None).await, None);
        assert!(!door.server.log().contains(&door.zhang.token), "the log shows a token");
    }
}

#[tokio::test]
async fn version_1_is_never_anonymous() {
    let door = Door::of(server()).await;
    for offers in ["imserver.v1", "imserver.v1, bearer.", "imserver.v1, bearer.x", "bearer.x"] {
        assert_unauthorized(door.offer(offers).await, offers).await;
    }
    let forged = format!("imserver.v1, bearer.{}", "A".repeat(43));
    assert_unauthorized(door.offer(&forged).await, "forged").await;
    // Without any, it is a legacy socket.
    assert_opens(&door.knock(&format!("/imserver/{}", door.zhang.id), &[]).await, None);
}

#[tokio::test]
async fn nobody_opens_anothers_socket() {
    let door = Door::of(server()).await;
    let (header, alone) =
        (format!("Bearer {}", door.zhang.token), format!("bearer.{}", door.zhang.token));
    let offers = format!("imserver.v1, {alone}");
    for user in [door.li.id, NOBODY] {
        for path in
            [format!("/imserver/{user}"), format!("/imserver/{}?userId={user}", door.zhang.id)]
        {
            for headers in [
                &[("sec-websocket-protocol", offers.as_str())][..],
                &[("sec-websocket-protocol", alone.as_str())],
                &[("authorization", header.as_str())],
                &[("authorization", header.as_str()), ("sec-websocket-protocol", "imserver.v1")],
            ] {
                let refused = door.knock(&path, headers).await;
                assert_problem(refused, 403, "forbidden").await;
            }
        }
    }
    for wrong in ["0", "-1", "abc", "1.0", "9007199254740992"] {
        let headers = [("authorization", header.as_str())];
        let refused = door.knock(&format!("/imserver/{wrong}"), &headers).await;
        assert_problem(refused, 400, "invalid_request").await;
        let path = format!("/imserver/{}?userId={wrong}", door.zhang.id);
        assert_problem(door.knock(&path, &headers).await, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn unknown_subprotocols_are_refused() {
    let door = Door::of(server()).await;
    let bearer = format!("bearer.{}", door.zhang.token);
    for offers in [
        "imserver.v2".to_owned(),
        "chat, superchat".to_owned(),
        format!("imserver.v2, {bearer}"),
        format!("{bearer}, {bearer}"),
    ] {
        let refused = door.offer(&offers).await;
        let detail = assert_problem(refused, 400, "unsupported_subprotocol").await;
        assert!(!detail.contains(&door.zhang.token));
    }
    let refused = door.offer_with_header(Some("chat")).await;
    assert_problem(refused, 400, "unsupported_subprotocol").await;
}

#[tokio::test]
async fn a_plain_request_is_told_what_the_route_is() {
    let door = Door::of(server()).await;
    let path = format!("/imserver/{}", door.zhang.id);
    let response = door.zhang.get(&path).await;
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_problem(response, 426, "upgrade_required").await;
}
