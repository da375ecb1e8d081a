//! The hook before a send: a company's own back end decides whether a chat may be sent, and as what.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Decider, Opinion,
    client::{Answer, HookClient},
};
use crate::{
    domain::{Content, OnFailure},
    media::MediaLinks,
    store::{NewChat, Preview},
};

/// Asks a company's own back end about each chat. If that fails, `on_failure` decides.
pub struct BeforeSend {
    hook: HookClient,
    links: MediaLinks,
    on_failure: OnFailure,
    max_content_chars: usize,
}

impl BeforeSend {
    /// Asks by this hook. `max_content_chars`: of what the back end puts in place of a content.
    pub fn new(
        hook: HookClient,
        links: MediaLinks,
        on_failure: OnFailure,
        max_content_chars: usize,
    ) -> Self {
        Self { hook, links, on_failure, max_content_chars }
    }

    /// What the settings say of a chat about which there is no answer.
    fn fail(&self) -> Opinion {
        match self.on_failure {
            OnFailure::Allow => Opinion::Pass,
            OnFailure::Hold => Opinion::Hold,
            OnFailure::Deny => Opinion::Unknown,
        }
    }

    /// The chat as it would be.
    fn describe(&self, chat: &NewChat, preview: &Preview) -> Value {
        let mut data = Map::new();
        let mut add = |key: &str, value: Value| data.insert(key.to_owned(), value);
        let (name, external) = &preview.sender;
        add("userId", json!(chat.sender));
        add("externalId", json!(external));
        add("userName", json!(name));
        if let Some((id, name, external)) = &preview.target {
            add("targetUserId", json!(id));
            add("targetExternalId", json!(external));
            add("targetUserName", json!(name));
        }
        if let Some(conversation) = preview.conversation {
            add("conversationId", json!(conversation));
        }
        add("clientMsgId", json!(chat.client_msg_id));
        add("kind", json!(chat.kind.as_str()));
        add("content", json!(chat.content.as_str()));
        if let Some(body) = &chat.body {
            let body = self.links.fill(&chat.kind, body);
            // What is no JSON is no payload.
            add("body", serde_json::from_str(body.as_str()).unwrap_or(Value::Null));
        }
        if let Some(quoted) = chat.reply_to {
            add("replyTo", json!({"id": quoted}));
        }
        if let Some(mentions) = &chat.mentions {
            add("mentions", json!(mentions));
        }
        data.into()
    }
}

#[async_trait]
impl Decider for BeforeSend {
    async fn decide(&self, chat: &NewChat, preview: &Preview, answer_by: Instant) -> Opinion {
        match self.hook.ask(self.describe(chat, preview), answer_by).await {
            Ok(Answer::Allow) => Opinion::Pass,
            Ok(Answer::Hold) => Opinion::Hold,
            Ok(Answer::Deny(detail)) => Opinion::Deny(detail),
            Ok(Answer::Replace(content)) => {
                match Content::parse(&content, self.max_content_chars) {
                    Ok(content) => Opinion::Replace(content),
                    Err(error) => {
                        tracing::warn!(%error, "the hook before a send gave no valid content");
                        self.fail()
                    }
                }
            }
            Err(_) => self.fail(),
        }
    }
}
