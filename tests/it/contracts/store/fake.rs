//! What no database does on demand: appends that fail when they are told to, and timelines that end where
//! they are told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use imserver::{
    clock::Timestamp,
    domain::{Chat, ConnectionId, Epoch, ReplicaId, Seq, User, UserId, UserName},
    store::{
        Access, Acquaintance, Appended, Appends, EventPage, Handshakes, Health, History, NewChat,
        Session, Sockets, StoreError, TimelineRange, TimelineState, Timelines, TokenHash, TrimPage,
        Users,
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
pub(crate) struct FakeAppends {
    /// Outcomes of the next calls; once they are used up, calls succeed.
    pub(crate) outcomes: Mutex<VecDeque<Outcome>>,
    /// A call takes a permit: none, and it waits.
    pub(crate) permits: Semaphore,
    /// Batches, by the keys of their chats.
    pub(crate) batches: Mutex<Vec<Vec<String>>>,
}

impl FakeAppends {
    pub(crate) fn new(outcomes: impl IntoIterator<Item = Outcome>, permits: usize) -> Arc<Self> {
        Arc::new(Self {
            outcomes: Mutex::new(outcomes.into_iter().collect()),
            permits: Semaphore::new(permits),
            batches: Mutex::default(),
        })
    }
}

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl Appends for FakeAppends {
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

    async fn try_writing(&self) -> Answer<()> {
        unimplemented!()
    }
}

/// Answers where timelines end, and nothing else.
pub(crate) struct FakeTimelines {
    pub(crate) last_seqs: Mutex<HashMap<UserId, Seq>>,
    epoch: Epoch,
}

impl FakeTimelines {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { last_seqs: Mutex::default(), epoch: Epoch::random() })
    }
}

#[async_trait]
#[rustfmt::skip]
impl Handshakes for FakeTimelines {
    async fn session(&self, _: TokenHash) -> Answer<Option<Session>> { unimplemented!() }
    async fn next_connection(&self) -> Answer<ConnectionId> { unimplemented!() }
    async fn timeline_state(&self, _: UserId) -> Answer<TimelineState> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Health for FakeTimelines {
    async fn ping(&self) -> Answer<Access> { unimplemented!() }
    async fn note_replica(&self, _: ReplicaId, _: bool)
        -> Answer<HashMap<ReplicaId, Timestamp>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl History for FakeTimelines {
    async fn epoch(&self) -> Answer<Epoch> { Ok(self.epoch) }
    async fn rotate_epoch(&self) -> Answer<Epoch> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Sockets for FakeTimelines {
    async fn close_sockets(&self, _: UserId) -> Answer<ConnectionId> { unimplemented!() }
    async fn socket_closures(&self, _: &[UserId])
        -> Answer<HashMap<UserId, ConnectionId>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Timelines for FakeTimelines {
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
impl Users for FakeTimelines {
    async fn users(&self, _: &[UserId]) -> Answer<Vec<User>> { unimplemented!() }
    async fn ensure_users(&self, _: &[(UserId, UserName)]) -> Answer<()> { unimplemented!() }
    async fn rename(&self, _: UserId, _: &UserName) -> Answer<Option<User>> { unimplemented!() }
    async fn search_users(&self, _: UserId, _: &str, _: u32) -> Answer<Vec<User>> { unimplemented!() }
    async fn acquainted(&self, _: UserId, _: &[UserId], _: Acquaintance)
        -> Answer<Vec<UserId>> { unimplemented!() }
    async fn acquaintances(&self, _: UserId, _: Acquaintance, _: u32)
        -> Answer<Vec<UserId>> { unimplemented!() }
    async fn tell_online(&self, _: &[(UserId, Timestamp)]) -> Answer<()> { unimplemented!() }
    async fn save_last_seen(&self, _: &[(UserId, Timestamp)]) -> Answer<()> { unimplemented!() }
    async fn last_seen(&self, _: &[UserId]) -> Answer<HashMap<UserId, Timestamp>> { unimplemented!() }
}
