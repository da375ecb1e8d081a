//! What has not been announced yet, while an observer is slow.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::Transition;
use crate::domain::UserId;

/// How many transitions wait in the receiver. Those beyond wait in an outbox that keeps one for each
/// user, the latest: an observer that is slow misses what was superseded, and never the final state.
pub const TRANSITION_QUEUE: usize = 1_024;

/// Transitions that the receiver has no room for yet: at most one for each user.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    has_news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<UserId>,
    latest: HashMap<UserId, Transition>,
    is_closed: bool,
}

impl Outbox {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().order.is_empty()
    }

    pub(super) fn put(&self, transition: Transition) {
        let mut waiting = self.waiting.lock();
        if !waiting.is_closed && waiting.latest.insert(transition.user, transition).is_none() {
            waiting.order.push_back(transition.user);
        }
        self.has_news.notify_one();
    }

    fn take(&self) -> Option<Transition> {
        let mut waiting = self.waiting.lock();
        let user = waiting.order.pop_front()?;
        waiting.latest.remove(&user)
    }

    /// Fills the observer's receiver until that is gone. After that nothing is kept.
    pub(super) async fn forward(&self, observer: mpsc::Sender<Transition>) {
        loop {
            if self.is_empty() {
                self.has_news.notified().await;
                continue;
            }
            let Ok(room) = observer.reserve().await else {
                *self.waiting.lock() = Waiting { is_closed: true, ..Waiting::default() };
                return;
            };
            if let Some(transition) = self.take() {
                room.send(transition);
            }
        }
    }
}
