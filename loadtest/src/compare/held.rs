//! What holding a rate means.

use crate::{
    find_max::Found,
    outcome::{Outcome, Totals},
};

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

/// What the search for the most takes of a run.
#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn found(outcome: &Outcome) -> Found {
    let Totals { due, delivered, .. } = outcome.totals;
    Found {
        p99_ms: outcome.latencies.get("delivery").map(|latency| latency.p99),
        delivered: if due == 0 { 0.0 } else { delivered as f64 / due as f64 },
        is_good: outcome.is_good(),
    }
}
