//! The runs of one turn.

use std::sync::Arc;

use super::{
    Contender, Effort,
    most::{self, Trial},
    servers::Servers,
    stack::Stack,
    tally::{Tally, others_cores},
};
use crate::{
    comparison::{Measure, Quantity, Repeat},
    engine::{self, Setup},
    outcome::{Machine, Outcome},
    people,
    plan::{Plan, Scenario},
    reading,
    report::progress::Progress,
    target::Target,
    wire::{Person, Wire},
};

/// A run at a fixed rate says something if the server kept up: with a higher p99 chats pile up.
const KEPT_UP_P99_MS: f64 = 1_000.0;

pub(super) struct Bench<'a> {
    contender: Contender,
    effort: &'a Effort,
    wire: Arc<dyn Wire>,
    plan: Plan,
    people: Vec<Person>,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(
        contender: Contender,
        effort: &'a Effort,
        _stack: &Stack,
        servers: &Servers,
    ) -> anyhow::Result<Self> {
        let plan = Plan {
            targets: servers.urls.clone(),
            users: effort.users,
            ramp_secs: f64::from(effort.users) / 500.0,
            warm_up_secs: effort.warm_up_secs,
            size: effort.size,
            threads: effort.threads,
            settle_secs: effort.settle_secs,
            ..Plan::default()
        };
        let people = if contender == Contender::Imserver {
            let targets: Vec<_> =
                plan.targets.iter().map(Target::find).collect::<Result<_, _>>()?;
            people::log_in(&reading::http(), &targets, plan.users).await?
        } else {
            people::numbered(plan.users)
        };
        Ok(Self { contender, effort, wire: contender.wire(), plan, people })
    }

    /// All that is measured in a turn. The highest rate comes before rates that may be above it.
    pub(super) async fn measure(
        &mut self,
        tally: &mut Tally,
        machine: &mut Machine,
    ) -> anyhow::Result<()> {
        let idle = self.run(Scenario::Idle, 0.0, self.effort.trial_secs).await?;
        add_up(machine, &idle.machine);
        tally.add_idle(&idle);
        let (first, later) = self.effort.rates.split_at(usize::from(!self.effort.rates.is_empty()));
        for rate in first {
            self.measure_at(*rate, tally, machine).await?;
        }
        let most = self.search(machine).await?;
        let measure = Measure { quantity: Quantity::MaxRate, rate: None };
        match most.best {
            Some(repeat) => tally.add(measure, Ok(repeat)),
            None => tally.add(measure, Err(most.why.clone())),
        }
        for rate in later {
            match most.best.filter(|best| best.value >= *rate) {
                Some(_) => self.measure_at(*rate, tally, machine).await?,
                None => tally.add_failed_run(*rate, "it is more than its most"),
            }
        }
        Ok(())
    }

    async fn measure_at(
        &self,
        rate: f64,
        tally: &mut Tally,
        machine: &mut Machine,
    ) -> anyhow::Result<()> {
        let outcome = self.run(Scenario::Chat, rate, self.effort.load_secs).await?;
        add_up(machine, &outcome.machine);
        match most::judge(&outcome, KEPT_UP_P99_MS) {
            Ok(()) => tally.add_run(rate, &outcome),
            Err(why) => tally.add_failed_run(rate, &why),
        }
        Ok(())
    }

    async fn search(&self, machine: &mut Machine) -> anyhow::Result<most::Most> {
        let Effort { search_from, search_step, trial_secs, .. } = *self.effort;
        let mut search = most::Search::new(search_from, search_step);
        while let Some(rate) = search.next() {
            let outcome = self.run(Scenario::Chat, rate, trial_secs).await?;
            add_up(machine, &outcome.machine);
            let judged = most::judge(&outcome, most::MOST_P99_MS);
            if let Err(why) = &judged {
                eprintln!("{}: {why}", self.contender.name());
            }
            let repeat = Repeat { value: rate, others_cores: others_cores(&outcome) };
            search.tried(Trial { repeat, failure: judged.err() });
        }
        Ok(search.end())
    }

    async fn run(&self, scenario: Scenario, rate: f64, secs: f64) -> anyhow::Result<Outcome> {
        let plan = Plan { scenario, rate, duration_secs: secs, ..self.plan.clone() };
        eprintln!("{}: {rate} chats/s for {secs} s", self.contender.name());
        let (mut progress, shown) = (Progress::on_stderr(), plan.clone());
        engine::run(Setup {
            server: self.contender.name().to_owned(),
            wire: Arc::clone(&self.wire),
            people: self.people.clone(),
            progress: Box::new(move |second| {
                let _ = progress.show(second, &shown);
            }),
            plan,
        })
        .await
    }
}

/// What the machine is, with the CPU of one more run.
fn add_up(all: &mut Machine, run: &Machine) {
    let (others, stolen) = (all.others_cpu_secs, all.stolen_cpu_secs);
    *all = run.clone();
    all.others_cpu_secs += others;
    all.stolen_cpu_secs += stolen;
}
