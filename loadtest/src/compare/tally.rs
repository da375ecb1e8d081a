//! What was measured of one server, over all its turns.

use std::collections::BTreeMap;

use super::Contender;
use crate::{
    comparison::{Compared, Measure, Measured, Quantity, Repeat},
    outcome::{Outcome, Role},
};

/// What is measured at a rate.
const AT_A_RATE: [Quantity; 4] =
    [Quantity::CpuOfAll, Quantity::CpuOfServers, Quantity::P50, Quantity::P99];

/// All but the generator.
pub(super) const SERVICE: [Role; 4] = [Role::Server, Role::Postgres, Role::Redis, Role::Balancer];

pub(super) struct Tally {
    pub(super) contender: Contender,
    versions: BTreeMap<String, String>,
    turns: usize,
    measured: Vec<(Measure, Vec<Repeat>, Vec<String>)>,
}

impl Tally {
    pub(super) fn new(contender: Contender, versions: BTreeMap<String, String>) -> Self {
        Self { contender, versions, turns: 0, measured: Vec::new() }
    }

    pub(super) fn begin_turn(&mut self) {
        self.turns += 1;
    }

    pub(super) fn add(&mut self, measure: Measure, result: Result<Repeat, String>) {
        let place = self.measured.iter().position(|(known, ..)| *known == measure);
        let place = place.unwrap_or_else(|| {
            self.measured.push((measure, Vec::new(), Vec::new()));
            self.measured.len() - 1
        });
        let (_, repeats, failures) = &mut self.measured[place];
        match result {
            Ok(repeat) => repeats.push(repeat),
            Err(why) => failures.push(why),
        }
    }

    /// CPU and latency of a run at a rate.
    pub(super) fn add_run(&mut self, rate: f64, outcome: &Outcome) {
        self.add_values(rate, others_cores(outcome), |quantity| value(quantity, outcome));
    }

    /// The same, of a run that says it in another way.
    pub(super) fn add_values(
        &mut self,
        rate: f64,
        others_cores: f64,
        value: impl Fn(Quantity) -> Option<f64>,
    ) {
        for quantity in AT_A_RATE {
            let repeat = |value| Repeat { value, others_cores };
            let result =
                value(quantity).map(repeat).ok_or_else(|| "it was not measured".to_owned());
            self.add(Measure { quantity, rate: Some(rate) }, result);
        }
    }

    /// There is nothing at this rate.
    pub(super) fn add_failed_run(&mut self, rate: f64, why: &str) {
        for quantity in AT_A_RATE {
            self.add(Measure { quantity, rate: Some(rate) }, Err(why.to_owned()));
        }
    }

    /// Memory, of a run in which nobody wrote.
    pub(super) fn add_idle(&mut self, outcome: &Outcome) {
        // It is a figure of the scenario, and absent where memory cannot be measured.
        if let Some(value) = value(Quantity::RssPerConnection, outcome) {
            let measure = Measure { quantity: Quantity::RssPerConnection, rate: None };
            self.add(measure, Ok(Repeat { value, others_cores: others_cores(outcome) }));
        }
    }

    /// The turn ended before all was measured.
    pub(super) fn failed(&mut self, rates: &[f64], why: &str) {
        let at_rates = rates
            .iter()
            .flat_map(|rate| AT_A_RATE.map(|quantity| Measure { quantity, rate: Some(*rate) }));
        let most = Measure { quantity: Quantity::MaxRate, rate: None };
        let missing: Vec<_> =
            at_rates.chain([most]).filter(|measure| self.count(measure) < self.turns).collect();
        for measure in missing {
            self.add(measure, Err(why.to_owned()));
        }
    }

    /// In how many turns this was measured, or failed.
    fn count(&self, measure: &Measure) -> usize {
        let known = self.measured.iter().find(|(known, ..)| known == measure);
        known.map_or(0, |(_, repeats, failures)| repeats.len() + failures.len())
    }

    /// What was measured so far.
    pub(super) fn compared(&self) -> Compared {
        let measured = self.measured.iter().cloned();
        Compared {
            server: self.contender.name().to_owned(),
            title: self.contender.title().to_owned(),
            versions: self.versions.clone(),
            measured: measured
                .map(|(measure, repeats, failures)| Measured::new(measure, repeats, failures))
                .collect(),
        }
    }
}

/// Cores that others took during a run.
pub(super) fn others_cores(outcome: &Outcome) -> f64 {
    outcome.machine.others_cpu_secs / outcome.load_secs
}

/// What a run says; `None` if that was not measured.
fn value(quantity: Quantity, outcome: &Outcome) -> Option<f64> {
    let delivery = outcome.latencies.get("delivery").filter(|latency| latency.count > 0);
    match quantity {
        Quantity::P50 => Some(delivery?.p50),
        Quantity::P99 => Some(delivery?.p99),
        Quantity::CpuOfAll => outcome.cpu_per_thousand(&SERVICE),
        Quantity::CpuOfServers => outcome.cpu_per_thousand(&[Role::Server]),
        Quantity::RssPerConnection => outcome.figures.get("rssPerConnectionBytes").copied(),
        Quantity::MaxRate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Measure = Measure { quantity: Quantity::P99, rate: Some(50.0) };
    const MOST: Measure = Measure { quantity: Quantity::MaxRate, rate: None };

    #[test]
    fn a_turn_that_ended_early_is_a_failure_of_what_it_had_not_measured() {
        let mut tally = Tally::new(Contender::WsInsert, BTreeMap::new());
        for turn in 0..2 {
            tally.begin_turn();
            tally.add(AT, Ok(Repeat { value: 8.0, others_cores: 0.1 }));
            if turn == 0 {
                tally.add(MOST, Ok(Repeat { value: 3_000.0, others_cores: 0.1 }));
            } else {
                tally.failed(&[50.0], "it ended");
            }
        }
        let compared = tally.compared();
        let of = |measure| compared.measured.iter().find(|it| it.measure == measure).unwrap();
        assert_eq!((of(AT).repeats.len(), of(AT).failures.len()), (2, 0));
        assert_eq!(
            (of(MOST).repeats.len(), of(MOST).failures.as_slice()),
            (1, &["it ended".to_owned()][..])
        );
        let cpu = Measure { quantity: Quantity::CpuOfAll, rate: Some(50.0) };
        assert_eq!(of(cpu).failures.len(), 1);
    }
}
