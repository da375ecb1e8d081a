//! Who may do what: two couples who know nothing of each other, and every route that needs a token.

mod foreign;
mod frames;
mod handshakes;
mod limited;
mod sessions;
mod strangers;
mod tokens;

use reqwest::{Method, Response, header::HeaderValue};
use serde_json::{Value, json};

use crate::{
    api::media::{form, form_type},
    harness::{Person, Server, Start, server::json_of},
};

/// Nobody has it.
const NOBODY: i64 = 999_999_999;

/// Many refusals come from one address here, which is not what these tests are about.
fn server() -> Start {
    Start::default().set("limits.enabled", false)
}

/// 张三 and 李四 talk with each other, and so do 王五 and 赵六.
struct World {
    server: Server,
    people: [Person; 4],
    conversations: [i64; 2],
    /// A group of each person with the partner, who is a member of it, and what the person said there.
    groups: [(i64, i64); 4],
}

impl World {
    async fn new() -> Self {
        Self::at(server().run()).await
    }

    async fn at(server: Server) -> Self {
        let mut people = Vec::new();
        for name in ["张三", "李四", "王五", "赵六"] {
            people.push(server.person(name).await);
        }
        let people: [Person; 4] = people.try_into().ok().unwrap();
        let [zhang, li, wang, zhao] = &people;
        let mut conversations = Vec::new();
        for (one, other, said) in [(zhang, li, "first couple"), (wang, zhao, "second couple")] {
            one.send(other.id, "k1", said).await;
            let sent = other.send(one.id, "k2", said).await;
            conversations.push(sent["chat"]["conversationId"].as_i64().unwrap());
        }
        assert_ne!(conversations[0], conversations[1]);
        let mut groups = Vec::new();
        for (me, peer) in [(zhang, li), (li, zhang), (wang, zhao), (zhao, wang)] {
            let new = json!({"kind": "group", "key": "g", "userIds": [peer.id]});
            let group = json_of(me.post("/v1/conversations", &new).await).await["id"].clone();
            let chat =
                json!({"clientMsgId": "g1", "conversationId": group, "content": "in a group"});
            let chat = json_of(me.post("/v1/chats", &chat).await).await["chat"]["id"].clone();
            groups.push((group.as_i64().unwrap(), chat.as_i64().unwrap()));
        }
        let conversations = conversations.try_into().unwrap();
        Self { server, people, conversations, groups: groups.try_into().unwrap() }
    }

    /// A person, the partner, their conversation and the others' one, and what each couple said.
    fn seats(&self) -> [Seat<'_>; 4] {
        let said = ["first couple", "second couple"];
        [0, 1, 2, 3].map(|place| {
            let (couple, other) = (place / 2, 1 - place / 2);
            let (group, own_chat) = self.groups[place];
            Seat {
                me: &self.people[place],
                peer: &self.people[place ^ 1],
                conversation: self.conversations[couple],
                foreign: self.conversations[other],
                group,
                own_chat,
                said: said[couple],
                unsaid: said[other],
            }
        })
    }

    /// What everybody sees of themselves and of their chats, whoever is online.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for person in &self.people {
            for path in ["/v1/me", "/v1/conversations", "/v1/events?since=0"] {
                let mut seen = person.get_json(path).await;
                for conversation in seen["conversations"].as_array_mut().into_iter().flatten() {
                    if let Some(peer) = conversation["peer"].as_object_mut() {
                        peer.retain(|key, _| !matches!(key.as_str(), "online" | "lastSeenAt"));
                    }
                }
                state.push(seen);
            }
        }
        state
    }
}

struct Seat<'a> {
    me: &'a Person,
    peer: &'a Person,
    conversation: i64,
    foreign: i64,
    group: i64,
    own_chat: i64,
    said: &'a str,
    unsaid: &'a str,
}

/// A request to a route that needs a token.
#[derive(Clone, Debug)]
struct Route {
    method: Method,
    /// As the OpenAPI document has it.
    template: &'static str,
    path: String,
    body: Option<Value>,
    /// Sent instead of `body`.
    picture: Option<Vec<u8>>,
    content_type: Option<String>,
}

impl Route {
    fn with_query(mut self, key: &str, value: &str) -> Self {
        let join = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{join}{key}={value}", self.path);
        self
    }

    fn with_body(mut self, key: &str, value: &Value) -> Self {
        self.body.as_mut().unwrap()[key] = value.clone();
        self
    }

    async fn send(&self, server: &Server, authorization: Option<&str>) -> Response {
        let mut request = server.request(self.method.clone(), &self.path);
        if let Some(value) = authorization {
            request = request.header("authorization", HeaderValue::from_str(value).unwrap());
        }
        if let Some(content_type) = &self.content_type {
            request = request.header("content-type", content_type);
        }
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes());
        if let Some(body) = self.picture.clone().or(body) {
            request = request.body(body);
        }
        request.send().await.unwrap()
    }

    async fn send_as(&self, server: &Server, person: &Person) -> Response {
        self.send(server, Some(&format!("Bearer {}", person.token))).await
    }
}

/// Every route that needs a token, in a form that succeeds for whoever has this seat, but without
/// `userId`, which some of the legacy routes need. The last one ends the session.
fn routes(seat: &Seat<'_>) -> Vec<Route> {
    let route = |method: &str, template, path: &str, body| Route {
        method: method.parse().unwrap(),
        template,
        path: path.to_owned(),
        body,
        picture: None,
        content_type: None,
    };
    let get = |template, path: &str| route("GET", template, path, None);
    let (peer, conversation) = (seat.peer.id, seat.conversation);
    let chat = json!({"clientMsgId": "k9", "targetUserId": peer, "content": seat.said});
    let mut avatar = route("PUT", "/v1/me/avatar", "/v1/me/avatar", None);
    avatar.picture = Some(picture());
    let mut upload = route("POST", "/v1/media", "/v1/media", None);
    upload.picture =
        Some(form(&[("kind", "", b"image"), ("file", "; filename=\"x\"", &picture())]));
    upload.content_type = Some(form_type());
    let chats = "/v1/conversations/{id}/chats";
    let (member, group) = ("/v1/conversations/{id}/members/{userId}", seat.group);
    let at = |rest: &str| format!("/v1/conversations/{group}{rest}");
    let of_group =
        |method: &str, template, rest: &str, body| route(method, template, &at(rest), body);
    let own = seat.own_chat;
    let read = "/v1/conversations/{id}/read";
    vec![
        get("/v1/me", "/v1/me"),
        route("PATCH", "/v1/me", "/v1/me", Some(json!({"name": seat.me.name}))),
        route("PUT", "/v1/me", "/v1/me", Some(json!({"name": seat.me.name}))),
        avatar,
        upload,
        get("/v1/users", "/v1/users?query=x"),
        get("/v1/users/{id}", &format!("/v1/users/{peer}")),
        get("/v1/presence", &format!("/v1/presence?userIds={peer}")),
        route("PUT", "/v1/blocks/{userId}", &format!("/v1/blocks/{peer}"), None),
        get("/v1/blocks", "/v1/blocks"),
        route("DELETE", "/v1/blocks/{userId}", &format!("/v1/blocks/{peer}"), None),
        route(
            "POST",
            "/v1/reports",
            "/v1/reports",
            Some(json!({"reportedUserId": peer, "reason": "spam"})),
        ),
        route(
            "POST",
            "/v1/wechat/subscriptions",
            "/v1/wechat/subscriptions",
            Some(json!({"accepted": [], "rejected": []})),
        ),
        get("/v1/conversations", "/v1/conversations"),
        get(chats, &format!("/v1/conversations/{conversation}/chats")),
        get("/v1/conversations/{id}", &format!("/v1/conversations/{conversation}")),
        route(
            "POST",
            "/v1/conversations",
            "/v1/conversations",
            Some(json!({"kind": "group", "key": "k", "userIds": [peer]})),
        ),
        of_group("PUT", "/v1/conversations/{id}", "", Some(json!({"title": seat.said}))),
        of_group("GET", "/v1/conversations/{id}/members", "/members", None),
        of_group(
            "POST",
            "/v1/conversations/{id}/members",
            "/members",
            Some(json!({"userIds": [peer]})),
        ),
        of_group("PUT", member, &format!("/members/{peer}"), Some(json!({"role": "admin"}))),
        of_group(
            "PUT",
            "/v1/conversations/{id}/settings",
            "/settings",
            Some(json!({"muted": true})),
        ),
        of_group("POST", "/v1/conversations/{id}/hide", "/hide", None),
        route("POST", "/v1/chats/{id}/recall", &format!("/v1/chats/{own}/recall"), None),
        route("DELETE", "/v1/chats/{id}", &format!("/v1/chats/{own}"), None),
        of_group("POST", "/v1/conversations/{id}/clear", "/clear", None),
        of_group("DELETE", member, &format!("/members/{peer}"), None),
        route(
            "POST",
            read,
            &format!("/v1/conversations/{conversation}/read"),
            Some(json!({"upTo": 1})),
        ),
        route("POST", "/v1/chats", "/v1/chats", Some(chat.clone())),
        get("/v1/events", "/v1/events?since=0"),
        route("POST", "/push", "/push", Some(chat)),
        get("/getMessage", "/getMessage"),
        get("/getOnlineUser", "/getOnlineUser"),
        get("/close", "/close"),
        route("POST", "/v1/logout", "/v1/logout", Some(json!({"everywhere": true}))),
    ]
}

/// A small PNG.
fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(2, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Asserts that the problem is that there is no valid token, and that the answer says what to send.
async fn assert_unauthorized(response: Response, what: &str) {
    assert_eq!(response.status(), 401, "{what}");
    assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
    let problem = json_of(response).await;
    assert_eq!(problem["code"], "unauthorized", "{what}");
}
