//! What people ask for beside sending, over HTTP: groups, joins, leaves, recalls, deletions.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    ledger::{Asked, Change, Group},
    target::Target,
    wire::Person,
    world::World,
};

/// How often something is asked, at one target after the other, until it is not known what became of it.
const ATTEMPTS: usize = 100;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(300);

/// Makes a group of these people, who are at least two. The first one owns it. The key is new to that user.
pub async fn make_group(
    http: &reqwest::Client,
    target: &Target,
    people: &[Person],
    key: &str,
) -> anyhow::Result<Group> {
    let members: Vec<_> = people.iter().map(|person| person.id).collect();
    let body = json!({"kind": "group", "key": key, "userIds": members[1..]});
    let request = http.post(target.at("/v1/conversations")).json(&body);
    let answer = request.bearer_auth(&people[0].token).send().await.context("making a group")?;
    let status = answer.status();
    ensure!(status == 201, "making a group of {} was answered with {status}", members.len());
    let group: Value = answer.json().await.context("the answer to a new group")?;
    let id = group["id"].as_i64().context("a group without an id")?;
    Ok(Group { id, members })
}

/// An upload, as a multipart form.
pub struct Form(Vec<u8>);

/// What stands between the parts of a form.
const BOUNDARY: &str = "------------------------d1f0b2a47c";

impl Form {
    /// Of a picture.
    pub fn image(bytes: &[u8]) -> Self {
        let part = |head: &str| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name={head}\r\n\r\n")
        };
        let file = "\"file\"; filename=\"picture.jpg\"\r\nContent-Type: image/jpeg";
        let (kind, file) = (part("\"kind\"") + "image\r\n", part(file));
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        Self([kind.as_bytes(), file.as_bytes(), bytes, end.as_bytes()].concat())
    }
}

/// How long an upload may take.
const UPLOAD_WAIT: Duration = Duration::from_mins(1);

impl World {
    /// Has the person of this phone upload something until it is kept, at this phone's target first. Its id.
    pub async fn upload(&self, phone: u32, form: &Form) -> anyhow::Result<u128> {
        let phone = phone as usize;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let target = &self.targets[(phone + attempt) % self.targets.len()];
            let request = self.http.post(target.at("/v1/media")).timeout(UPLOAD_WAIT);
            let kind = format!("multipart/form-data; boundary={BOUNDARY}");
            let request = request.header("content-type", kind).body(form.0.clone());
            match request.bearer_auth(&self.people[phone].token).send().await {
                Ok(answer) if answer.status() == StatusCode::CREATED => {
                    let kept: Value = answer.json().await.context("the answer to an upload")?;
                    let id = kept["mediaId"].as_str();
                    return id.and_then(|id| u128::from_str_radix(id, 16).ok()).context("no id");
                }
                Ok(answer) => {
                    let status = answer.status();
                    ensure!(
                        status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
                        "an upload was answered with {status}"
                    );
                    last = status.to_string();
                }
                Err(error) => last = error.without_url().to_string(),
            }
            sleep(PAUSE).await;
        }
        bail!("an upload fails: {last}")
    }

    /// Has the person of this phone ask for a change until there is an answer, at this phone's target first. Whether
    /// it was done. Both are noted for the ledger.
    pub async fn ask(&self, phone: u32, change: Change) -> bool {
        let place = {
            let mut asked = self.asked.lock();
            asked.push(Asked { change, is_done: false });
            asked.len() - 1
        };
        let is_done = self.done(phone as usize, change).await;
        self.asked.lock()[place].is_done = is_done;
        is_done
    }

    async fn done(&self, phone: usize, change: Change) -> bool {
        let (method, path, body) = match change {
            Change::Join { group, user } => {
                let body = json!({"userIds": [user]});
                (Method::POST, format!("/v1/conversations/{group}/members"), body)
            }
            Change::Leave { group, user } => {
                (Method::DELETE, format!("/v1/conversations/{group}/members/{user}"), Value::Null)
            }
            Change::Recall { chat } => {
                (Method::POST, format!("/v1/chats/{chat}/recall"), json!({}))
            }
            Change::Delete { chat, .. } => {
                (Method::DELETE, format!("/v1/chats/{chat}"), Value::Null)
            }
        };
        for attempt in 0..ATTEMPTS {
            let target = &self.targets[(phone + attempt) % self.targets.len()];
            let mut request = self.http.request(method.clone(), target.at(&path));
            if !body.is_null() {
                request = request.json(&body);
            }
            if let Ok(answer) = request.bearer_auth(&self.people[phone].token).send().await {
                let status = answer.status();
                if status.is_success() {
                    return true;
                }
                if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    // An attempt without an answer may have been done. Whoever has left is no member.
                    let is_gone = status == StatusCode::NOT_FOUND;
                    return attempt > 0 && is_gone && matches!(change, Change::Leave { .. });
                }
            }
            sleep(PAUSE).await;
        }
        false
    }
}
