//! What has not been announced yet, while an observer is slow.

use std::collections::{HashMap, VecDeque};

use super::Transition;
use crate::domain::UserId;

/// How many transitions wait in the receiver. Those beyond wait in an outbox that keeps one for each
/// user, the latest: an observer that is slow misses what was superseded, and never the final state.
pub const TRANSITION_QUEUE: usize = 1_024;

/// Transitions that the receiver has no room for yet: at most one for each user.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    order: VecDeque<UserId>,
    latest: HashMap<UserId, Transition>,
    /// Whether nobody listens any more.
    closed: bool,
}

impl Outbox {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn put(&mut self, transition: Transition) {
        if !self.closed && self.latest.insert(transition.user, transition).is_none() {
            self.order.push_back(transition.user);
        }
    }

    pub(super) fn take(&mut self) -> Option<Transition> {
        self.latest.remove(&self.order.pop_front()?)
    }

    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }
}
