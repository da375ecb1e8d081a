//! Conversations as their members read them, compared with the timelines.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    book::{Key, Words},
    timeline::Timeline,
    verdict::{Class, Verdict},
};
use crate::address;

/// The chats of a conversation, oldest first, as one of its members reads them in the end.
#[derive(Debug, Default)]
pub struct Listing {
    pub user: i64,
    /// The other member, the same user in a conversation with oneself; or a group, as
    /// [`address`](crate::address) has it.
    pub peer: i64,
    /// The ids of the chats.
    pub chats: Vec<i64>,
    /// Those of them that are recalled.
    pub recalled: Vec<i64>,
}

/// A conversation is, for each of its members, what the timeline has of it, in order. Of a user with a
/// listing, every conversation is listed.
pub fn judge_listings(timelines: &[Timeline], listings: &[Listing]) -> Verdict {
    let mut verdict = Verdict::default();
    // By user and peer: what the timeline has, and what of it is recalled.
    let mut stored: HashMap<(i64, i64), [BTreeSet<i64>; 2]> = HashMap::new();
    let users: HashSet<_> = listings.iter().map(|listing| listing.user).collect();
    for timeline in timelines.iter().filter(|timeline| users.contains(&timeline.user)) {
        let user = timeline.user;
        let no_chats = [Key::NO_CHAT, Key::RECALL, Key::DELETION, Key::LINE];
        for (_, seen) in timeline.events.iter().filter(|(_, seen)| !no_chats.contains(&seen.key)) {
            let is_sent = seen.sender == user || address::group_of(seen.target).is_some();
            let peer = if is_sent { seen.target } else { seen.sender };
            let [chats, recalled] = stored.entry((user, peer)).or_default();
            chats.insert(seen.id);
            if seen.words == Words::Recalled {
                recalled.insert(seen.id);
            }
        }
        for line in &timeline.lines {
            let [lines, _] = stored.entry((user, address::of_group(line.group))).or_default();
            lines.insert(line.id);
        }
    }
    for Listing { user, peer, chats, recalled } in listings {
        let name = || format!("{user}'s conversation with {peer}");
        let [stored, gone] = stored.remove(&(*user, *peer)).unwrap_or_default();
        let listed: BTreeSet<_> = chats.iter().copied().collect();
        for id in gone.iter().filter(|id| listed.contains(id) && !recalled.contains(id)) {
            verdict.add(Class::Foreign, || format!("{} has the words of id {id}", name()));
        }
        if listed.len() < chats.len() {
            verdict.add(Class::Doubled, || format!("{} lists chats twice", name()));
        }
        if !chats.is_sorted() {
            verdict.add(Class::Reordered, || format!("{} is not in order", name()));
        }
        for id in stored.difference(&listed) {
            verdict.add(Class::Unstored, || format!("{} lacks id {id}", name()));
        }
        for id in listed.difference(&stored) {
            verdict.add(Class::Foreign, || format!("{} has id {id}", name()));
        }
    }
    for ((user, peer), _) in stored {
        verdict.add(Class::Unstored, || format!("{user} lacks the conversation with {peer}"));
    }
    verdict
}
