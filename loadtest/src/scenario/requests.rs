//! People who look at what was said.

use std::time::Duration;

use rand::{Rng, rngs::SmallRng};

use super::{Action, Arrivals, Part, Source};

struct Pages {
    arrivals: Arrivals,
    phones: Vec<u32>,
}

impl Source for Pages {
    fn next(&mut self, random: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        let at = self.arrivals.next(random)?;
        let phone = self.phones[random.random_range(0..self.phones.len())];
        // Opening the app is a list; opening a chat in it, and going back in it, are pages.
        let action = if random.random_ratio(1, 3) {
            Action::ReadConversations { phone }
        } else {
            Action::ReadHistory { phone }
        };
        Some((at, vec![action]))
    }
}

/// As many requests as chats.
pub(super) fn pages(part: Part<'_>, people: std::ops::Range<u32>) -> Box<dyn Source> {
    let (phones, arrivals) = part.share(people, part.plan.rate);
    Box::new(Pages { arrivals, phones })
}
