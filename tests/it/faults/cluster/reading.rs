//! What the service has, read over HTTP.

use std::{net::SocketAddr, time::Duration};

use phone::{address, ledger::Listing, wire::Person};
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

/// All conversations of somebody, those with groups by their ids: whoever has left has none in the list. `None`
/// if the replica does not give them.
pub async fn listings(
    http: &reqwest::Client,
    addr: SocketAddr,
    person: &Person,
    groups: &[i64],
) -> Option<Vec<Listing>> {
    let page = get(http, addr, &person.token, "/v1/conversations?limit=100").await?;
    assert_eq!(page["hasMore"], false, "one page has them all");
    let direct = page["conversations"].as_array().unwrap().iter().filter_map(|conversation| {
        let peer = conversation["peer"]["id"].as_i64()?;
        Some((conversation["id"].as_i64().unwrap(), peer))
    });
    let groups = groups.iter().map(|group| (*group, address::of_group(*group)));
    let mut listings = Vec::new();
    for (conversation, peer) in direct.chain(groups) {
        let (chats, recalled) = chats(http, addr, &person.token, conversation).await?;
        listings.push(Listing { user: person.id, peer, chats, recalled });
    }
    Some(listings)
}

/// The ids of all chats of a conversation, oldest first, and of those that are recalled.
async fn chats(
    http: &reqwest::Client,
    addr: SocketAddr,
    token: &str,
    conversation: i64,
) -> Option<(Vec<i64>, Vec<i64>)> {
    let (mut ids, mut recalled) = (Vec::<i64>::new(), Vec::new());
    loop {
        let bound = ids.first().map(|id| format!("&before={id}")).unwrap_or_default();
        let path = format!("/v1/conversations/{conversation}/chats?limit=100{bound}");
        let page = get(http, addr, token, &path).await?;
        let chats = page["chats"].as_array().unwrap();
        let id = |chat: &Value| chat["id"].as_i64().unwrap();
        ids.splice(..0, chats.iter().map(id));
        // What says something is not recalled, whatever it says of itself.
        let silent =
            chats.iter().filter(|chat| chat["state"] == "recalled" && chat["content"] == "");
        recalled.extend(silent.map(id));
        if page["hasMore"] == false {
            return Some((ids, recalled));
        }
    }
}
