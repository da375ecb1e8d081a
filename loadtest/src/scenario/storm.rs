//! All reconnect at once.

use std::time::Duration;

use rand::rngs::SmallRng;

use super::{Action, Source};

struct Storms {
    phones: Vec<u32>,
    every: Duration,
    at: Duration,
}

impl Source for Storms {
    fn next(&mut self, _: &mut SmallRng) -> Option<(Duration, Vec<Action>)> {
        self.at += self.every;
        let actions = self.phones.iter().map(|phone| Action::Reconnect { phone: *phone });
        (!self.every.is_zero()).then(|| (self.at, actions.collect()))
    }
}

/// These phones lose their sockets, all at the same moments.
pub(super) fn storms(phones: Vec<u32>, every: Duration) -> Box<dyn Source> {
    Box::new(Storms { phones, every, at: Duration::ZERO })
}
