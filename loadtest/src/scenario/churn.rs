//! Phones that come and go, each for itself.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::rngs::SmallRng;

use super::{Action, Source, exponential};

struct Churn {
    mean_secs: f64,
    phones: Vec<u32>,
    /// When each changes next; `true`: it is here.
    changes: BinaryHeap<Reverse<(Duration, u32, bool)>>,
}

impl Source for Churn {
    fn next(&mut self, random: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        for phone in self.phones.drain(..) {
            let at = exponential(random, self.mean_secs);
            self.changes.push(Reverse((at, phone, true)));
        }
        let Reverse((at, phone, is_here)) = self.changes.pop()?;
        let then = at + exponential(random, self.mean_secs);
        self.changes.push(Reverse((then, phone, !is_here)));
        let action = if is_here { Action::Leave { phone } } else { Action::Come { phone } };
        Some((at, vec![action]))
    }
}

/// All are here at first; each stays, and stays away, for times with this mean.
pub(super) fn comings_and_goings(phones: Vec<u32>, mean: Duration) -> Box<dyn Source> {
    Box::new(Churn { mean_secs: mean.as_secs_f64(), phones, changes: BinaryHeap::new() })
}
