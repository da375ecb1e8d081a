//! How long it took after a fault until all was as before, as the phones saw it.

use std::sync::OnceLock;

use crate::clock::Moment;

/// A wait shorter than this is none of the fault's: 500 ms.
const PATIENCE_NANOS: u64 = 500_000_000;

/// When faults were made, in the order in which they were planned. Phones of all threads read it without
/// locks.
#[derive(Debug, Default)]
pub struct FaultMoments(Vec<OnceLock<Moment>>);

impl FaultMoments {
    /// For so many faults.
    pub fn new(faults: usize) -> Self {
        Self((0..faults).map(|_| OnceLock::new()).collect())
    }

    /// The next fault is made now. The first moment counts.
    pub fn made(&self, fault: usize, at: Moment) {
        if let Some(moment) = self.0.get(fault) {
            let _ = moment.set(at);
        }
    }

    fn get(&self, fault: usize) -> Option<Moment> {
        self.0.get(fault)?.get().copied()
    }
}

/// A chat that was the first after a fault.
#[derive(Clone, Copy, Debug)]
struct First {
    due: Moment,
    /// When it was acknowledged or shown.
    heard: Moment,
}

/// What one phone saw of the recoveries. By fault: they come one after another, so what was written after
/// one was written after all before it.
#[derive(Debug, Default)]
pub struct Recovery {
    sending: Vec<First>,
    delivering: Vec<First>,
    last_due: Moment,
}

impl Recovery {
    /// The phone has a chat to send that was due then.
    pub fn wrote(&mut self, due: Moment) {
        self.last_due = self.last_due.max(due);
    }

    /// A chat of its own was acknowledged.
    pub fn acknowledged(&mut self, faults: &FaultMoments, due: Moment, now: Moment) {
        note(&mut self.sending, faults, First { due, heard: now });
    }

    /// It was shown a chat of somebody else.
    pub fn shown(&mut self, faults: &FaultMoments, due: Moment, now: Moment) {
        note(&mut self.delivering, faults, First { due, heard: now });
    }
}

fn note(firsts: &mut Vec<First>, faults: &FaultMoments, first: First) {
    while faults.get(firsts.len()).is_some_and(|at| first.due >= at) {
        firsts.push(first);
    }
}

/// From a fault on, in seconds: until every phone had been acknowledged something that it wrote after it,
/// and shown something that somebody wrote after it. `None`: nobody was, or somebody never was
/// acknowledged.
///
/// A phone that writes again only later says nothing of the time before: if its chat went through in less
/// than half a second, just that counts.
pub fn recovered(
    faults: &FaultMoments,
    fault: usize,
    phones: &[Recovery],
) -> (Option<f64>, Option<f64>) {
    let Some(at) = faults.get(fault) else { return (None, None) };
    let waits = |phone: &[First]| phone.get(fault).map(|first| wait(*first, at));
    let is_waiting =
        phones.iter().any(|phone| phone.last_due >= at && phone.sending.len() <= fault);
    let sending = phones.iter().filter_map(|phone| waits(&phone.sending)).reduce(f64::max);
    let delivering = phones.iter().filter_map(|phone| waits(&phone.delivering)).reduce(f64::max);
    (sending.filter(|_| !is_waiting), delivering)
}

fn wait(first: First, at: Moment) -> f64 {
    let wait = first.heard.since(first.due);
    let is_none_of_it = wait.as_nanos() < u128::from(PATIENCE_NANOS);
    if is_none_of_it { wait.as_secs_f64() } else { first.heard.since(at).as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Moment {
        Moment(millis * 1_000_000)
    }

    fn phone(faults: &FaultMoments, chats: &[(u64, Option<u64>)]) -> Recovery {
        let mut recovery = Recovery::default();
        for (due, heard) in chats {
            recovery.wrote(ms(*due));
            if let Some(heard) = heard {
                recovery.acknowledged(faults, ms(*due), ms(*heard));
                recovery.shown(faults, ms(*due), ms(*heard));
            }
        }
        recovery
    }

    #[test]
    fn the_last_phone_that_waited_says_when_it_was_over() {
        let faults = FaultMoments::new(3);
        faults.made(0, ms(1_000));
        faults.made(1, ms(20_000));
        let phones = [
            // What was written before does not count.
            phone(&faults, &[(900, Some(9_000)), (1_100, Some(1_110)), (20_500, Some(20_520))]),
            phone(&faults, &[(1_200, Some(3_500)), (20_001, Some(20_031))]),
            // It wrote when all was over.
            phone(&faults, &[(15_000, Some(15_004)), (30_000, Some(30_005))]),
            phone(&faults, &[]),
        ];
        assert_eq!(recovered(&faults, 0, &phones), (Some(2.5), Some(2.5)));
        assert_eq!(recovered(&faults, 1, &phones), (Some(0.03), Some(0.03)));
        assert_eq!(recovered(&faults, 2, &phones), (None, None), "it was not made");
    }

    #[test]
    fn who_waits_to_the_end_has_not_recovered() {
        let faults = FaultMoments::new(1);
        faults.made(0, ms(1_000));
        let phones = [
            phone(&faults, &[(1_100, Some(1_110))]),
            phone(&faults, &[(500, Some(510)), (1_100, None)]),
        ];
        assert_eq!(recovered(&faults, 0, &phones).0, None);
        // One chat may tell of several faults.
        let faults = FaultMoments::new(2);
        faults.made(0, ms(1_000));
        faults.made(1, ms(2_000));
        let phones = [phone(&faults, &[(3_000, Some(7_000))])];
        assert_eq!(recovered(&faults, 0, &phones).0, Some(6.0));
        assert_eq!(recovered(&faults, 1, &phones).0, Some(5.0));
    }
}
