//! A store that appends, failing when it is told to, and knows where timelines end: for what no
//! database does on demand.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use imserver::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ClientMsgId, ConnectionId, Conversation, ConversationId, Epoch,
        Identity, ReplicaId, Seq, SessionId, User, UserId, UserName,
    },
    store::{
        Access, Acquaintance, Appended, Appends, Avatars, ChatPage, ConversationPage,
        Conversations, Erasure, EventPage, Handshakes, Health, History, Identities, Jobs, Members,
        NewChat, Outbox, OutboxCursor, OutboxPage, ReadMark, Session, Sessions, Sockets,
        StoreError, TimelineRange, TimelineState, Timelines, TokenHash, TrimPage, Users, Window,
    },
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// What becomes of one call of `append`.
pub(crate) enum Outcome {
    Panic,
    Unavailable,
}

/// Appends nothing, answers `TargetNotFound`, and keeps what it was given.
pub(crate) struct FakeStore {
    /// Outcomes of the next calls; once they are used up, calls succeed.
    pub(crate) outcomes: Mutex<VecDeque<Outcome>>,
    /// A call takes a permit: none, and it waits.
    pub(crate) permits: Semaphore,
    /// Batches, by the keys of their chats.
    pub(crate) batches: Mutex<Vec<Vec<String>>>,
    /// Where timelines end.
    pub(crate) last_seqs: Mutex<HashMap<UserId, Seq>>,
    epoch: Epoch,
}

impl FakeStore {
    pub(crate) fn new(outcomes: impl IntoIterator<Item = Outcome>, permits: usize) -> Arc<Self> {
        Arc::new(Self {
            outcomes: Mutex::new(outcomes.into_iter().collect()),
            permits: Semaphore::new(permits),
            batches: Mutex::default(),
            last_seqs: Mutex::default(),
            epoch: Epoch::random(),
        })
    }
}

type Answer<T> = Result<T, StoreError>;

#[async_trait]
#[rustfmt::skip]
impl Appends for FakeStore {
    async fn append(&self, batch: &[NewChat]) -> Answer<Vec<Appended>> {
        let keys = batch.iter().map(|chat| chat.client_msg_id.as_str().to_owned()).collect();
        self.batches.lock().push(keys);
        self.permits.acquire().await.unwrap().forget();
        match self.outcomes.lock().pop_front() {
            Some(Outcome::Panic) => panic!("as told"),
            Some(Outcome::Unavailable) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
            None => Ok(batch.iter().map(|_| Appended::TargetNotFound).collect()),
        }
    }
}

#[async_trait]
#[rustfmt::skip]
impl Avatars for FakeStore {
    async fn set_avatar(&self, _: UserId, _: &AvatarHash, _: &str, _: Bytes)
        -> Answer<Option<User>> { unimplemented!() }
    async fn avatar(&self, _: &AvatarHash) -> Answer<Option<(String, Bytes)>> { unimplemented!() }
    async fn drop_unused_avatars(&self, _: Option<&AvatarHash>, _: u32)
        -> Answer<Option<AvatarHash>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Conversations for FakeStore {
    async fn conversations(&self, _: UserId, _: Option<ChatId>, _: u32)
        -> Answer<ConversationPage> { unimplemented!() }
    async fn conversation_with(&self, _: UserId, _: UserId)
        -> Answer<Option<Conversation>> { unimplemented!() }
    async fn chats(&self, _: UserId, _: ConversationId, _: Window, _: u32)
        -> Answer<Option<ChatPage>> { unimplemented!() }
    async fn mark_read(&self, _: UserId, _: ConversationId, _: ChatId)
        -> Answer<Option<ReadMark>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Erasure for FakeStore {
    async fn erase_user(&self, _: UserId) -> Answer<bool> { unimplemented!() }
    async fn blank_chats(&self, _: UserId, _: Option<&ClientMsgId>, _: u32)
        -> Answer<Option<ClientMsgId>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Handshakes for FakeStore {
    async fn session(&self, _: TokenHash) -> Answer<Option<Session>> { unimplemented!() }
    async fn next_connection(&self) -> Answer<ConnectionId> { unimplemented!() }
    async fn timeline_state(&self, _: UserId) -> Answer<TimelineState> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Health for FakeStore {
    async fn ping(&self) -> Answer<Access> { unimplemented!() }
    async fn try_writing(&self) -> Answer<()> { unimplemented!() }
    async fn note_replica(&self, _: ReplicaId, _: bool)
        -> Answer<HashMap<ReplicaId, Timestamp>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl History for FakeStore {
    async fn epoch(&self) -> Answer<Epoch> { Ok(self.epoch) }
    async fn rotate_epoch(&self) -> Answer<Epoch> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Identities for FakeStore {
    async fn user_by_identity(&self, _: &Identity, _: Option<&UserName>)
        -> Answer<User> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Jobs for FakeStore {
    async fn take_job(&self, _: &str, _: ReplicaId, _: Duration)
        -> Answer<Option<String>> { unimplemented!() }
    async fn save_job(&self, _: &str, _: ReplicaId, _: &str, _: Duration)
        -> Answer<bool> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Members for FakeStore {
    async fn create_group(&self, _: &[UserId]) -> Answer<ConversationId> { unimplemented!() }
    async fn add_members(&self, _: ConversationId, _: &[UserId]) -> Answer<bool> { unimplemented!() }
    async fn remove_member(&self, _: ConversationId, _: UserId) -> Answer<bool> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Outbox for FakeStore {
    async fn switch_outbox(&self, _: bool) -> Answer<()> { unimplemented!() }
    async fn read_outbox(&self, _: Option<&OutboxCursor>, _: u32)
        -> Answer<OutboxPage> { unimplemented!() }
    async fn drop_outbox(&self, _: Timestamp, _: u32) -> Answer<u64> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Sessions for FakeStore {
    async fn create_session(&self, _: TokenHash, _: UserId, _: Timestamp, _: Duration, _: Duration)
        -> Answer<Session> { unimplemented!() }
    async fn sessions(&self, _: &[SessionId]) -> Answer<Vec<Session>> { unimplemented!() }
    async fn delete_ended_sessions(&self, _: Option<SessionId>, _: Timestamp, _: u32)
        -> Answer<Option<SessionId>> { unimplemented!() }
    async fn extend_sessions(&self, _: &[SessionId], _: Timestamp) -> Answer<()> { unimplemented!() }
    async fn revoke_session(&self, _: SessionId) -> Answer<()> { unimplemented!() }
    async fn revoke_sessions(&self, _: UserId) -> Answer<Option<SessionId>> { unimplemented!() }
    async fn revoke_some_sessions(&self, _: UserId, _: u32) -> Answer<bool> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Sockets for FakeStore {
    async fn close_sockets(&self, _: UserId) -> Answer<ConnectionId> { unimplemented!() }
    async fn socket_closures(&self, _: &[UserId])
        -> Answer<HashMap<UserId, ConnectionId>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Timelines for FakeStore {
    async fn timeline_range(&self, _: UserId) -> Answer<TimelineRange> { unimplemented!() }
    async fn last_seqs(&self, users: &[UserId]) -> Answer<HashMap<UserId, Seq>> {
        let last_seqs = self.last_seqs.lock();
        Ok(users.iter().filter_map(|user| Some((*user, *last_seqs.get(user)?))).collect())
    }
    async fn events(&self, _: UserId, _: Seq, _: u32) -> Answer<EventPage> { unimplemented!() }
    async fn latest_chats(&self, _: UserId, _: u32) -> Answer<Vec<Chat>> { unimplemented!() }
    async fn trims(&self, _: Option<UserId>, _: Timestamp, _: u64, _: u32)
        -> Answer<TrimPage> { unimplemented!() }
    async fn trim_timeline(&self, _: UserId, _: Seq) -> Answer<()> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Users for FakeStore {
    async fn users(&self, _: &[UserId]) -> Answer<Vec<User>> { unimplemented!() }
    async fn ensure_users(&self, _: &[(UserId, UserName)]) -> Answer<()> { unimplemented!() }
    async fn rename(&self, _: UserId, _: &UserName) -> Answer<Option<User>> { unimplemented!() }
    async fn search_users(&self, _: &str, _: u32) -> Answer<Vec<User>> { unimplemented!() }
    async fn acquainted(&self, _: UserId, _: &[UserId], _: Acquaintance)
        -> Answer<Vec<UserId>> { unimplemented!() }
    async fn acquaintances(&self, _: UserId, _: Acquaintance, _: u32)
        -> Answer<Vec<UserId>> { unimplemented!() }
    async fn save_last_seen(&self, _: &[(UserId, Timestamp)]) -> Answer<()> { unimplemented!() }
    async fn last_seen(&self, _: &[UserId]) -> Answer<HashMap<UserId, Timestamp>> { unimplemented!() }
}
