//! What a user can do with chats: send, read, list, and follow a timeline.

mod blocks;
mod groups;
mod managing;
mod people;
mod recalls;
mod sending;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{
    admission::Door,
    checks::names::Names,
    delivery::{Delivery, frame},
    domain::{
        Block, Chat, ChatId, ConnectionId, Conversation, ConversationId, Epoch, GroupRules, Seq,
        UserId, WhoMayWrite,
    },
    presence::Presence,
    protocol::{client::ClientEpoch, event::EventFrame, fault::ApiError, server::ServerFrame},
    standing::Standings,
    store::{
        Acquaintance, ChatPage, ConversationPage, OwnChange, Store, StoreError, TimelineRange,
        TimelineState, Window, batcher::Batcher,
    },
};

pub use blocks::follow_standings;
pub use people::PresenceOf;
use sending::Ensured;
pub use sending::{SendOutcome, Sending, Sent, new_chat};

/// The use cases. Each takes the acting user, and reads and writes only what is that user's.
#[derive(Clone)]
pub struct Messaging {
    store: Arc<dyn Store>,
    door: Door,
    batcher: Batcher,
    delivery: Arc<Delivery>,
    presence: Arc<dyn Presence>,
    standings: Standings,
    rules: Rules,
    ensured: Arc<Mutex<Ensured>>,
}

/// The rules of all conversations.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who sees whether somebody is online or typing.
    pub visible: Acquaintance,
    /// How many events a client may be behind.
    pub replay_limit: u32,
    /// Into which conversations users may write.
    pub who_may_write: WhoMayWrite,
    /// For how long a sender may recall a chat.
    pub recall_window: Duration,
    /// Of groups.
    pub groups: GroupRules,
    /// What people and groups may be called.
    pub names: Names,
}

/// Where a client goes on that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The end of the timeline.
    pub last: Seq,
    /// The database's history.
    pub epoch: Epoch,
    /// The number to go on after; `None`: the client loads anew and goes on from `last`.
    pub from: Option<Seq>,
}

/// A page of a timeline as frames.
#[derive(Clone, Debug)]
pub struct Events {
    /// The events, in order.
    pub frames: Vec<EventFrame>,
    /// The end of the timeline.
    pub last: Seq,
    /// The database's history.
    pub epoch: Epoch,
    /// Whether there are more.
    pub has_more: bool,
}

impl Messaging {
    /// The use cases over these parts. Every chat goes through the door.
    pub fn new(
        store: Arc<dyn Store>,
        door: Door,
        batcher: Batcher,
        delivery: Arc<Delivery>,
        presence: Arc<dyn Presence>,
        standings: Standings,
        rules: Rules,
    ) -> Self {
        let ensured = Arc::default();
        Self { store, door, batcher, delivery, presence, standings, rules, ensured }
    }

    /// Decides where a client goes on that has applied `since` in `epoch`. Without `since` it goes on from
    /// now; without `epoch` its `since` is taken to be of this one.
    pub async fn resume(
        &self,
        user: UserId,
        since: Option<Seq>,
        epoch: Option<&ClientEpoch>,
    ) -> Result<Resume, ApiError> {
        let TimelineState { epoch: now, range } = self.delivery.timeline_state(user).await?;
        let is_foreign = epoch.is_some_and(|epoch| !epoch.is(now));
        let from = match since {
            _ if is_foreign => None,
            None => Some(range.last),
            Some(since) => self.can_replay(range, since).then_some(since),
        };
        Ok(Resume { last: range.last, epoch: now, from })
    }

    fn can_replay(&self, range: TimelineRange, since: Seq) -> bool {
        since <= range.last
            && since.next() >= range.first
            && range.last.get() - since.get() <= i64::from(self.rules.replay_limit)
    }

    /// At most `limit` events after `since`; `None`: the client loads anew.
    pub async fn events(
        &self,
        user: UserId,
        since: Option<Seq>,
        epoch: Option<&ClientEpoch>,
        limit: u32,
    ) -> Result<Option<Events>, ApiError> {
        let Resume { last, epoch, from: Some(from) } = self.resume(user, since, epoch).await?
        else {
            return Ok(None);
        };
        let page = match self.store.events(user, from, limit).await {
            Err(StoreError::Corrupt(problem)) => {
                tracing::error!(%user, %from, problem, "timeline is broken, client loads anew");
                return Ok(None);
            }
            page => page?,
        };
        let links = self.delivery.links();
        let frames = page.events.iter().map(|event| frame(event, user, links));
        let frames = frames.collect::<Vec<_>>();
        let reached = frames.last().map_or(from, |frame| frame.seq);
        let last = page.range.last.max(last);
        Ok(Some(Events { frames, last, epoch, has_more: reached < last }))
    }

    /// The user's latest chats, oldest first.
    pub async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, ApiError> {
        let mut chats = self.store.latest_chats(user, limit).await?;
        self.delivery.links().show_all(&mut chats);
        Ok(chats)
    }

    /// The user's conversations, newest first.
    pub async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, ApiError> {
        let mut page = self.store.conversations(user, before, limit).await?;
        self.complete(user, &mut page.conversations).await?;
        Ok(page)
    }

    /// The conversations that the user has pinned, newest first.
    pub async fn pinned(&self, user: UserId) -> Result<Vec<Conversation>, ApiError> {
        let mut pinned = self.store.pinned(user, groups::MAX_PINNED).await?;
        self.complete(user, &mut pinned).await?;
        Ok(pinned)
    }

    /// Unread chats of all of the user's conversations, counted to 99; 100 means more.
    pub async fn unread_total(&self, user: UserId) -> Result<u32, ApiError> {
        Ok(self.store.unread_total(user).await?)
    }

    /// The user's conversation with somebody.
    pub async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, ApiError> {
        let mut found = self.store.conversation_with(user, peer).await?;
        self.complete(user, found.as_mut_slice()).await?;
        Ok(found)
    }

    /// Chats of one of the user's conversations.
    pub async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<ChatPage, ApiError> {
        let page = self.store.chats(user, conversation, window, limit).await?;
        let mut page = page.ok_or_else(ApiError::conversation_not_found)?;
        self.delivery.links().show_all(&mut page.chats);
        Ok(page)
    }

    /// Moves the user's read mark. If it moved, tells the other side and the user's other sockets.
    pub async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
        from: Option<ConnectionId>,
    ) -> Result<(), ApiError> {
        let mark = self.store.mark_read(user, conversation, up_to).await?;
        let mark = mark.ok_or_else(ApiError::conversation_not_found)?;
        if let Some(up_to) = mark.up_to.filter(|_| mark.moved) {
            let frame =
                ServerFrame::Read { conversation_id: conversation, user_id: user, up_to }.encode();
            self.delivery.notice(user, &frame, from);
            if let Some(peer) = mark.peer.filter(|peer| *peer != user)
                && !self.standings.is_set(Block { by: user, of: peer }).await?
            {
                self.delivery.notice(peer, &frame, from);
            }
        }
        if mark.marked_unread {
            let seen = OwnChange { marked_unread: Some(false), ..OwnChange::default() };
            self.change_own(user, conversation, &seen).await?;
        }
        Ok(())
    }
}
