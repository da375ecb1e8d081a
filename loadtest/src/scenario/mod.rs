//! What happens when: each scenario is a few sources of actions, drawn from the plan's seed.

mod churn;
mod requests;
mod storm;
mod writing;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::plan::{Plan, Scenario};

/// What happens at a person's first phone. These phones and people are the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Write {
        phone: u32,
        target: u32,
    },
    Leave {
        phone: u32,
    },
    Come {
        phone: u32,
    },
    /// Loses its socket and opens another at once.
    Reconnect {
        phone: u32,
    },
    /// Writes to the phone's group.
    WriteToGroup {
        phone: u32,
    },
    /// Leaves the phone's group, or comes back to it.
    Rove {
        phone: u32,
    },
    /// Recalls the chat that this phone was acknowledged last.
    Recall {
        phone: u32,
    },
    /// Deletes, for this phone's person, the chat that it was shown last.
    Delete {
        phone: u32,
    },
    /// Uploads a picture and sends it.
    SendPicture {
        phone: u32,
        target: u32,
    },
    /// Reads a page of a conversation's chats, or of the list of conversations.
    ReadHistory {
        phone: u32,
    },
    ReadConversations {
        phone: u32,
    },
}

/// A part of what happens, in the order of time.
trait Source {
    /// When the next one is, from the beginning of the script on. `None`: never again.
    fn next(&mut self, random: &mut SmallRng) -> Option<(Duration, Vec<Action>)>;
}

/// What the phones of one thread are to do, without end.
pub struct Script {
    random: SmallRng,
    sources: Vec<Box<dyn Source>>,
    /// What each source has next, the earliest first.
    upcoming: BinaryHeap<Reverse<(Duration, usize)>>,
    actions: Vec<Vec<Action>>,
}

impl Script {
    /// For the phones of one of the plan's threads.
    pub fn new(plan: &Plan, thread: usize) -> Self {
        let mut script = Self {
            random: SmallRng::seed_from_u64(plan.seed.wrapping_mul(31).wrapping_add(thread as u64)),
            sources: sources(plan, Part { plan, thread }),
            upcoming: BinaryHeap::new(),
            actions: Vec::new(),
        };
        for place in 0..script.sources.len() {
            script.actions.push(Vec::new());
            script.advance(place);
        }
        script
    }

    /// When the next actions are, from the beginning of the script on. `None`: never again.
    pub fn next_at(&self) -> Option<Duration> {
        self.upcoming.peek().map(|Reverse((at, _))| *at)
    }

    /// The next actions, which happen together.
    pub fn take(&mut self) -> Vec<Action> {
        let Some(Reverse((_, place))) = self.upcoming.pop() else { return Vec::new() };
        let actions = std::mem::take(&mut self.actions[place]);
        self.advance(place);
        actions
    }

    fn advance(&mut self, place: usize) {
        if let Some((at, actions)) = self.sources[place].next(&mut self.random) {
            self.upcoming.push(Reverse((at, place)));
            self.actions[place] = actions;
        }
    }
}

/// The phones of one thread.
#[derive(Clone, Copy)]
struct Part<'a> {
    plan: &'a Plan,
    thread: usize,
}

impl Part<'_> {
    /// Those of these whose phones are on the thread.
    fn phones(self, people: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let people = people.into_iter();
        people.filter(|phone| self.plan.thread_of(*phone) == self.thread).collect()
    }

    /// Those of these whose phones are on the thread, and their share of what happens at this rate.
    #[expect(clippy::cast_precision_loss, reason = "numbers of people")]
    fn share(self, people: impl IntoIterator<Item = u32>, rate: f64) -> (Vec<u32>, Arrivals) {
        let people: Vec<_> = people.into_iter().collect();
        let all = people.len().max(1) as f64;
        let own = self.phones(people);
        let arrivals = Arrivals::at(rate * own.len() as f64 / all);
        (own, arrivals)
    }
}

fn sources(plan: &Plan, part: Part<'_>) -> Vec<Box<dyn Source>> {
    let all = 0..plan.users;
    match plan.scenario {
        Scenario::Chat => {
            vec![writing::pairs(part, all.clone()), writing::first_chats(part, all)]
        }
        Scenario::Inbox => vec![writing::inbox(part)],
        Scenario::Group => writing::groups(part),
        Scenario::Media => vec![writing::pictures(part, all)],
        Scenario::Idle => vec![],
        Scenario::Storm => {
            // Some stay, and write: what a storm costs those who are not in it.
            let staying = plan.staying();
            vec![
                writing::pairs(part, 0..staying),
                writing::first_chats(part, 0..staying),
                storm::storms(part.phones(staying..plan.users), plan.every()),
            ]
        }
        Scenario::Churn => vec![
            writing::pairs(part, all.clone()),
            churn::comings_and_goings(part.phones(all), plan.think()),
        ],
        Scenario::History => {
            vec![writing::pairs(part, all.clone()), requests::pages(part, all)]
        }
    }
}

/// The times of a Poisson process, or never if the rate is 0.
struct Arrivals {
    at: Duration,
    rate: f64,
}

impl Arrivals {
    fn at(rate: f64) -> Self {
        Self { at: Duration::ZERO, rate }
    }

    fn next(&mut self, random: &mut SmallRng) -> Option<Duration> {
        if self.rate <= 0.0 {
            return None;
        }
        self.at += exponential(random, 1.0 / self.rate);
        Some(self.at)
    }
}

/// An exponentially distributed time with this mean, in seconds.
fn exponential(random: &mut SmallRng, mean: f64) -> Duration {
    // 1 - [0, 1) is never 0.
    Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() * mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scenario: Scenario) -> Plan {
        Plan { scenario, users: 100, rate: 500.0, threads: 2, warm_up_secs: 0.0, ..Plan::default() }
    }

    /// What the script of each thread says in this many seconds.
    fn actions(plan: &Plan, secs: u64) -> Vec<(Duration, Action)> {
        let mut all = Vec::new();
        for thread in 0..plan.threads {
            let mut script = Script::new(plan, thread);
            while let Some(at) = script.next_at().filter(|at| at.as_secs() < secs) {
                all.extend(script.take().into_iter().map(|action| (at, action)));
            }
        }
        all
    }

    #[test]
    fn the_same_seed_makes_the_same_load_and_another_one_another() {
        let plan = plan(Scenario::Churn);
        assert_eq!(actions(&plan, 3), actions(&plan, 3));
        assert_ne!(actions(&plan, 3), actions(&Plan { seed: 8, ..plan.clone() }, 3));
    }

    #[test]
    fn pairs_write_to_each_other_at_the_rate() {
        let actions = actions(&plan(Scenario::Chat), 10);
        assert!((4_700..5_300).contains(&actions.len()), "{}", actions.len());
        assert!(actions.iter().all(|(_, action)| matches!(
            action,
            Action::Write { phone, target } if phone ^ 1 == *target
        )));
    }

    #[test]
    fn everybody_has_written_once_after_half_the_warm_up() {
        let plan = Plan { warm_up_secs: 4.0, rate: 0.0, ..plan(Scenario::Chat) };
        let mut writers: Vec<_> = actions(&plan, 2)
            .into_iter()
            .map(|(_, action)| match action {
                Action::Write { phone, target } if phone ^ 1 == target => phone,
                _ => unreachable!("{action:?}"),
            })
            .collect();
        writers.sort_unstable();
        assert_eq!(writers, (0..100).collect::<Vec<_>>());
        assert_eq!(actions(&plan, 60).len(), 100);
    }

    #[test]
    fn an_inbox_has_one_receiver() {
        let actions = actions(&plan(Scenario::Inbox), 2);
        assert!(actions.len() > 800);
        assert!(
            actions
                .iter()
                .all(|(_, action)| matches!(action, Action::Write { phone: 1.., target: 0 }))
        );
    }

    #[test]
    fn in_a_storm_some_stay_and_write() {
        let plan = Plan { every_secs: 2.0, ..plan(Scenario::Storm) };
        let actions = actions(&plan, 5);
        let storms: Vec<_> = actions
            .iter()
            .filter_map(|(at, action)| match action {
                Action::Reconnect { phone } => Some((*at, *phone)),
                Action::Write { phone, .. } => (*phone >= 10).then(|| unreachable!("{phone}")),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(storms.len(), 2 * 90);
        assert!(storms.iter().all(|(at, _)| at.as_secs() == 2 || at.as_secs() == 4));
    }

    #[test]
    fn who_leaves_comes_back() {
        let plan = Plan { think_secs: 1.0, ..plan(Scenario::Churn) };
        let mut away = std::collections::HashSet::new();
        let mut goings = 0;
        for (_, action) in actions(&plan, 10) {
            match action {
                Action::Leave { phone } => assert!(away.insert(phone)),
                Action::Come { phone } => assert!(away.remove(&phone)),
                _ => continue,
            }
            goings += 1;
        }
        assert!((700..1_300).contains(&goings), "{goings}");
    }

    #[test]
    fn in_groups_some_write_and_others_come_and_go() {
        let plan = Plan { group_size: 50, changes: 0.3, ..plan(Scenario::Group) };
        let (mut writes, mut changes) = (0, [0; 3]);
        for (_, action) in actions(&plan, 10) {
            match action {
                Action::WriteToGroup { phone } => {
                    writes += 1;
                    assert!(!plan.roves(phone), "{phone}");
                }
                Action::Rove { phone } => {
                    changes[0] += 1;
                    assert!((45..50).contains(&phone) || phone >= 95, "{phone}");
                }
                Action::Recall { .. } => changes[1] += 1,
                Action::Delete { .. } => changes[2] += 1,
                other => unreachable!("{other:?}"),
            }
        }
        assert!((4_700..5_300).contains(&writes), "{writes}");
        assert!(changes.iter().all(|count| (400..600).contains(count)), "{changes:?}");
        let none = Plan { changes: 0.0, ..plan };
        let is_write = |(_, action): &_| matches!(action, Action::WriteToGroup { .. });
        assert!(actions(&none, 2).iter().all(is_write));
    }

    #[test]
    fn pictures_are_sent_in_pairs() {
        let actions = actions(&Plan { rate: 20.0, ..plan(Scenario::Media) }, 10);
        assert!((140..260).contains(&actions.len()), "{}", actions.len());
        assert!(actions.iter().all(|(_, action)| matches!(
            action,
            Action::SendPicture { phone, target } if phone ^ 1 == *target
        )));
    }

    #[test]
    fn idle_phones_do_nothing() {
        assert!(actions(&plan(Scenario::Idle), 100).is_empty());
    }
}
