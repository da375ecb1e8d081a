//! Takes the new chats that a reader of the outbox reads, and notes who is perhaps away.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    domain::{ChatId, MessageTemplate},
    outbox::{Handler, HandlerError},
    store::{CHAT_CREATED, OutboxEntry, Store},
};

/// How long somebody has to look at a chat.
const WAIT: Duration = Duration::from_secs(3);

/// Begins absences.
pub struct Begin {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Members with a grant for it are looked at.
    pub template: MessageTemplate,
}

#[async_trait]
impl Handler for Begin {
    /// A chat that comes again begins an absence again only if it was seen meanwhile, and is unread all the same.
    async fn handle(&self, entries: &[OutboxEntry]) -> Result<(), HandlerError> {
        let created = entries.iter().filter(|entry| entry.kind == CHAT_CREATED);
        let chats: Vec<ChatId> = created.filter_map(|entry| entry.chat).collect();
        if !chats.is_empty() {
            self.store.begin_absences(&chats, &self.template, WAIT).await?;
        }
        Ok(())
    }
}
