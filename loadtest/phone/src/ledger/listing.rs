//! Conversations as their members read them, compared with the timelines.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    book::Key,
    load::Timeline,
    verdict::{Class, Verdict},
};

/// The chats of a conversation, oldest first, as one of its two members reads them in the end.
#[derive(Debug)]
pub struct Listing {
    pub user: i64,
    /// The other member; the same user in a conversation with oneself.
    pub peer: i64,
    /// The ids of the chats.
    pub chats: Vec<i64>,
}

/// A conversation is, for each of its members, what the timeline has of it, in order. Of a user with a
/// listing, every conversation is listed.
pub fn judge_listings(timelines: &[Timeline], listings: &[Listing]) -> Verdict {
    let mut verdict = Verdict::default();
    // By user and peer: what the timeline has.
    let mut stored: HashMap<(i64, i64), BTreeSet<i64>> = HashMap::new();
    let users: HashSet<_> = listings.iter().map(|listing| listing.user).collect();
    for timeline in timelines.iter().filter(|timeline| users.contains(&timeline.user)) {
        for (_, seen) in timeline.events.iter().filter(|(_, seen)| seen.key != Key::NO_CHAT) {
            let peer = if seen.sender == timeline.user { seen.target } else { seen.sender };
            stored.entry((timeline.user, peer)).or_default().insert(seen.id);
        }
    }
    for Listing { user, peer, chats } in listings {
        let name = || format!("{user}'s conversation with {peer}");
        let stored = stored.remove(&(*user, *peer)).unwrap_or_default();
        let listed: BTreeSet<_> = chats.iter().copied().collect();
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
