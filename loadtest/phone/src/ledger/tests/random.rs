//! Random loads without a fault are clean, and one fault that is planted in them is found.

use proptest::prelude::*;

use super::world::{Act, Fate, RUN, Recording, World};
use crate::ledger::{Class, Seen, Words};

/// A fault that is planted.
#[derive(Clone, Copy, Debug)]
enum Fault {
    NeverAnswered,
    AnsweredAsTwo,
    AnsweredToAnother,
    NotShown,
    ShownTwice,
    ShownInOtherOrder,
    ShownToAnother,
    ShownChanged,
    ShownWithOtherKey,
    NotStored,
    StoredWithOtherId,
    StoredTwice,
    StoredForAnother,
    NumberPassedOver,
}

const FAULTS: [Fault; 14] = [
    Fault::NeverAnswered,
    Fault::AnsweredAsTwo,
    Fault::AnsweredToAnother,
    Fault::NotShown,
    Fault::ShownTwice,
    Fault::ShownInOtherOrder,
    Fault::ShownToAnother,
    Fault::ShownChanged,
    Fault::ShownWithOtherKey,
    Fault::NotStored,
    Fault::StoredWithOtherId,
    Fault::StoredTwice,
    Fault::StoredForAnother,
    Fault::NumberPassedOver,
];

impl Fault {
    /// The class that it is of, and those that may be found with it.
    fn classes(self) -> (Class, &'static [Class]) {
        match self {
            Self::NeverAnswered => (Class::Lost, &[]),
            // Nobody was shown the one that is stored again.
            Self::AnsweredAsTwo | Self::ShownTwice | Self::StoredTwice => (Class::Doubled, &[]),
            Self::AnsweredToAnother | Self::ShownToAnother | Self::StoredForAnother => {
                (Class::Foreign, &[])
            }
            Self::NotShown => (Class::Lost, &[Class::Gap]),
            Self::ShownInOtherOrder => (Class::Reordered, &[Class::Gap]),
            Self::ShownChanged | Self::ShownWithOtherKey => (Class::Foreign, &[Class::Lost]),
            Self::NotStored => (Class::Unstored, &[Class::Gap]),
            Self::StoredWithOtherId => (Class::Unstored, &[]),
            Self::NumberPassedOver => (Class::Gap, &[]),
        }
    }
}

impl Recording {
    /// Plants a fault; whether there is a place for it.
    fn plant(&mut self, fault: Fault, place: usize) -> bool {
        let of = |places: &[usize]| pick(places, place);
        self.try_plant(fault, place, of(&self.showings()), of(&self.answers())).is_some()
    }

    fn try_plant(
        &mut self,
        fault: Fault,
        place: usize,
        showing: Option<usize>,
        answer: Option<usize>,
    ) -> Option<()> {
        let stored = self.stored();
        let stored = pick(&stored, place);
        match fault {
            Fault::NeverAnswered => {
                let key = self.seen(answer?).2.key;
                self.acts
                    .retain(|(_, act)| !matches!(act, Act::Answer { seen, .. } if seen.key == key));
            }
            Fault::AnsweredAsTwo => {
                let (phone, seq, seen) = self.seen(answer?);
                let act = Act::Answer { seq, seen: Seen { id: seen.id + 1, ..seen } };
                self.acts.push((phone, act));
            }
            Fault::AnsweredToAnother => {
                let (phone, seq, seen) = self.seen(answer?);
                let other = (phone + 1) % self.phones.len();
                self.acts.push((other, Act::Answer { seq, seen }));
            }
            Fault::NotShown => {
                self.acts.remove(showing?);
            }
            Fault::ShownTwice => self.acts.insert(showing?, self.acts[showing?]),
            Fault::ShownInOtherOrder => self.exchange(showing?)?,
            Fault::ShownToAnother => {
                let (_, _, seen) = self.seen(showing?);
                let is_strange = |user: &i64| *user != seen.sender && *user != seen.target;
                let other = self.phones.iter().position(is_strange)?;
                let seq = self.next(self.phones[other]);
                self.acts.push((other, Act::Show { seq, seen }));
            }
            Fault::ShownChanged | Fault::ShownWithOtherKey => {
                let (_, Act::Show { seen, .. }) = &mut self.acts[showing?] else { return None };
                match (fault, seen.id / 10 % 3) {
                    (Fault::ShownWithOtherKey, _) => seen.key.number += 1_000_000,
                    (_, 0) => seen.words = Words::Changed,
                    (_, 1) => seen.sender += 1_000,
                    _ => seen.target += 1_000,
                }
            }
            Fault::NotStored => {
                let (user, at) = stored?;
                self.timelines[user].events.remove(at);
            }
            Fault::StoredWithOtherId => {
                let (user, at) = stored?;
                self.timelines[user].events[at].1.id += 1;
            }
            Fault::StoredTwice | Fault::StoredForAnother => {
                let (user, at) = stored?;
                let (_, mut seen) = self.timelines[user].events[at];
                seen.id = 1_000_000;
                let is_there = |user: i64| user == seen.sender || user == seen.target;
                let mut users = (0..).take(self.cursors.len());
                let user = match fault {
                    Fault::StoredTwice => i64::try_from(user).unwrap(),
                    _ => users.find(|user| !is_there(*user))?,
                };
                self.append(user, seen);
            }
            Fault::NumberPassedOver => self.pass_over(stored?)?,
        }
        Some(())
    }

    /// Exchanges this showing with the next one of the same phone, of which the order is known.
    fn exchange(&mut self, showing: usize) -> Option<()> {
        let (phone, _, seen) = self.seen(showing);
        let next = (showing + 1..self.acts.len())
            .find(|at| self.acts[*at].0 == phone && matches!(self.acts[*at].1, Act::Show { .. }))?;
        let other = self.seen(next).2;
        let is_same_pair = (other.sender, other.target) == (seen.sender, seen.target);
        let is_own = other.key.run == RUN;
        if !(self.has_numbers || is_own && is_same_pair) {
            return None;
        }
        self.acts.swap(showing, next);
        Some(())
    }

    /// Stores a chat, and shows it to all phones of the user.
    fn append(&mut self, user: i64, seen: Seen) {
        let seq = self.next(user);
        self.timelines[usize::try_from(user).unwrap()].events.push((seq, seen));
        for phone in (0..self.phones.len()).filter(|_| self.has_numbers) {
            if self.phones[phone] == user {
                self.acts.push((phone, Act::Show { seq, seen }));
            }
        }
    }

    /// A user's numbers from this event on are one higher, wherever they are said.
    fn pass_over(&mut self, (user, at): (usize, usize)) -> Option<()> {
        let from = self.timelines[user].events[at].0?;
        let user = i64::try_from(user).unwrap();
        let raise = |seq: &mut Option<i64>| *seq = seq.map(|seq| seq + i64::from(seq >= from));
        for (seq, _) in &mut self.timelines[usize::try_from(user).unwrap()].events {
            raise(seq);
        }
        for (phone, act) in &mut self.acts {
            if let Act::Show { seq, .. } | Act::Answer { seq, .. } = act
                && self.phones[*phone] == user
            {
                raise(seq);
            }
        }
        Some(())
    }
}

fn pick<T: Copy>(of: &[T], place: usize) -> Option<T> {
    of.get(place.checked_rem(of.len())?).copied()
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Well),
        3 => Just(Fate::AnswerLate),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::SendLost),
        1 => Just(Fate::Other),
    ]
}

prop_compose! {
    /// Two to four users with one phone each, and up to three further phones of theirs.
    fn recording()(
        has_numbers: bool,
        cursors in prop::collection::vec(0..50_i64, 2..5),
        further in prop::collection::vec(any::<usize>(), 0..4),
        steps in prop::collection::vec((any::<usize>(), any::<usize>(), fate()), 1..60),
    ) -> Recording {
        let users = i64::try_from(cursors.len()).unwrap();
        let further = further.iter().map(|user| i64::try_from(user % cursors.len()).unwrap());
        let mut world = World::new(has_numbers, (0..users).chain(further).collect(), cursors);
        for step in steps {
            world.step(step);
        }
        world.end()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a_load_without_fault_is_clean(recording in recording()) {
        let verdict = recording.judge();
        prop_assert!(verdict.is_clean(), "{verdict}");
    }

    #[test]
    fn a_fault_is_found_and_named(
        mut recording in recording(),
        fault in prop::sample::select(&FAULTS[..]),
        place: usize,
    ) {
        if recording.plant(fault, place) {
            let verdict = recording.judge();
            let (class, others) = fault.classes();
            prop_assert!(verdict.count(class) > 0, "{class:?} is not found: {verdict}");
            for other in Class::ALL {
                let may_be = other == class || others.contains(&other);
                prop_assert!(may_be || verdict.count(other) == 0, "{other:?} is not: {verdict}");
            }
        }
    }
}

/// Every fault finds its place in one busy load of either kind.
#[test]
fn every_fault_can_be_planted() {
    for has_numbers in [true, false] {
        for fault in FAULTS {
            let mut world = World::new(has_numbers, vec![0, 1, 2], vec![0, 5, 9]);
            // 0 writes to 1, again and again.
            for _ in 0..5 {
                world.step((0, 1, Fate::Well));
            }
            let mut recording = world.end();
            let is_planted = recording.plant(fault, 0);
            let needs_numbers = matches!(fault, Fault::NumberPassedOver);
            assert_eq!(is_planted, has_numbers || !needs_numbers, "{fault:?}");
        }
    }
}
