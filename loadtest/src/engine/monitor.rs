//! Looks at all threads once a second.

use std::{sync::Arc, time::Duration};

use phone::clock::{Clock, Moment};

use crate::{
    measure::{Meter, times},
    outcome::{Fault, Second, Totals},
};

/// What it saw so far.
pub(super) struct Monitor {
    meters: Vec<Arc<Meter>>,
    clock: Clock,
    /// The beginning of each second as a moment; the load's beginning is known later only.
    seconds: Vec<(Moment, Second)>,
    last_look: Moment,
    late_acknowledgements: Vec<Moment>,
    late_deliveries: Vec<Moment>,
}

impl Monitor {
    pub(super) fn new(meters: Vec<Arc<Meter>>, clock: Clock) -> Self {
        Self {
            meters,
            clock,
            seconds: Vec::new(),
            last_look: clock.now(),
            late_acknowledgements: Vec::new(),
            late_deliveries: Vec::new(),
        }
    }

    /// What happened since the last look, and when that was.
    pub(super) fn look(&mut self) -> (Moment, Second) {
        let (mut recent, mut delivery) = (Totals::default(), times());
        let mut second = Second::default();
        for meter in &self.meters {
            meter.with(|counts| {
                add(&mut recent, &std::mem::take(&mut counts.recent));
                // The bounds are the same.
                let _ = delivery.add(&counts.recent_delivery);
                counts.recent_delivery.reset();
                second.connected += counts.connected;
                second.in_flight += counts.in_flight;
                self.late_acknowledgements.extend(counts.late_acknowledgement.take());
                self.late_deliveries.extend(counts.late_delivery.take());
            });
        }
        second.due = recent.due;
        second.sent = recent.sent;
        second.acknowledged = recent.acknowledged;
        second.delivered = recent.delivered;
        second.errors = recent.errors;
        if !delivery.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let millis = |micros: u64| Some(micros as f64 / 1_000.0);
            second.p50 = millis(delivery.value_at_quantile(0.5));
            second.p99 = millis(delivery.value_at_quantile(0.99));
            second.max = millis(delivery.max());
        }
        let begun = std::mem::replace(&mut self.last_look, self.clock.now());
        self.seconds.push((begun, second));
        (begun, second)
    }

    /// All seconds, as a run shows them whose load began then.
    pub(super) fn seconds(&self, load_from: Moment) -> Vec<Second> {
        self.seconds
            .iter()
            .map(|(at, second)| Second { at: relative(*at, load_from), ..*second })
            .collect()
    }

    /// Says of each fault how long it was felt, as [`Fault`] has it. `is_settled`: in the end all was
    /// acknowledged and shown.
    pub(super) fn add_recoveries(&self, faults: &mut [Fault], load_from: Moment, is_settled: bool) {
        for place in 0..faults.len() {
            let next = faults.get(place + 1).map(|next| absolute(next.at, load_from));
            let from = absolute(faults[place].at, load_from);
            let until = next.unwrap_or(Moment::NEVER);
            let felt = |late: &[Moment]| {
                let last = late.iter().filter(|at| (from..until).contains(at)).max();
                let secs = last.map_or(0.0, |at| at.since(from).as_secs_f64());
                (is_settled || next.is_some()).then_some(secs)
            };
            faults[place].sending_after_secs = felt(&self.late_acknowledgements);
            faults[place].delivering_after_secs = felt(&self.late_deliveries);
        }
    }
}

/// A moment in seconds since the load began.
pub(super) fn relative(at: Moment, load_from: Moment) -> f64 {
    at.since(load_from).as_secs_f64() - load_from.since(at).as_secs_f64()
}

fn absolute(secs: f64, load_from: Moment) -> Moment {
    load_from.after(Duration::from_secs_f64(secs.max(0.0)))
}

pub(super) fn add(sum: &mut Totals, more: &Totals) {
    let Totals { due, sent, acknowledged, delivered, errors, connects, failed_connects, requests } =
        more;
    sum.due += due;
    sum.sent += sent;
    sum.acknowledged += acknowledged;
    sum.delivered += delivered;
    sum.errors += errors;
    sum.connects += connects;
    sum.failed_connects += failed_connects;
    sum.requests += requests;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_felt_until_the_last_late_chat_before_the_next_one() {
        let secs = |secs: u64| Moment(secs * 1_000_000_000);
        let mut monitor = Monitor::new(Vec::new(), Clock::start());
        monitor.late_acknowledgements = vec![secs(11), secs(13), secs(12), secs(25)];
        monitor.late_deliveries = vec![secs(14)];
        let fault = |at| Fault {
            what: "kill redis".to_owned(),
            at,
            until: at,
            sending_after_secs: None,
            delivering_after_secs: None,
        };
        let mut faults = [fault(0.0), fault(10.0), fault(20.0)];
        monitor.add_recoveries(&mut faults, secs(10), true);
        let felt =
            faults.clone().map(|fault| (fault.sending_after_secs, fault.delivering_after_secs));
        assert_eq!(felt[0], (Some(3.0), Some(4.0)));
        assert_eq!(felt[1], (Some(5.0), Some(0.0)));
        monitor.add_recoveries(&mut faults, secs(10), false);
        assert_eq!((faults[0].sending_after_secs, faults[2].sending_after_secs), (Some(3.0), None));
    }
}
