//! Who was a member of which group when.
//!
//! Ids rise within a conversation in the order of the commits, and a join or leave is a line with an id among
//! those of the chats. So a member has what is between two lines, both included.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::{
    changes::{Change, Changes},
    timeline::Timeline,
    verdict::{Class, Verdict},
};
use crate::wire::Line;

/// From which id to which somebody is a member.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// The line of the join. [`i64::MIN`] for those who were there before.
    from: i64,
    /// The line of the leave. [`i64::MAX`] for those who stay.
    to: i64,
}

/// The members of all groups of a load.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    /// By group and user. In order, so that the first cases told are always the same.
    stretches: BTreeMap<(i64, i64), Vec<Stretch>>,
    /// By id, of the groups of the load.
    lines: BTreeMap<i64, &'a Line>,
}

impl<'a> Members<'a> {
    /// From the lines that any timeline has.
    pub(super) fn read(
        changes: &Changes,
        timelines: &'a [Timeline],
        verdict: &mut Verdict,
    ) -> Self {
        let mut members = Self::default();
        let first = Stretch { from: i64::MIN, to: i64::MAX };
        let mut sizes = HashMap::new();
        for group in &changes.groups {
            sizes.insert(group.id, group.members.len());
            let users = group.members.iter();
            members.stretches.extend(users.map(|user| ((group.id, *user), vec![first])));
        }
        for timeline in timelines {
            for line in timeline.lines.iter().filter(|line| sizes.contains_key(&line.group)) {
                match members.lines.entry(line.id) {
                    Entry::Vacant(entry) => {
                        entry.insert(line);
                    }
                    Entry::Occupied(entry) if *entry.get() != line => {
                        let user = timeline.user;
                        verdict.add(Class::Foreign, || format!("{user} has another {line:?}"));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        // By group and user: how many lines say that the user joined, and that the user left.
        let mut told: BTreeMap<(i64, i64), [u32; 2]> = BTreeMap::new();
        for line in members.lines.values() {
            // The line with which the group began names all.
            let is_first = sizes[&line.group] == line.joined.len();
            for user in &line.joined {
                let stretches = members.stretches.entry((line.group, *user)).or_default();
                match stretches.last_mut() {
                    Some(open) if is_first && open.from == i64::MIN => open.from = line.id,
                    Some(Stretch { to: i64::MAX, .. }) => verdict.add(Class::Doubled, || {
                        format!("{user} joins {} again by {}", line.group, line.id)
                    }),
                    _ => {
                        stretches.push(Stretch { from: line.id, to: i64::MAX });
                        told.entry((line.group, *user)).or_default()[0] += 1;
                    }
                }
            }
            for user in &line.left {
                told.entry((line.group, *user)).or_default()[1] += 1;
                let stretches = members.stretches.get_mut(&(line.group, *user));
                match stretches.and_then(|stretches| stretches.last_mut()) {
                    Some(open) if open.to == i64::MAX => open.to = line.id,
                    _ => verdict.add(Class::Doubled, || {
                        format!("{user} leaves {} without being there, by {}", line.group, line.id)
                    }),
                }
            }
        }
        compare_asked(changes, &told, verdict);
        members
    }

    /// Whether the user was a member when this was committed.
    pub(super) fn has(&self, group: i64, user: i64, id: i64) -> bool {
        let mut stretches = self.stretches.get(&(group, user)).into_iter().flatten();
        stretches.any(|stretch| (stretch.from..=stretch.to).contains(&id))
    }

    /// Whether what comes right after this id is told to the user.
    pub(super) fn has_after(&self, group: i64, user: i64, id: i64) -> bool {
        let mut stretches = self.stretches.get(&(group, user)).into_iter().flatten();
        stretches.any(|stretch| (stretch.from..stretch.to).contains(&id))
    }

    /// Whether the user was a member all the time.
    pub(super) fn stayed(&self, group: i64, user: i64) -> bool {
        let stretches = self.stretches.get(&(group, user)).map(Vec::as_slice);
        matches!(stretches, Some([Stretch { to: i64::MAX, .. }]))
    }

    /// All who were ever members of a group.
    pub(super) fn ever_in(&self, group: i64) -> impl Iterator<Item = i64> {
        self.stretches.range((group, i64::MIN)..=(group, i64::MAX)).map(|((_, user), _)| *user)
    }

    /// The group of a line, if it is one of the load.
    pub(super) fn group_of_line(&self, id: i64) -> Option<i64> {
        self.lines.get(&id).map(|line| line.group)
    }
}

/// What was asked for is told by a line each, if it was done, and nothing else is.
fn compare_asked(changes: &Changes, told: &BTreeMap<(i64, i64), [u32; 2]>, verdict: &mut Verdict) {
    // By group and user: how many joins and leaves were done at least, and at most.
    let mut asked: HashMap<(i64, i64), [[u32; 2]; 2]> = HashMap::new();
    for asking in &changes.asked {
        let (place, which) = match asking.change {
            Change::Join { group, user } => ((group, user), 0),
            Change::Leave { group, user } => ((group, user), 1),
            Change::Recall { .. } | Change::Delete { .. } => continue,
        };
        let [least, most] = &mut asked.entry(place).or_default()[which];
        *least += u32::from(asking.is_done);
        *most += 1;
    }
    let mut places: Vec<_> = asked.keys().chain(told.keys()).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let (asked, told) = (asked.get(place), told.get(place).copied().unwrap_or_default());
        for (which, word) in ["joins", "leaves"].into_iter().enumerate() {
            let [least, most] = asked.map_or([0, 0], |asked| asked[which]);
            let (group, user) = place;
            let case =
                || format!("{user} {word} {group} {} times, asked {least} to {most}", told[which]);
            if told[which] > most {
                verdict.add(Class::Doubled, case);
            } else if told[which] < least {
                verdict.add(Class::Unstored, case);
            }
        }
    }
}
