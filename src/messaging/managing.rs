//! What the service itself does with conversations, as a company's own back end asks: no member's rights
//! bound it. Who may ask is known to `admin`.

use super::Messaging;
use crate::{
    domain::{Chat, ChatId, ConversationId, ConversationRef, GroupChange, GroupRefusal, UserId},
    protocol::fault::ApiError,
    store::{ChatPage, ManagedConversation, NewConversation, NewMembers, Window},
};

impl Messaging {
    /// The service's own user, in whose name it speaks.
    pub async fn service_user(&self) -> Result<UserId, ApiError> {
        Ok(self.store.service_user().await?)
    }

    /// Begins a conversation; says whether it is new.
    pub async fn begin_conversation(
        &self,
        new: &NewConversation,
    ) -> Result<(ConversationId, bool), ApiError> {
        let max = self.rules.groups.max_members;
        if let NewMembers::Group { members, .. } = &new.members
            && members.len() > max
        {
            return Err(GroupRefusal::TooMany { max }.into());
        }
        let begun = self.store.begin_conversation(new).await?;
        self.begun(begun)
    }

    /// A conversation, whoever is in it.
    pub async fn managed_conversation(
        &self,
        which: &ConversationRef,
    ) -> Result<ManagedConversation, ApiError> {
        let found = self.store.managed_conversation(which).await?;
        found.ok_or_else(ApiError::conversation_not_found)
    }

    /// Changes a group in the service's own name.
    pub async fn manage_group(
        &self,
        group: ConversationId,
        change: &GroupChange,
    ) -> Result<(), ApiError> {
        let service = self.store.service_user().await?;
        let told = self.store.manage_group(group, service, change, self.rules.groups).await??;
        self.tell(&told);
        Ok(())
    }

    /// Chats of a conversation, whoever may read them.
    pub async fn all_chats(
        &self,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<ChatPage, ApiError> {
        let mut page = self.store.all_chats(conversation, window, limit).await?;
        self.delivery.links().show_all(&mut page.chats);
        Ok(page)
    }

    /// Takes back what any chat says, for everybody, at any time.
    pub async fn recall_any(&self, chat: ChatId) -> Result<Chat, ApiError> {
        let service = self.store.service_user().await?;
        let recalled = self.store.recall_any(service, chat).await?;
        let (chat, told) = recalled.ok_or_else(ApiError::chat_not_found)?;
        self.tell(&told);
        Ok(chat)
    }
}
