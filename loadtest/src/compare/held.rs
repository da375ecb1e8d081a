//! What holding a rate means.

use crate::outcome::{Outcome, Totals};

/// Below this the 99th percentile of delivery has to be.
pub(super) const MOST_P99_MS: f64 = 100.0;
/// The least share of what was due that has to be delivered.
pub(super) const LEAST_DELIVERED: f64 = 1.0;

/// Whether a run shows that the server holds its rate; otherwise why not.
#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn judge(outcome: &Outcome, most_p99_ms: f64) -> Result<(), String> {
    let rate = outcome.plan.rate;
    if let Some(why) = outcome.invalid.first() {
        return Err(format!("at {rate:.0}/s the run is not valid: {why}"));
    }
    if !outcome.ledger.is_clean() {
        let classes: Vec<_> = outcome
            .ledger
            .problems
            .iter()
            .map(|(class, problem)| format!("{class:?} {}", problem.count).to_lowercase())
            .collect();
        return Err(format!("at {rate:.0}/s the ledger has: {}", classes.join(", ")));
    }
    let Totals { due, delivered, .. } = outcome.totals;
    if (delivered as f64) < LEAST_DELIVERED * due as f64 {
        return Err(format!("at {rate:.0}/s {delivered} of {due} were delivered"));
    }
    match outcome.latencies.get("delivery") {
        Some(latency) if latency.p99 <= most_p99_ms => Ok(()),
        Some(latency) => Err(format!("at {rate:.0}/s p99 was {:.0} ms", latency.p99)),
        None => Err(format!("at {rate:.0}/s nothing was delivered")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        find_max::Found,
        outcome::{Latency, Machine, VERSION},
        plan::Plan,
    };
    use phone::ledger::{Class, Verdict};

    fn outcome(due: u64, delivered: u64, p99: f64) -> Outcome {
        let latency = Latency { count: delivered, p99, ..Latency::default() };
        Outcome {
            version: VERSION,
            plan: Plan { rate: 100.0, ..Plan::default() },
            server: "ws-insert".into(),
            begun_at: String::new(),
            load_secs: 10.0,
            totals: Totals { due, delivered, ..Totals::default() },
            latencies: BTreeMap::from([("delivery".into(), latency)]),
            seconds: vec![],
            processes: vec![],
            machine: Machine::default(),
            faults: vec![],
            figures: BTreeMap::new(),
            ledger: Verdict::default(),
            invalid: vec![],
            remarks: vec![],
        }
    }

    #[test]
    fn a_rate_is_held_if_all_came_in_time() {
        assert_eq!(judge(&outcome(1_000, 1_000, 99.0), MOST_P99_MS), Ok(()));
        let why = |outcome: &Outcome| judge(outcome, MOST_P99_MS).unwrap_err();
        assert_eq!(why(&outcome(1_000, 1_000, 240.0)), "at 100/s p99 was 240 ms");
        assert_eq!(why(&outcome(1_000, 999, 9.0)), "at 100/s 999 of 1000 were delivered");
        let mut lost = outcome(1_000, 1_000, 9.0);
        lost.ledger.add(Class::Lost, || "one".into());
        assert_eq!(why(&lost), "at 100/s the ledger has: lost 1");
        let mut saturated = outcome(1_000, 1_000, 9.0);
        saturated.invalid.push("the generator is saturated".into());
        assert_eq!(why(&saturated), "at 100/s the run is not valid: the generator is saturated");
    }

    #[test]
    fn the_search_is_told_the_same() {
        let found = Found::of(&outcome(1_000, 750, 240.0));
        assert_eq!(found, Found { p99_ms: Some(240.0), delivered: 0.75, is_good: true });
    }
}
