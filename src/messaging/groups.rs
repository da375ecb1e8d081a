//! Groups, and what a user keeps of a conversation.

use super::Messaging;
use crate::{
    checks::Place,
    domain::{Conversation, ConversationId, GroupChange, GroupRefusal, UserId, WhoMayWrite},
    protocol::{
        fault::{ApiError, DenialReason, ErrorCode},
        server::ServerFrame,
    },
    store::{GroupBegun, MemberPage, NewGroup, OwnChange, OwnChanged, Told},
};

/// The most conversations that a user pins.
pub(super) const MAX_PINNED: u32 = 100;

/// The largest group in which `typing` is shown.
const MAX_TYPING_MEMBERS: u32 = 20;

impl Messaging {
    /// The group that its creator has begun with the same key before, if any.
    pub async fn repeated_group(&self, new: &NewGroup) -> Result<Option<ConversationId>, ApiError> {
        let begun = self.store.group_begun(new).await?;
        Ok(begun.map(|begun| self.begun(begun)).transpose()?.map(|(group, _)| group))
    }

    /// Begins a group; says whether it is new.
    pub async fn begin_group(&self, new: &NewGroup) -> Result<(ConversationId, bool), ApiError> {
        if self.rules.who_may_write == WhoMayWrite::Conversations {
            return Err(ApiError::not_allowed(DenialReason::Policy));
        }
        self.check_restriction(new.creator).await?;
        let max = self.rules.groups.max_members;
        if new.members.iter().filter(|user| **user != new.creator).count() >= max {
            return Err(GroupRefusal::TooMany { max }.into());
        }
        if let Some(title) = &new.title {
            self.rules.names.check(new.creator, Place::Title, title.as_str()).await?;
        }
        let begun = self.store.begin_group(new).await?;
        self.begun(begun)
    }

    /// Tells the members of a conversation that has begun; says whether it is new.
    pub(super) fn begun(&self, begun: GroupBegun) -> Result<(ConversationId, bool), ApiError> {
        match begun {
            GroupBegun::Begun(group, told) => {
                self.tell(&told);
                Ok((group, true))
            }
            GroupBegun::Repeat(group) => Ok((group, false)),
            GroupBegun::KeyReused => {
                let detail = "this key was used for a group with other contents";
                Err(ApiError::new(ErrorCode::KeyReused, detail))
            }
            GroupBegun::UserNotFound => Err(ApiError::user_not_found()),
        }
    }

    /// Changes a group.
    pub async fn change_group(
        &self,
        actor: UserId,
        group: ConversationId,
        change: &GroupChange,
    ) -> Result<(), ApiError> {
        if matches!(change, GroupChange::Rename(_) | GroupChange::Add(_)) {
            self.check_restriction(actor).await?;
        }
        if let GroupChange::Rename(title) = change {
            self.rules.names.check(actor, Place::Title, title.as_str()).await?;
        }
        let told = self.store.change_group(group, actor, change, self.rules.groups).await??;
        self.tell(&told);
        Ok(())
    }

    /// Refuses what others would read of somebody who may not write.
    async fn check_restriction(&self, actor: UserId) -> Result<(), ApiError> {
        match self.standings.restriction(actor).await? {
            Some(kind) => Err(ApiError::not_allowed(kind.into())),
            None => Ok(()),
        }
    }

    /// Members of one of the user's groups.
    pub async fn members(
        &self,
        user: UserId,
        group: ConversationId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<MemberPage, ApiError> {
        let page = self.store.members(user, group, after, limit).await?;
        page.ok_or_else(ApiError::conversation_not_found)
    }

    /// A conversation of which the user is or was a member.
    pub async fn conversation(
        &self,
        user: UserId,
        id: ConversationId,
    ) -> Result<Conversation, ApiError> {
        let found = self.store.conversation(user, id).await?;
        let mut conversation = found.ok_or_else(ApiError::conversation_not_found)?;
        self.complete(user, std::slice::from_mut(&mut conversation)).await?;
        Ok(conversation)
    }

    /// Changes what the user keeps of a conversation, on all devices.
    pub async fn change_own(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: &OwnChange,
    ) -> Result<(), ApiError> {
        match self.store.change_own(user, conversation, change, MAX_PINNED).await? {
            OwnChanged::Done(told) => {
                self.tell(&told);
                Ok(())
            }
            OwnChanged::NotFound => Err(ApiError::conversation_not_found()),
            OwnChanged::TooManyPinned => {
                let detail = format!("at most {MAX_PINNED} conversations are pinned");
                Err(ApiError::new(ErrorCode::TooManyPinned, detail))
            }
        }
    }

    /// Tells the other members of a small group that `actor` is typing. In a larger one nobody is told.
    pub async fn typing_in(&self, actor: UserId, group: ConversationId) -> Result<(), ApiError> {
        let members = self.store.few_members(actor, group, MAX_TYPING_MEMBERS).await?;
        let frame = ServerFrame::Typing { user_id: actor, conversation_id: Some(group) }.encode();
        for member in members.unwrap_or_default() {
            if member != actor {
                self.delivery.notice(member, &frame, None);
            }
        }
        Ok(())
    }

    /// Brings what was written into timelines to the sockets.
    pub fn tell(&self, told: &Told) {
        for committed in &told.chats {
            self.delivery.committed(committed);
        }
        for (change, places) in &told.events {
            self.delivery.told(change, places);
        }
    }
}
