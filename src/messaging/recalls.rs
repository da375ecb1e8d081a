//! Chats that change after they were sent.

use super::Messaging;
use crate::{
    domain::{Chat, ChatId, ConversationId, UserId},
    protocol::fault::{ApiError, ErrorCode},
    store::{ChangePage, Recalled},
};

impl Messaging {
    /// Takes back what a chat says, for everybody.
    pub async fn recall(&self, actor: UserId, chat: ChatId) -> Result<Chat, ApiError> {
        match self.store.recall(actor, chat, self.rules.recall_window).await? {
            Recalled::Done(mut chat, told) => {
                self.tell(&told);
                self.delivery.links().show(&mut chat);
                Ok(*chat)
            }
            Recalled::NotFound => Err(ApiError::chat_not_found()),
            Recalled::Forbidden => {
                let detail = "this chat is not yours to recall";
                Err(ApiError::new(ErrorCode::Forbidden, detail))
            }
            Recalled::TooLate => {
                let detail =
                    format!("a chat can be recalled for {} s", self.rules.recall_window.as_secs());
                Err(ApiError::new(ErrorCode::TooLate, detail))
            }
        }
    }

    /// Has a chat gone for the user alone.
    pub async fn delete_for(&self, user: UserId, chat: ChatId) -> Result<(), ApiError> {
        let told = self.store.delete_for(user, chat).await?;
        self.tell(&told.ok_or_else(ApiError::chat_not_found)?);
        Ok(())
    }

    /// Chats of a conversation that are new or changed since a version of it.
    pub async fn changes(
        &self,
        user: UserId,
        conversation: ConversationId,
        since: i64,
        limit: u32,
    ) -> Result<ChangePage, ApiError> {
        let page = self.store.changes(user, conversation, since, limit).await?;
        let mut page = page.ok_or_else(ApiError::conversation_not_found)?;
        self.delivery.links().show_all(&mut page.chats);
        Ok(page)
    }
}
