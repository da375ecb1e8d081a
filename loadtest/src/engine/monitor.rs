//! Looks at all threads once a second.

use std::sync::Arc;

use crate::{
    clock::{Clock, Moment},
    measure::{Meter, times},
    outcome::{Second, Totals},
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

    /// From `from` to the last moment before `until` at which a chat came, to whom it was meant for or as
    /// an acknowledgement, that was late: in seconds, first of acknowledgements and then of deliveries.
    pub(super) fn recovery(&self, from: Moment, until: Moment) -> (f64, f64) {
        let last = |late: &[Moment]| {
            let last = late.iter().rev().find(|at| (from..until).contains(at));
            last.map_or(0.0, |at| at.since(from).as_secs_f64())
        };
        (last(&self.late_acknowledgements), last(&self.late_deliveries))
    }
}

/// A moment in seconds since the load began.
pub(super) fn relative(at: Moment, load_from: Moment) -> f64 {
    at.since(load_from).as_secs_f64() - load_from.since(at).as_secs_f64()
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
