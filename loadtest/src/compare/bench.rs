//! The runs of one turn.

use anyhow::Context;

use super::{
    CompareArgs, Contender, Effort,
    most::{self, Trial},
    servers::Servers,
    stack::Stack,
    tally::{Tally, others_cores},
};
use crate::{
    comparison::{Measure, Quantity, Repeat},
    engine::{self, Setup},
    measure::{Pid, Watched},
    outcome::{Machine, Outcome, Role},
    people,
    plan::{Plan, Scenario},
    reading,
    report::progress::Progress,
    target::Target,
    wire::Person,
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
    /// All that is measured in a turn. The highest rate comes before rates that may be above it.
    pub(super) async fn measure(
        &self,
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

    /// One run, from an empty database to the end of the processes.
    async fn run(&self, scenario: Scenario, rate: f64, secs: f64) -> anyhow::Result<Outcome> {
        let name = self.contender.name();
        eprintln!("{name}: {rate} chats/s for {secs} s");
        let database = format!("compare_{}", name.replace('-', "_"));
        self.stack.create(&database).await?;
        let servers = Servers::start(self.contender, self.args, self.stack, &database).await?;
        let outcome = self.load(&servers, scenario, rate, secs).await;
        servers.end().await;
        self.stack.drop(&database).await?;
        outcome.with_context(|| format!("{rate} chats/s"))
    }

    async fn load(
        &self,
        servers: &Servers,
        scenario: Scenario,
        rate: f64,
        secs: f64,
    ) -> anyhow::Result<Outcome> {
        let Effort { users, warm_up_secs, size, threads, settle_secs, .. } = *self.effort;
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
        let (mut progress, shown) = (Progress::on_stderr(), plan.clone());
        engine::run(Setup {
            server: self.contender.name().to_owned(),
            wire: self.contender.wire(),
            people: self.people(&plan).await?,
            processes: self.processes(servers),
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
        people::log_in(&reading::http(), &targets, plan.users).await
    }

    fn processes(&self, servers: &Servers) -> Vec<Watched> {
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

/// What the machine is, with the CPU of one more run.
fn add_up(all: &mut Machine, run: &Machine) {
    let (others, stolen) = (all.others_cpu_secs, all.stolen_cpu_secs);
    *all = run.clone();
    all.others_cpu_secs += others;
    all.stolen_cpu_secs += stolen;
}
