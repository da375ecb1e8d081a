//! Whether all members of a group have what was committed while they were there, and all who are concerned
//! were told what became of a chat.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    load::Load,
    stored::Stored,
    verdict::{Class, Verdict},
};
use crate::address;

/// What one member of a group has, or was acknowledged, all have who were members then.
pub(super) fn compare_members(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    let mut committed: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for ((group, _), ids) in &stored.of_groups {
        committed.entry(*group).or_default().extend(ids);
    }
    for book in load.books {
        for sent in &book.sent {
            if let (Some(group), Some((_, id))) =
                (address::group_of(sent.target), book.answer(sent))
            {
                committed.entry(group).or_default().insert(id);
            }
        }
    }
    for (group, ids) in committed {
        for user in load.members.ever_in(group).filter(|user| stored.has(*user)) {
            let has = stored.of_groups.get(&(group, user));
            for id in ids.iter().filter(|id| load.members.has(group, user, **id)) {
                if has.is_none_or(|has| !has.contains(id)) {
                    verdict.add(Class::Unstored, || {
                        format!("{user}'s timeline lacks id {id} of group {group}")
                    });
                }
            }
        }
    }
}

/// Who has a chat that was recalled, and is a member still, is told so once.
pub(super) fn compare_recalls(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    for (chat, is_done) in &load.recalls {
        if *is_done && !stored.recalls.contains_key(chat) {
            verdict.add(Class::Unstored, || format!("nobody is told that id {chat} is recalled"));
        }
    }
    for (chat, told) in &stored.recalls {
        let Some(origin) = load.changed(*chat).filter(|_| load.recalls.contains_key(chat)) else {
            verdict.add(Class::Foreign, || format!("nobody asked to recall id {chat}"));
            continue;
        };
        let after = told[0].1;
        if let Some((user, other)) = told.iter().find(|(_, other)| *other != after) {
            verdict.add(Class::Reordered, || {
                format!(
                    "{user} is told after {other} that id {chat} is recalled, others after {after}"
                )
            });
        }
        let target = origin.sent.target;
        let concerned: BTreeSet<i64> = match address::group_of(target) {
            Some(group) => {
                let is_there = |user: &i64| {
                    load.members.has_after(group, *user, after)
                        && load.members.has(group, *user, *chat)
                };
                load.members.ever_in(group).filter(is_there).collect()
            }
            None => [origin.book.user, target].into(),
        };
        let mut users: BTreeSet<i64> = BTreeSet::new();
        for (user, _) in told {
            if !concerned.contains(user) {
                verdict
                    .add(Class::Foreign, || format!("{user} is told that id {chat} is recalled"));
            } else if !users.insert(*user) {
                verdict.add(Class::Doubled, || {
                    format!("{user} is told again that id {chat} is recalled")
                });
            }
        }
        // To whoever has deleted it, it is gone and no more.
        let is_told =
            |user: &i64| users.contains(user) || load.deletions.contains_key(&(*user, *chat));
        for user in concerned.iter().filter(|user| stored.has(**user) && !is_told(user)) {
            verdict
                .add(Class::Unstored, || format!("{user} is not told that id {chat} is recalled"));
        }
    }
}

/// Who has deleted a chat has an event that says so, in place of the chat another, and one more if it was
/// recalled.
pub(super) fn compare_deletions(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    for ((user, chat), is_done) in &load.deletions {
        let told = stored.deletions.get(&(*user, *chat)).copied().unwrap_or_default();
        let case = || format!("{user} deleted id {chat}, of which {told} events say so");
        if told > 2 + u32::from(load.recalls.contains_key(chat)) {
            verdict.add(Class::Doubled, case);
        } else if *is_done && stored.has(*user) && told < 2 {
            verdict.add(Class::Unstored, case);
        }
    }
}
