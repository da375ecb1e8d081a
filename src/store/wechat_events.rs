//! The contract about what WeChat pushes.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use sqlx::FromRow;

use super::StoreError;
use crate::clock::Timestamp;

/// An event that waits to be handled.
#[derive(Clone, FromRow)]
pub struct WechatEvent {
    /// Rises in the order in which events came.
    pub id: i64,
    /// The mini program, where WeChat says which.
    pub appid: Option<String>,
    /// The JSON object.
    pub payload: String,
    /// When it came, by the database's time.
    pub received_at: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
}

/// It names users, and may hold what they wrote.
impl fmt::Debug for WechatEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WechatEvent({})", self.id)
    }
}

/// What became of an event that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKept {
    /// It is kept until it is handled.
    New,
    /// One with this key was kept before. Nothing was written.
    Repeat,
    /// Too many wait. Nothing was written.
    Full,
}

/// What WeChat pushes. Time is that of the database.
#[async_trait]
pub trait WechatEvents {
    /// Keeps an event, unless there is one with this key or `max` wait. Replicas that keep at once may keep a few
    /// more than that.
    async fn keep_wechat_event(
        &self,
        key: &str,
        appid: Option<&str>,
        payload: &str,
        max: u32,
    ) -> Result<EventKept, StoreError>;

    /// At most `limit` events whose time has come, in the order in which they came.
    async fn due_wechat_events(&self, limit: u32) -> Result<Vec<WechatEvent>, StoreError>;

    /// Notes that an event is handled, and forgets what it said.
    async fn wechat_event_handled(&self, id: i64) -> Result<(), StoreError>;

    /// Has an event tried again after a pause.
    async fn postpone_wechat_event(&self, id: i64, pause: Duration) -> Result<(), StoreError>;

    /// Forgets the keys of at most `limit` events that were handled longer than `keep` ago. Returns how many.
    async fn forget_wechat_events(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;
}
