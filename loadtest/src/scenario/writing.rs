//! People who write, at times that do not depend on the server.

use std::time::Duration;

use rand::{Rng, rngs::SmallRng};

use super::{Action, Arrivals, Part, Source};

struct Writing {
    arrivals: Arrivals,
    writers: Vec<u32>,
    target: fn(u32) -> u32,
}

impl Source for Writing {
    fn next(&mut self, random: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        let at = self.arrivals.next(random)?;
        let phone = self.writers[random.random_range(0..self.writers.len())];
        Some((at, vec![Action::Write { phone, target: (self.target)(phone) }]))
    }
}

/// Neighbours write to each other: 0 and 1, 2 and 3, and so on. Phones are dealt out to the targets one by
/// one, so the two of a pair are at different ones. The range is of an even number of people.
pub(super) fn pairs(part: Part<'_>, people: std::ops::Range<u32>) -> Box<dyn Source> {
    writing(part, people, |phone| phone ^ 1)
}

/// All others write to the first.
pub(super) fn inbox(part: Part<'_>) -> Box<dyn Source> {
    writing(part, 1..part.plan.users, |_| 0)
}

fn writing(
    part: Part<'_>,
    people: std::ops::Range<u32>,
    target: fn(u32) -> u32,
) -> Box<dyn Source> {
    let all = people.len();
    let writers = part.phones(people);
    #[expect(clippy::cast_precision_loss, reason = "numbers of people")]
    let share = if all == 0 { 0.0 } else { writers.len() as f64 / all as f64 };
    Box::new(Writing { arrivals: Arrivals::at(part.plan.rate * share), writers, target })
}
