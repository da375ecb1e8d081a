//! The client of the model in `tests/it/models/cache`, against the service: whatever it hears first, it shows
//! what the service has.

use reqwest::Method;
use serde_json::{Value, json};

use super::unlimited;
use crate::{
    harness::{Person, server::json_of},
    models::cache::client::{Ask, Client, What},
};

/// A phone of somebody, with its cache of one conversation and its place in the timeline.
#[derive(Clone)]
struct Phone<'a> {
    person: &'a Person,
    conversation: i64,
    client: Client,
    since: i64,
}

impl<'a> Phone<'a> {
    /// Loads all that is there.
    async fn load(person: &'a Person, conversation: i64) -> Self {
        let since = person.get_json("/v1/events").await["lastSeq"].as_i64().unwrap();
        let mut phone = Self { person, conversation, client: Client::default(), since };
        phone.load_all().await;
        phone
    }

    async fn load_all(&mut self) {
        while let Some(ask) = self.client.due().or(self.client.older()) {
            self.ask(ask).await;
        }
    }

    async fn ask(&mut self, ask: Ask) -> Value {
        let conversation = format!("/v1/conversations/{}", self.conversation);
        let path = match ask.what {
            What::Conversation => conversation,
            What::Newest => format!("{conversation}/chats?limit=3"),
            What::Before(id) => format!("{conversation}/chats?limit=3&before={id}"),
            What::ChangedSince(version) => {
                format!("{conversation}/chats?limit=2&changedSince={version}")
            }
        };
        let answer = self.person.get_json(&path).await;
        self.client.take(ask, &answer);
        answer
    }

    async fn repair(&mut self) {
        while self.ask(self.client.changes().unwrap()).await["hasMore"] == true {}
    }

    /// Hears what happened meanwhile.
    async fn hear(&mut self) {
        let page = self.person.get_json(&format!("/v1/events?since={}", self.since)).await;
        for event in page["events"].as_array().unwrap() {
            self.client.hear(event);
            self.since = event["seq"].as_i64().unwrap();
        }
        assert_eq!((&page["hasMore"], &page["lastSeq"]), (&json!(false), &json!(self.since)));
    }

    /// What the service has.
    async fn there(&self) -> Vec<Value> {
        let path = format!("/v1/conversations/{}/chats?limit=100", self.conversation);
        self.person.get_json(&path).await["chats"].as_array().unwrap().clone()
    }
}

async fn say(person: &Person, group: i64, key: &str, more: &Value) -> i64 {
    let content = format!("words of {key}");
    let mut body = json!({"clientMsgId": key, "conversationId": group, "content": content});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = person.post("/v1/chats", &body).await;
    assert_eq!(answer.status(), 201);
    json_of(answer).await["chat"]["id"].as_i64().unwrap()
}

async fn recall(person: &Person, chat: i64) {
    let answer = person.post(&format!("/v1/chats/{chat}/recall"), &json!({})).await;
    assert_eq!(answer.status(), 200);
}

async fn delete(person: &Person, path: &str) {
    let answer = person.request(Method::DELETE, path).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

async fn group(owner: &Person, members: &[&Person]) -> i64 {
    let ids: Vec<_> = members.iter().map(|person| person.id).collect();
    let body = json!({"kind": "group", "key": "g", "userIds": ids});
    let answer = owner.post("/v1/conversations", &body).await;
    assert_eq!(answer.status(), 201);
    json_of(answer).await["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_cache_is_repaired_after_sends_recalls_and_deletions() {
    let server = unlimited();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let group = group(&zhang, &[&li]).await;
    let quoted = say(&li, group, "secret", &json!({})).await;
    let deleted = say(&li, group, "deleted", &json!({})).await;
    say(&li, group, "quoting", &json!({"replyTo": quoted})).await;
    let recalled = say(&zhang, group, "recalled", &json!({})).await;
    let known = Phone::load(&zhang, group).await;
    assert_eq!(known.client.shown(), known.there().await);

    // While this phone of 张三 is away; 张三 has another one.
    say(&li, group, "later", &json!({"replyTo": recalled})).await;
    let passing = say(&li, group, "passing", &json!({})).await;
    recall(&li, quoted).await;
    recall(&zhang, recalled).await;
    for id in [deleted, passing] {
        delete(&zhang, &format!("/v1/chats/{id}")).await;
    }
    recall(&li, deleted).await;
    say(&li, group, "last", &json!({})).await;

    let mut by_changes = known.clone();
    by_changes.repair().await;
    let text = json!(by_changes.client.shown()).to_string();
    assert!(!text.contains("of secret") && !text.contains("of passing"), "{text}");
    // What one deletes is told by one's own events alone.
    let there = known.there().await;
    assert_eq!(by_changes.client.shown().len(), there.len() + 1);
    by_changes.hear().await;

    let mut by_events = known.clone();
    by_events.hear().await;
    assert_eq!(by_events.client.shown(), there);
    by_events.repair().await;

    let mut anew = known;
    anew.client.reset();
    anew.load_all().await;
    for phone in [by_changes, by_events, anew] {
        assert_eq!(phone.client.shown(), there);
    }
}

#[tokio::test]
async fn who_comes_back_to_a_group_knows_that_chats_may_have_changed() {
    let server = unlimited();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let wang = server.person("王五").await;
    let group = group(&zhang, &[&li, &wang]).await;
    let first = say(&zhang, group, "first", &json!({})).await;
    say(&li, group, "mine", &json!({"replyTo": first})).await;
    let mut live = Phone::load(&li, group).await;
    let mut away = live.clone();

    let members = format!("/v1/conversations/{group}/members");
    delete(&li, &format!("{members}/{}", li.id)).await;
    live.hear().await;
    let gap = say(&zhang, group, "gap", &json!({})).await;
    let lost = say(&zhang, group, "lost", &json!({})).await;
    recall(&zhang, first).await;
    // A former member hears of nothing, and so loads what is opened.
    live.client.open();
    live.load_all().await;
    assert_eq!(live.client.shown(), live.there().await);
    assert_eq!(zhang.post(&members, &json!({"userIds": [li.id]})).await.status(), 200);
    say(&wang, group, "about", &json!({"replyTo": gap})).await;

    for phone in [&mut live, &mut away] {
        phone.hear().await;
        let text = json!(phone.client.shown()).to_string();
        assert!(
            !text.contains("of first"),
            "whoever hears of it later hears of the gap, too: {text}"
        );
        phone.load_all().await;
        assert_eq!(phone.client.shown(), phone.there().await);
    }
    // Of the gap only what is quoted is heard of, and nothing is added.
    let since = live.since;
    recall(&zhang, lost).await;
    live.hear().await;
    assert_eq!(live.since, since);
    recall(&zhang, gap).await;
    live.hear().await;
    assert_eq!(live.since, since + 1);
    let there = live.there().await;
    assert_eq!(live.client.shown(), there);
    assert_eq!(there.last().unwrap()["replyTo"]["state"], "recalled");
}
