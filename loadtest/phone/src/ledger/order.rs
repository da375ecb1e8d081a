//! Whether chats stand in the order in which they have to.

use std::collections::HashMap;

use super::book::Sent;
use crate::address;

/// A walk along a timeline, or along what a phone was shown.
///
/// Within a conversation ids rise. Of two chats of one phone to one target, the one that was sent first
/// stands first if it was acknowledged before the other was sent, or if each was sent exactly once and
/// both on the same connection: what was repeated may have been overtaken on its way.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By conversation: its two users, or a group twice.
    ids: HashMap<(i64, i64), i64>,
    /// By phone and target: the latest first sending so far.
    sendings: HashMap<(u32, i64), u32>,
    /// The same of what was sent exactly once, by connection too.
    connections: HashMap<(u32, i64, u32), u32>,
}

impl Order {
    /// Goes on to this chat; whether it stands where it may.
    pub(super) fn holds(&mut self, writer: u32, sender: i64, sent: &Sent, id: i64) -> bool {
        let target = sent.target;
        let pair = (sender.min(target), sender.max(target));
        let is_group = address::group_of(target).is_some();
        let mut holds = self.rises(if is_group { (target, target) } else { pair }, id);

        let latest = self.sendings.entry((writer, target)).or_default();
        // It was acknowledged, and then the other one was sent, which stands before it.
        holds &= sent.acknowledged == 0 || *latest < sent.acknowledged;
        *latest = sent.first.max(*latest);

        if let Some(connection) = sent.only_connection() {
            let latest = self.connections.entry((writer, target, connection)).or_default();
            holds &= *latest <= sent.first;
            *latest = sent.first.max(*latest);
        }
        holds
    }

    /// Goes on to a line of a group; whether it stands where it may.
    pub(super) fn line_holds(&mut self, group: i64, id: i64) -> bool {
        let target = address::of_group(group);
        self.rises((target, target), id)
    }

    fn rises(&mut self, conversation: (i64, i64), id: i64) -> bool {
        let last = self.ids.entry(conversation).or_insert(i64::MIN);
        let rises = id > *last;
        *last = id.max(*last);
        rises
    }

    /// The last id of a group so far; [`i64::MIN`] before the first.
    pub(super) fn last_of(&self, group: i64) -> i64 {
        let target = address::of_group(group);
        self.ids.get(&(target, target)).copied().unwrap_or(i64::MIN)
    }
}
