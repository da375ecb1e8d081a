//! The contract about subscribe messages: how many a user may be sent, and which are due.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ChatId, ConversationId, MessageTemplate, OpenId, UserId};

/// The most grants that are kept for a user and a template.
pub const MAX_GRANTS: u32 = 100;

/// A user who is perhaps away from a conversation: since this chat nothing of it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Who is away.
    pub user: UserId,
    /// From where.
    pub conversation: ConversationId,
    /// The last chat that was there when it began. It ends once this one is read.
    pub chat: ChatId,
    /// How often its message has been taken before.
    pub attempts: u32,
}

/// The ledger of grants, and of absences. A user has one absence of a conversation at a time. It is due, then
/// perhaps taken, and then stands until the user has read its chat; so an absence is one message.
///
/// Whatever is taken was spent: if the replica dies before it has sent the message, nobody sends it.
#[async_trait]
pub trait Subscriptions {
    /// Adds so many grants; there are [`MAX_GRANTS`] at most. Nothing happens to a user who is erased.
    async fn grant(
        &self,
        user: UserId,
        template: &MessageTemplate,
        count: u32,
    ) -> Result<(), StoreError>;

    /// Leaves no grants.
    async fn end_grants(&self, user: UserId, template: &MessageTemplate) -> Result<(), StoreError>;

    /// The same for whoever has this openid in the template's mini program, if anybody has.
    async fn end_grants_of(
        &self,
        openid: &OpenId,
        template: &MessageTemplate,
    ) -> Result<(), StoreError>;

    /// Begins the absences that these chats, as far as they are neither recalled nor system lines, make: of each
    /// member with a grant who has not sent and not read them, and has not muted the conversation. One that
    /// stands already goes on as it is. They are due so long after the chat.
    async fn begin_absences(
        &self,
        chats: &[ChatId],
        template: &MessageTemplate,
        wait: Duration,
    ) -> Result<(), StoreError>;

    /// At most `limit` absences that are due, the longest one first.
    async fn due_absences(&self, limit: u32) -> Result<Vec<Absence>, StoreError>;

    /// Ends those of these absences that are still due: their users look.
    async fn end_absences(&self, absences: &[Absence]) -> Result<(), StoreError>;

    /// Takes the message of an absence that is due: spends a grant, and notes it as told. Returns the newest chat
    /// that is unread; `None`: it is not due any more. An absence that has nothing to tell or no grant ends. Of
    /// two callers, on whatever replica, one takes it.
    async fn take_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
    ) -> Result<Option<ChatId>, StoreError>;

    /// Takes a taken message back that was surely not sent: the grant is there again, unless all were ended
    /// meanwhile. The absence is due again after `again`; `None`: it ends.
    async fn return_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
        again: Option<Duration>,
    ) -> Result<(), StoreError>;

    /// Notes that WeChat lets this user be sent nothing: there are no grants, and the absence of a taken message
    /// ends.
    async fn refuse_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
    ) -> Result<(), StoreError>;
}
