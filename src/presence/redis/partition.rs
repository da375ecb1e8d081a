//! How users are spread over partitions, and partitions over Redis instances.

use crate::domain::UserId;

/// A part of the users, whose keys one script may touch together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(usize);

impl Partition {
    /// How many there are, whatever the number of instances.
    pub const COUNT: usize = 64;

    /// The partition of a user. Ids are given out in sequence, so that the remainder spreads them
    /// evenly.
    pub fn of(user: UserId) -> Self {
        Self(usize::try_from(user.get()).unwrap_or_default() % Self::COUNT)
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number, from 0.
    pub const fn index(self) -> usize {
        self.0
    }

    /// Which of so many instances keeps it. The same on every replica and after every restart; one
    /// more instance at the end of the list takes partitions from each, and moves no other.
    pub fn instance(self, instances: usize) -> usize {
        let weight = |instance: usize| mix(((self.0 as u64) << 32) | instance as u64);
        (0..instances).max_by_key(|instance| weight(*instance)).unwrap_or_default()
    }

    /// The prefix of its keys. The hash tag keeps them on one node.
    pub(super) fn prefix(self, namespace: &str) -> String {
        format!("{namespace}:presence:{{{}}}", self.0)
    }

    /// The key of its last transitions.
    pub(super) fn log(self, namespace: &str) -> String {
        format!("{}:log", self.prefix(namespace))
    }

    /// The channel of its transitions.
    pub(super) fn channel(self, namespace: &str) -> String {
        format!("{}:transitions", self.prefix(namespace))
    }
}

/// The finalizer of `SplitMix64`: written out, because it must never change.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(count: usize) -> Vec<usize> {
        Partition::all().map(|partition| partition.instance(count)).collect()
    }

    #[test]
    fn partitions_are_spread_over_instances_and_stay_there() {
        assert_eq!(instances(1), [0; Partition::COUNT]);
        let three = instances(3);
        for instance in 0..3 {
            let share = three.iter().filter(|kept_by| **kept_by == instance).count();
            assert!((12..=32).contains(&share), "instance {instance} keeps {share}");
        }
        for (before, after) in three.iter().zip(instances(4)) {
            assert!(after == *before || after == 3);
        }
        assert_eq!(three[..8], [0, 0, 0, 1, 0, 0, 1, 0], "replicas of two versions must agree");
    }

    #[test]
    fn users_are_spread_over_partitions() {
        assert_eq!(Partition::of(UserId::new(1_000_007).unwrap()).index(), 1_000_007 % 64);
        assert_eq!(Partition::all().last(), Some(Partition(63)));
        assert_eq!(Partition(7).channel("im"), "im:presence:{7}:transitions");
    }
}
