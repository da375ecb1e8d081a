//! What entries of the outbox say to a company's own back end: as it is when they are told. A chat that was
//! recalled meanwhile has no words.

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    domain::{ConversationId, Destination, HeldId, OutboxId, Role, User, UserId},
    media::MediaLinks,
    store::{
        CHAT_CREATED, CHAT_HELD, CHAT_RECALLED, CONVERSATION_CREATED, CONVERSATION_MEMBERS_CHANGED,
        ConversationFacts, NewChat, OutboxEntry, Store, StoreError, USER_CREATED, USER_OFFLINE,
        USER_ONLINE,
    },
};

/// Names an entry: the same however often it is told. After a failover an id may be given to another entry;
/// the time tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The entry.
    pub id: OutboxId,
    /// When it happened.
    pub at: Timestamp,
}

impl EventId {
    /// That of an entry.
    pub fn of(entry: &OutboxEntry) -> Self {
        Self { id: entry.id, at: entry.created_at }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}_{}", self.id, self.at.as_millis())
    }
}

/// A text that is no [`EventId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no id of an event")]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let parts = text.strip_prefix("evt_").and_then(|rest| rest.split_once('_'));
        let (id, at) = parts.ok_or(InvalidEventId)?;
        let id = id.parse().map_err(|_| InvalidEventId)?;
        let at = at.parse().map_err(|_| InvalidEventId)?;
        Ok(Self { id, at: Timestamp::from_millis(at) })
    }
}

/// Something that has happened.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Event {
    /// The same however often it is told.
    #[schema(example = "evt_17_1795772459120")]
    pub id: String,
    /// What has happened.
    #[serde(rename = "type")]
    #[schema(example = "chat.created")]
    pub kind: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What it is about, as it is now.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// What an entry's own payload says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Payload {
    user_id: Option<UserId>,
    by: Option<UserId>,
    members: Vec<UserId>,
    joined: Vec<UserId>,
    left: Vec<UserId>,
    roles: Vec<(UserId, Role)>,
}

impl Payload {
    fn of(entry: &OutboxEntry) -> Self {
        let payload = entry.payload.as_deref();
        payload.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// The entries that are told in their order: those of a conversation, of a user, or else of a kind.
pub fn lane(entry: &OutboxEntry) -> String {
    match (entry.conversation, Payload::of(entry).user_id) {
        (Some(conversation), _) => format!("conversation {conversation}"),
        (None, Some(user)) => format!("user {user}"),
        (None, None) => entry.kind.clone(),
    }
}

/// Makes events of entries.
#[derive(Clone)]
pub struct Events {
    store: Arc<dyn Store>,
    links: MediaLinks,
}

impl Events {
    /// Events with what the store knows and these URLs of media.
    pub fn new(store: Arc<dyn Store>, links: MediaLinks) -> Self {
        Self { store, links }
    }

    /// What an entry says now.
    pub async fn event(&self, entry: &OutboxEntry) -> Result<Event, StoreError> {
        let mut data = match entry.kind.as_str() {
            CHAT_CREATED | CHAT_RECALLED => self.chat(entry).await?,
            CONVERSATION_CREATED | CONVERSATION_MEMBERS_CHANGED => self.conversation(entry).await?,
            USER_CREATED | USER_ONLINE | USER_OFFLINE => self.user(entry).await?,
            CHAT_HELD => self.held(entry).await?,
            // What is reported, and what a newer version tells of.
            _ => as_stored(entry),
        };
        self.name_externally(&mut data).await?;
        self.name_conversation(&mut data).await?;
        Ok(Event {
            id: EventId::of(entry).to_string(),
            kind: entry.kind.clone(),
            timestamp: entry.created_at,
            data,
        })
    }

    async fn chat(&self, entry: &OutboxEntry) -> Result<Value, StoreError> {
        let chat = match entry.chat {
            Some(id) => self.store.chat(id).await?,
            None => None,
        };
        let chat = match chat {
            Some(chat) => serde_json::to_value(&*self.links.shown(&chat)).expect("a chat is JSON"),
            None => json!({"id": entry.chat, "conversationId": entry.conversation}),
        };
        Ok(json!({"chat": chat}))
    }

    /// A chat that is held back. Once somebody has decided about it, it has no words here.
    async fn held(&self, entry: &OutboxEntry) -> Result<Value, StoreError> {
        let mut data = as_stored(entry);
        let id = data["id"].as_i64().and_then(|id| HeldId::new(id).ok());
        let Some(id) = id else { return Ok(data) };
        // `None` before the first.
        let before = HeldId::new(id.get() - 1).ok();
        let found = self.store.held_chats(before, 1).await?.chats.pop();
        let conversation = data["conversationId"].clone();
        let chat = match found.filter(|held| held.id == id) {
            Some(held) => {
                let mut chat = self.held_chat(&held.chat);
                chat["createTime"] = json!(held.created_at);
                chat
            }
            None => json!({"userId": data["userId"], "clientMsgId": data["clientMsgId"],
                "targetUserId": data["targetUserId"]}),
        };
        data["chat"] = chat;
        data["chat"]["conversationId"] = conversation;
        Ok(data)
    }

    /// A chat that is no chat yet, in the words of one that is.
    fn held_chat(&self, chat: &NewChat) -> Value {
        let target = match chat.destination {
            Destination::Direct(target) => Some(target),
            Destination::Conversation(_) => None,
        };
        let mut said = json!({"userId": chat.sender, "targetUserId": target,
            "clientMsgId": chat.client_msg_id, "kind": chat.kind.as_str(),
            "content": chat.content.as_str()});
        if let Some(body) = &chat.body {
            let body = self.links.fill(&chat.kind, body);
            // What is no JSON is no payload.
            said["body"] = serde_json::from_str(body.as_str()).unwrap_or(Value::Null);
        }
        if let Some(quoted) = chat.reply_to {
            said["replyTo"] = json!({"id": quoted});
        }
        if let Some(mentions) = &chat.mentions {
            said["mentions"] = json!(mentions);
        }
        said
    }

    async fn conversation(&self, entry: &OutboxEntry) -> Result<Value, StoreError> {
        let Payload { by, mut members, joined, left, roles, .. } = Payload::of(entry);
        let mut data = Map::new();
        data.insert("conversationId".to_owned(), json!(entry.conversation));
        if let Some(facts) = self.facts(entry.conversation).await? {
            data.insert("kind".to_owned(), json!(facts.kind));
            if let (Some(low), Some(high)) = (facts.low_user, facts.high_user) {
                members = if low == high { vec![low] } else { vec![low, high] };
            } else {
                data.insert("title".to_owned(), json!(facts.title));
                data.insert("memberCount".to_owned(), json!(facts.member_count));
            }
        }
        if let Some(by) = by {
            data.insert("userId".to_owned(), json!(by));
        }
        let lists = [("members", members), ("joined", joined), ("left", left)];
        let is_new = entry.kind == CONVERSATION_CREATED;
        for (key, users) in lists.into_iter().filter(|(key, _)| (*key == "members") == is_new) {
            let users = users.iter().map(|user| json!({"userId": user}));
            data.insert(key.to_owned(), users.collect());
        }
        if !is_new {
            let roles = roles.iter().map(|(user, role)| json!({"userId": user, "role": role}));
            data.insert("roles".to_owned(), roles.collect());
        }
        Ok(Value::Object(data))
    }

    async fn facts(
        &self,
        conversation: Option<ConversationId>,
    ) -> Result<Option<ConversationFacts>, StoreError> {
        match conversation {
            Some(id) => self.store.conversation_facts(id).await,
            None => Ok(None),
        }
    }

    async fn user(&self, entry: &OutboxEntry) -> Result<Value, StoreError> {
        let user = Payload::of(entry).user_id;
        let mut data = json!({"userId": user});
        if let Some(user) = user.filter(|_| entry.kind == USER_CREATED) {
            // One who was erased since has no name.
            let found = self.store.users(&[user]).await?;
            data["name"] = json!(found.first().map(|User { name, .. }| name));
        }
        if entry.kind == USER_OFFLINE {
            data["lastSeenAt"] = json!(entry.created_at);
        }
        Ok(data)
    }

    /// Puts `conversationExternalId` beside `conversationId`, where the conversation has one.
    async fn name_conversation(&self, data: &mut Value) -> Result<(), StoreError> {
        for place in ["", "/chat"] {
            let Some(Value::Object(about)) = data.pointer_mut(place) else { continue };
            let id = about.get("conversationId").and_then(Value::as_i64);
            let id = id.and_then(|id| ConversationId::new(id).ok());
            let external = self.facts(id).await?.and_then(|facts| facts.external_id);
            if let Some(external) = external {
                about.insert("conversationExternalId".to_owned(), json!(external));
            }
        }
        Ok(())
    }

    /// Puts `externalId` beside each `userId`.
    async fn name_externally(&self, data: &mut Value) -> Result<(), StoreError> {
        let mut users = Vec::new();
        for_each_person(data, &mut |person| {
            users.extend(KEYS.iter().filter_map(|(key, _)| user_of(person, key)));
        });
        if users.is_empty() {
            return Ok(());
        }
        users.sort_unstable();
        users.dedup();
        let known = self.store.external_ids(&users).await?;
        for_each_person(data, &mut |person| name(person, &known));
        Ok(())
    }
}

/// Where an object names a user, and where the external id goes.
const KEYS: [(&str, &str); 3] = [
    ("userId", "externalId"),
    ("targetUserId", "targetExternalId"),
    ("reportedUserId", "reportedExternalId"),
];

fn user_of(person: &Map<String, Value>, key: &str) -> Option<UserId> {
    person.get(key).and_then(Value::as_i64).and_then(|id| UserId::new(id).ok())
}

fn name(person: &mut Map<String, Value>, known: &HashMap<UserId, String>) {
    for (key, external) in KEYS {
        if let Some(user) = user_of(person, key) {
            person.insert(external.to_owned(), json!(known.get(&user)));
        }
    }
}

/// The objects of an event that the service has made and that may name a user. Not the body of a chat, which
/// its sender has made.
fn for_each_person(data: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(data) = data else { return };
    if let Some(chat) = data.get_mut("chat") {
        for_each_person(chat, visit);
    }
    visit(data);
    for key in ["replyTo", "members", "joined", "left", "roles"] {
        match data.get_mut(key) {
            Some(Value::Object(one)) => visit(one),
            Some(Value::Array(list)) => {
                list.iter_mut().filter_map(Value::as_object_mut).for_each(&mut *visit);
            }
            _ => {}
        }
    }
}

/// What the entry itself says.
fn as_stored(entry: &OutboxEntry) -> Value {
    let payload = entry.payload.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let mut data: Map<String, Value> = payload.unwrap_or_default();
    if let Some(conversation) = entry.conversation {
        data.entry("conversationId").or_insert_with(|| json!(conversation));
    }
    if let Some(chat) = entry.chat {
        data.entry("chatId").or_insert_with(|| json!(chat));
    }
    Value::Object(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, payload: Option<&str>) -> OutboxEntry {
        OutboxEntry {
            id: OutboxId::new(17).unwrap(),
            kind: kind.to_owned(),
            conversation: None,
            chat: None,
            payload: payload.map(Into::into),
            created_at: Timestamp::from_millis(1_795_772_459_120),
        }
    }

    #[test]
    fn an_id_comes_back_from_its_text() {
        let id = EventId::of(&entry(USER_CREATED, None));
        assert_eq!(id.to_string(), "evt_17_1795772459120");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "evt_", "17", "evt_17", "evt_0_1", "evt_17_", "evt_x_1", "evt_17_1_1"] {
            assert_eq!(wrong.parse::<EventId>(), Err(InvalidEventId), "{wrong}");
        }
    }

    #[test]
    fn an_entry_is_in_the_lane_of_what_it_is_about() {
        let about = |payload| lane(&entry(USER_ONLINE, payload));
        assert_eq!(about(Some(r#"{"userId" : 5}"#)), "user 5");
        assert_eq!(about(Some(r#"{"user":5}"#)), USER_ONLINE);
        assert_eq!(about(None), USER_ONLINE);
        let chat = OutboxEntry { conversation: ConversationId::new(3).ok(), ..entry("x", None) };
        assert_eq!(lane(&chat), "conversation 3");
    }

    #[test]
    fn what_a_sender_wrote_names_nobody() {
        let mut data = json!({
            "userId": 1, "targetUserId": 2, "body": {"userId": 1}, "mentions": [1],
            "replyTo": {"userId": 3}, "members": [{"userId": 1}, {"userId": "x"}],
        });
        let known = HashMap::from([(UserId::new(1).unwrap(), "e-1".to_owned())]);
        for_each_person(&mut data, &mut |person| name(person, &known));
        let expected = json!({
            "userId": 1, "externalId": "e-1", "targetUserId": 2, "targetExternalId": null,
            "body": {"userId": 1}, "mentions": [1], "replyTo": {"userId": 3, "externalId": null},
            "members": [{"userId": 1, "externalId": "e-1"}, {"userId": "x"}],
        });
        assert_eq!(data, expected);
    }
}
