//! What the service has, read over HTTP.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use super::chat::Chat;

/// How long an answer may take until it counts as none.
const ANSWER_WAIT: Duration = Duration::from_secs(6);

/// A user's whole timeline over HTTP; `None` if the replica does not give it.
pub async fn timeline(
    http: &reqwest::Client,
    addr: SocketAddr,
    token: &str,
) -> Option<Vec<(i64, Option<Chat>)>> {
    let mut events = Vec::new();
    loop {
        let since = events.last().map_or(0, |(seq, _)| *seq);
        let page = get(http, addr, token, &format!("/v1/events?since={since}&limit=100")).await?;
        let page_events = page["events"].as_array().unwrap();
        events.extend(
            page_events
                .iter()
                .map(|event| (event["seq"].as_i64().unwrap(), event.get("chat").map(Chat::read))),
        );
        if page["hasMore"] == false {
            return Some(events);
        }
        assert!(!page_events.is_empty(), "a page without events has no more");
    }
}

/// The answer of a replica as JSON; `None` if it has none now.
pub async fn get(
    http: &reqwest::Client,
    addr: SocketAddr,
    token: &str,
    path: &str,
) -> Option<Value> {
    let request = http.get(format!("http://{addr}{path}")).bearer_auth(token).timeout(ANSWER_WAIT);
    let answer = request.send().await.ok()?;
    let status = answer.status();
    if status.is_server_error() {
        return None;
    }
    assert!(status.is_success(), "{path}: {status}");
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

/// All chats of a conversation, oldest first; `None` if the replica does not give them.
pub async fn chats(
    http: &reqwest::Client,
    addr: SocketAddr,
    token: &str,
    conversation: i64,
) -> Option<Vec<Chat>> {
    let mut chats: Vec<Chat> = Vec::new();
    loop {
        let bound = chats.first().map(|chat| format!("&before={}", chat.id)).unwrap_or_default();
        let path = format!("/v1/conversations/{conversation}/chats?limit=100{bound}");
        let page = get(http, addr, token, &path).await?;
        chats.splice(..0, page["chats"].as_array().unwrap().iter().map(Chat::read));
        if page["hasMore"] == false {
            return Some(chats);
        }
    }
}
