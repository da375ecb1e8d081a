//! The runs of one turn.

use anyhow::Context;

use super::{
    CompareArgs, Contender, Effort,
    contender::Work,
    held,
    servers::Servers,
    stack::Stack,
    tally::{Tally, others_cores},
};
use phone::{reading, target::Target, wire::Person};

use crate::{
    comparison::{Measure, Quantity, Repeat},
    engine::{self, Setup},
    find_max::{Answer, Found, Search},
    measure::{Pid, Watch, Watched},
    outcome::{Machine, Outcome, Role},
    people,
    plan::{Plan, Scenario},
    report::progress::Progress,
};

/// A run at a fixed rate says something if the server kept up: with a higher p99 chats pile up.
const KEPT_UP_P99_MS: f64 = 1_000.0;

pub(super) struct Bench<'a> {
    pub(super) contender: Contender,
    pub(super) args: &'a CompareArgs,
    pub(super) effort: &'a Effort,
    pub(super) stack: &'a Stack,
}

impl Bench<'_> {
    /// All that is measured in a turn.
    pub(super) async fn measure(
        &self,
        tally: &mut Tally,
        machine: &mut Machine,
    ) -> anyhow::Result<()> {
        match self.contender.work() {
            Work::Chats => self.measure_chats(tally, machine).await,
            Work::Legacy => self.measure_legacy(tally, machine).await,
        }
    }

    /// The highest rate comes before rates that may be above it.
    async fn measure_chats(&self, tally: &mut Tally, machine: &mut Machine) -> anyhow::Result<()> {
        let idle = self.run(Scenario::Idle, 0.0, self.effort.trial_secs).await?;
        add_up(machine, &idle.machine);
        tally.add_idle(&idle);
        let (first, later) = self.effort.rates.split_at(usize::from(!self.effort.rates.is_empty()));
        for rate in first {
            self.measure_at(*rate, tally, machine).await;
        }
        let most = self.search(machine).await?;
        let measure = Measure { quantity: Quantity::MaxRate, rate: None };
        tally.add(measure, most.clone());
        for rate in later {
            if most.as_ref().is_ok_and(|most| most.value >= *rate) {
                self.measure_at(*rate, tally, machine).await;
            } else {
                tally.add_failed_run(*rate, "it is more than its most");
            }
        }
        Ok(())
    }

    async fn measure_at(&self, rate: f64, tally: &mut Tally, machine: &mut Machine) {
        match self.run(Scenario::Chat, rate, self.effort.load_secs).await {
            Ok(outcome) => {
                add_up(machine, &outcome.machine);
                match held::judge(&outcome, KEPT_UP_P99_MS) {
                    Ok(()) => tally.add_run(rate, &outcome),
                    Err(why) => tally.add_failed_run(rate, &why),
                }
            }
            Err(error) => tally.add_failed_run(rate, &self.not_made(&error)),
        }
    }

    /// The highest rate that is held, with the noise of the run that held it; or why none is.
    async fn search(&self, machine: &mut Machine) -> anyhow::Result<Result<Repeat, String>> {
        let Effort { search_from, trial_secs, .. } = *self.effort;
        let search = self.sought(search_from);
        let mut noise = Vec::new();
        let mut last_failure = String::new();
        let answer = search
            .run(async |rate| {
                let outcome = match self.run(Scenario::Chat, rate, trial_secs).await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        last_failure = self.not_made(&error);
                        noise.push(0.0);
                        return anyhow::Ok(Found::NOTHING);
                    }
                };
                add_up(machine, &outcome.machine);
                noise.push(others_cores(&outcome));
                if let Err(why) = held::judge(&outcome, held::MOST_P99_MS) {
                    eprintln!("{}: {why}", self.contender.name());
                    last_failure = why;
                }
                anyhow::Ok(Found::of(&outcome))
            })
            .await?;
        Ok(best(&answer, &noise).ok_or(last_failure))
    }

    /// Why a run could not be made. A server with too much to do may say or do anything, so others follow.
    pub(super) fn not_made(&self, error: &anyhow::Error) -> String {
        let why = format!("{error:#}");
        eprintln!("{}: {why}", self.contender.name());
        why
    }

    /// The search for the highest rate, from this one on.
    pub(super) fn sought(&self, first: f64) -> Search {
        Search {
            p99_ms: held::MOST_P99_MS,
            delivered: held::LEAST_DELIVERED,
            first,
            resolution: self.effort.search_resolution,
            repeats: 1,
            ..Search::default()
        }
    }

    /// One run, from an empty database to the end of the processes.
    async fn run(&self, scenario: Scenario, rate: f64, secs: f64) -> anyhow::Result<Outcome> {
        eprintln!("{}: {rate} chats/s for {secs} s", self.contender.name());
        let load = async |servers: &Servers| self.load(servers, scenario, rate, secs).await;
        self.with_servers(load).await.with_context(|| format!("{rate} chats/s"))
    }

    /// Something that is done to servers which begin with an empty database, and end after it.
    pub(super) async fn with_servers<T>(
        &self,
        done: impl AsyncFnOnce(&Servers) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let database = format!("compare_{}", self.contender.name().replace('-', "_"));
        self.stack.create(&database).await?;
        let servers = Servers::start(self.contender, self.args, self.stack, &database).await?;
        let outcome = done(&servers).await;
        servers.end().await;
        self.stack.drop(&database).await?;
        outcome
    }

    async fn load(
        &self,
        servers: &Servers,
        scenario: Scenario,
        rate: f64,
        secs: f64,
    ) -> anyhow::Result<Outcome> {
        let Effort { warm_up_secs, size, threads, settle_secs, .. } = *self.effort;
        let users = match scenario {
            Scenario::Idle => self.effort.idle_users,
            _ => self.effort.users,
        };
        let plan = Plan {
            scenario,
            targets: servers.urls.clone(),
            users,
            rate,
            duration_secs: secs,
            ramp_secs: f64::from(users) / 500.0,
            warm_up_secs,
            size,
            threads,
            settle_secs,
            ..Plan::default()
        };
        let watch = Watch::of_run(self.processes(servers));
        let (mut progress, shown) = (Progress::on_stderr(), plan.clone());
        engine::run(Setup {
            server: self.contender.name().to_owned(),
            wire: self.contender.wire(servers.pages.as_ref()),
            people: self.people(&plan).await?,
            watch,
            faults: None,
            progress: Box::new(move |second| {
                let _ = progress.show(second, &shown);
            }),
            plan,
        })
        .await
    }

    async fn people(&self, plan: &Plan) -> anyhow::Result<Vec<Person>> {
        if self.contender != Contender::Imserver {
            return Ok(people::numbered(plan.users));
        }
        let targets: Vec<_> = plan.targets.iter().map(Target::find).collect::<Result<_, _>>()?;
        people::log_in(&reading::http(), &targets, people::NAME, plan.users, people::Way::Demo)
            .await
    }

    pub(super) fn processes(&self, servers: &Servers) -> Vec<Watched> {
        let server = |(number, pid): (usize, u32)| Watched {
            name: format!("{}-{}", self.contender.name(), number + 1),
            role: Role::Server,
            pid: Pid::Is(pid),
        };
        let shared = |name| Watched::new(name, Pid::In(self.stack.pid_file(name)));
        let servers = servers.pids().enumerate().map(server);
        servers.chain([shared("postgres"), shared("redis")]).collect()
    }
}

/// The highest rate that was held, with the noise of that run.
pub(super) fn best(answer: &Answer, noise: &[f64]) -> Option<Repeat> {
    let tried = answer.tried.iter().zip(noise).filter(|(tried, _)| tried.is_held);
    let repeats = tried.map(|(tried, noise)| Repeat { value: tried.rate, others_cores: *noise });
    repeats.max_by(|a, b| a.value.total_cmp(&b.value))
}

/// What the machine is, with the CPU of one more run.
pub(super) fn add_up(all: &mut Machine, run: &Machine) {
    let (others, stolen) = (all.others_cpu_secs, all.stolen_cpu_secs);
    *all = run.clone();
    all.others_cpu_secs += others;
    all.stolen_cpu_secs += stolen;
}
