//! The runs of one turn over the legacy routes.

use std::time::Duration;

use anyhow::Context;

use super::{
    bench::{Bench, add_up, best},
    held,
    servers::Servers,
    tally::{SERVICE, Tally},
};
use crate::{
    comparison::{Measure, Quantity, Repeat},
    find_max::Found,
    legacy::{self, LegacyArgs, Outcome},
    outcome::{Machine, Role},
};

/// A run at a fixed rate says something if the server kept up, as among the others.
const KEPT_UP_P99_MS: f64 = 1_000.0;

impl Bench<'_> {
    pub(super) async fn measure_legacy(
        &self,
        tally: &mut Tally,
        machine: &mut Machine,
    ) -> anyhow::Result<()> {
        let rate = self.effort.legacy_rate;
        match self.run_legacy(rate, self.effort.load_secs).await {
            Ok(outcome) => {
                add_up(machine, &outcome.machine);
                match judge(&outcome, rate, KEPT_UP_P99_MS) {
                    Ok(()) => tally.add_values(rate, noise(&outcome), |what| value(what, &outcome)),
                    Err(why) => tally.add_failed_run(rate, &why),
                }
            }
            Err(error) => tally.add_failed_run(rate, &self.not_made(&error)),
        }
        let most = self.search_legacy(machine).await?;
        tally.add(Measure { quantity: Quantity::MaxRate, rate: None }, most);
        Ok(())
    }

    async fn search_legacy(&self, machine: &mut Machine) -> anyhow::Result<Result<Repeat, String>> {
        let (mut noises, mut last_failure) = (Vec::new(), String::new());
        let search = self.sought(self.effort.legacy_search_from);
        let answer = search
            .run(async |rate| {
                let outcome = match self.run_legacy(rate, self.effort.trial_secs).await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        last_failure = self.not_made(&error);
                        noises.push(0.0);
                        return anyhow::Ok(Found::NOTHING);
                    }
                };
                add_up(machine, &outcome.machine);
                noises.push(noise(&outcome));
                let mut found = outcome.found();
                if let Err(why) = judge(&outcome, rate, held::MOST_P99_MS) {
                    eprintln!("{}: {why}", self.contender.name());
                    last_failure = why;
                    found.is_good = false;
                }
                anyhow::Ok(found)
            })
            .await?;
        Ok(best(&answer, &noises).ok_or(last_failure))
    }

    async fn run_legacy(&self, rate: f64, secs: f64) -> anyhow::Result<Outcome> {
        eprintln!("{}: {rate} chats/s for {secs} s", self.contender.name());
        let effort = self.effort;
        let load = async |servers: &Servers| {
            let args = LegacyArgs {
                targets: servers.urls.clone(),
                users: effort.legacy_users,
                rate,
                duration: Duration::from_secs_f64(secs),
                warm_up: Duration::from_secs_f64(effort.legacy_warm_up_secs),
                settle: Duration::from_secs_f64(effort.settle_secs),
                size: effort.size,
                lanes: 2,
                seed: 7,
                processes: self.processes(servers),
                find_max: None,
                repeats: 1,
            };
            legacy::load(&args, rate).await
        };
        self.with_servers(load).await.with_context(|| format!("{rate} chats/s"))
    }
}

/// Whether a run shows that the server holds its rate; otherwise why not.
fn judge(outcome: &Outcome, rate: f64, most_p99_ms: f64) -> Result<(), String> {
    if !outcome.is_good() {
        let error = outcome.error.as_deref().unwrap_or("chats were not shown to both sides");
        return Err(format!("at {rate:.0}/s: {error}"));
    }
    match outcome.found().p99_ms {
        Some(p99) if p99 <= most_p99_ms => Ok(()),
        Some(p99) => Err(format!("at {rate:.0}/s p99 was {p99:.0} ms")),
        None => Err(format!("at {rate:.0}/s nothing was shown")),
    }
}

/// Cores that others took meanwhile.
fn noise(outcome: &Outcome) -> f64 {
    outcome.machine.others_cpu_secs / outcome.load_secs
}

/// What a run says: of latencies that of the side that was shown later.
fn value(quantity: Quantity, outcome: &Outcome) -> Option<f64> {
    match quantity {
        Quantity::P50 => Some(outcome.delivery.p50.max(outcome.own.p50)),
        Quantity::P99 => Some(outcome.delivery.p99.max(outcome.own.p99)),
        Quantity::CpuOfAll => cpu_per_thousand(outcome, &SERVICE),
        Quantity::CpuOfServers => cpu_per_thousand(outcome, &[Role::Server]),
        Quantity::RssPerConnection | Quantity::MaxRate => None,
    }
}

/// Nothing where the CPU of processes cannot be measured.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn cpu_per_thousand(outcome: &Outcome, roles: &[Role]) -> Option<f64> {
    let all = outcome.cpu.iter().filter(|(_, role, _)| roles.contains(role));
    let secs: Vec<f64> = all.map(|(_, _, secs)| *secs).collect();
    (!secs.is_empty()).then(|| 1_000.0 * secs.iter().sum::<f64>() / outcome.due as f64)
}
