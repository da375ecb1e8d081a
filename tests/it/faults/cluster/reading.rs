//! What the service has, read over HTTP.

use std::{net::SocketAddr, time::Duration};

use phone::{ledger::Listing, wire::Person};
use serde_json::Value;

/// How long an answer may take until it counts as none.
const ANSWER_WAIT: Duration = Duration::from_secs(6);

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

/// All conversations of somebody; `None` if the replica does not give them.
pub async fn listings(
    http: &reqwest::Client,
    addr: SocketAddr,
    person: &Person,
) -> Option<Vec<Listing>> {
    let page = get(http, addr, &person.token, "/v1/conversations?limit=100").await?;
    assert_eq!(page["hasMore"], false, "one page has them all");
    let mut listings = Vec::new();
    for conversation in page["conversations"].as_array().unwrap() {
        let peer = conversation["peer"]["id"].as_i64().unwrap();
        let chats = chats(http, addr, &person.token, conversation["id"].as_i64().unwrap()).await?;
        listings.push(Listing { user: person.id, peer, chats });
    }
    Some(listings)
}

/// The ids of all chats of a conversation, oldest first.
async fn chats(
    http: &reqwest::Client,
    addr: SocketAddr,
    token: &str,
    conversation: i64,
) -> Option<Vec<i64>> {
    let mut ids: Vec<i64> = Vec::new();
    loop {
        let bound = ids.first().map(|id| format!("&before={id}")).unwrap_or_default();
        let path = format!("/v1/conversations/{conversation}/chats?limit=100{bound}");
        let page = get(http, addr, token, &path).await?;
        let chats = page["chats"].as_array().unwrap().iter();
        ids.splice(..0, chats.map(|chat| chat["id"].as_i64().unwrap()));
        if page["hasMore"] == false {
            return Some(ids);
        }
    }
}
