//! People who do one thing again and again, at times that do not depend on the server.

use std::{ops::Range, time::Duration, vec};

use rand::{Rng, rngs::SmallRng};

use super::{Action, Arrivals, Part, Source};

struct Writing {
    arrivals: Arrivals,
    people: Vec<u32>,
    action: fn(u32) -> Action,
}

impl Source for Writing {
    fn next(&mut self, random: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        let at = self.arrivals.next(random)?;
        let phone = self.people[random.random_range(0..self.people.len())];
        Some((at, vec![(self.action)(phone)]))
    }
}

struct FirstChats {
    people: vec::IntoIter<u32>,
    apart: Duration,
}

impl Source for FirstChats {
    fn next(&mut self, _: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        let phone = self.people.next()?;
        Some((self.apart * phone, vec![Action::Write { phone, target: phone ^ 1 }]))
    }
}

/// Neighbours write to each other: 0 and 1, 2 and 3, and so on. Phones are dealt out to the targets one by
/// one, so the two of a pair are at different ones. The range is of an even number of people.
pub(super) fn pairs(part: Part<'_>, people: Range<u32>) -> Box<dyn Source> {
    writing(part, people, part.plan.rate, |phone| Action::Write { phone, target: phone ^ 1 })
}

/// In the first half of the warm-up, if there is one, everybody writes once to the neighbour: the first chat of two people
/// costs a server several times what others do, and is not what a rate is about.
pub(super) fn first_chats(part: Part<'_>, people: Range<u32>) -> Box<dyn Source> {
    let apart = part.plan.warm_up() / 2 / (people.end - people.start).max(1);
    let people = if apart.is_zero() { Vec::new() } else { part.phones(people) };
    Box::new(FirstChats { people: people.into_iter(), apart })
}

/// All others write to the first.
pub(super) fn inbox(part: Part<'_>) -> Box<dyn Source> {
    let others = 1..part.plan.users;
    writing(part, others, part.plan.rate, |phone| Action::Write { phone, target: 0 })
}

/// Neighbours send each other pictures.
pub(super) fn pictures(part: Part<'_>, people: Range<u32>) -> Box<dyn Source> {
    writing(part, people, part.plan.rate, |phone| Action::SendPicture { phone, target: phone ^ 1 })
}

/// In each group those who stay write, recall and delete, and the others come and go. The three changes are
/// equally frequent.
pub(super) fn groups(part: Part<'_>) -> Vec<Box<dyn Source>> {
    let plan = part.plan;
    let stayers = || (0..plan.users).filter(|person| !plan.roves(*person));
    let rovers = (0..plan.users).filter(|person| plan.roves(*person));
    let changes = plan.rate * plan.changes / 3.0;
    vec![
        writing(part, stayers(), plan.rate, |phone| Action::WriteToGroup { phone }),
        writing(part, rovers, changes, |phone| Action::Rove { phone }),
        writing(part, stayers(), changes, |phone| Action::Recall { phone }),
        writing(part, stayers(), changes, |phone| Action::Delete { phone }),
    ]
}

/// These people together, at this rate.
fn writing(
    part: Part<'_>,
    people: impl IntoIterator<Item = u32>,
    rate: f64,
    action: fn(u32) -> Action,
) -> Box<dyn Source> {
    let (people, arrivals) = part.share(people, rate);
    Box::new(Writing { arrivals, people, action })
}
