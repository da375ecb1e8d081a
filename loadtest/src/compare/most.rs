//! The highest rate that a server holds: what holding means, and how it is searched for.

use crate::{comparison::Repeat, outcome::Outcome};

/// Below this the 99th percentile of delivery has to be.
pub(super) const MOST_P99_MS: f64 = 100.0;
/// The least share of what was due that has to be delivered.
const LEAST_DELIVERED: f64 = 0.995;
/// Above this the generator is the limit, whatever it says of itself.
const HIGHEST: f64 = 1_000_000.0;

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
    let (due, delivered) = (outcome.totals.due, outcome.totals.delivered);
    if (delivered as f64) < LEAST_DELIVERED * due as f64 {
        return Err(format!("at {rate:.0}/s {delivered} of {due} were delivered"));
    }
    match outcome.latencies.get("delivery") {
        Some(latency) if latency.p99 < most_p99_ms => Ok(()),
        Some(latency) => Err(format!("at {rate:.0}/s p99 was {:.0} ms", latency.p99)),
        None => Err(format!("at {rate:.0}/s nothing was delivered")),
    }
}

/// A rate that was tried.
pub(super) struct Trial {
    pub(super) repeat: Repeat,
    /// Why it was not held.
    pub(super) failure: Option<String>,
}

/// What a search found.
pub(super) struct Most {
    /// The highest rate that was held.
    pub(super) best: Option<Repeat>,
    /// Why the lowest that was not, was not.
    pub(super) why: String,
}

/// Doubles until a rate is not held, then halves the distance, in proportion, until it is below a step.
/// A rate that is not held is tried once more: it may have been the machine.
pub(super) struct Search {
    next: Option<f64>,
    step: f64,
    held: Option<Repeat>,
    failed: Option<f64>,
    is_second: bool,
    why: String,
}

impl Search {
    pub(super) fn new(from: f64, step: f64) -> Self {
        let why = String::new();
        Self { next: Some(from), step, held: None, failed: None, is_second: false, why }
    }

    /// The rate to try next.
    pub(super) fn next(&self) -> Option<f64> {
        self.next
    }

    pub(super) fn tried(&mut self, Trial { repeat, failure }: Trial) {
        let rate = repeat.value;
        match failure {
            Some(_) if !self.is_second => {
                self.is_second = true;
                return;
            }
            Some(why) => {
                self.failed = Some(rate);
                self.why = why;
            }
            None => self.held = Some(repeat),
        }
        self.is_second = false;
        let held = self.held.map(|held| held.value);
        self.next = match (held, self.failed) {
            (Some(held), Some(failed)) if failed / held <= self.step => None,
            (Some(held), Some(failed)) => Some(rounded((held * failed).sqrt(), held, failed)),
            (Some(held), None) => Some(held * 2.0).filter(|rate| *rate <= HIGHEST),
            (None, Some(failed)) => Some(failed / 2.0).filter(|rate| *rate >= 10.0),
            (None, None) => None,
        };
    }

    pub(super) fn end(self) -> Most {
        Most { best: self.held, why: self.why }
    }
}

/// Two digits, where that is still between the two.
fn rounded(rate: f64, above: f64, below: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 1.0);
    let round = (rate / unit).round() * unit;
    if round > above && round < below { round } else { rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a server that holds what `holds` says, and counts the trials.
    fn search(from: f64, mut holds: impl FnMut(f64) -> bool) -> (Option<f64>, Vec<f64>) {
        let mut search = Search::new(from, 1.15);
        let mut tried = Vec::new();
        while let Some(rate) = search.next() {
            tried.push(rate);
            let failure = (!holds(rate)).then(|| format!("{rate}"));
            search.tried(Trial { repeat: Repeat { value: rate, others_cores: 0.0 }, failure });
        }
        (search.end().best.map(|best| best.value), tried)
    }

    #[test]
    fn the_most_is_found_to_a_step() {
        for most in [300.0, 1_000.0, 1_700.0, 3_333.0, 25_000.0] {
            let (found, tried) = search(1_000.0, |rate| rate <= most);
            let found = found.unwrap();
            assert!(found <= most && found * 1.15 >= most, "{most}: {found}");
            assert!(tried.len() < 20, "{most}: {tried:?}");
        }
    }

    #[test]
    fn a_rate_that_failed_once_is_tried_again() {
        let mut hiccup = true;
        let (found, tried) = search(1_000.0, |rate| {
            rate <= 4_000.0 && !(rate > 1_500.0 && std::mem::take(&mut hiccup))
        });
        assert_eq!(found, Some(4_000.0));
        assert_eq!(&tried[..3], [1_000.0, 2_000.0, 2_000.0]);
    }

    #[test]
    fn a_server_that_holds_nothing_has_no_most() {
        let (found, tried) = search(1_000.0, |_| false);
        assert_eq!(found, None);
        assert!(tried.len() < 20);
    }
}
