//! Does what the command line says.

use std::{fs::OpenOptions, io::Write as _, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use time::format_description::well_known::Rfc3339;
use url::Url;

use phone::{
    reading,
    target::Target,
    wire::{Imserver, Person},
};

use crate::{
    cli::{Cli, Command, EvidenceArgs, FindMaxArgs, LoadArgs, RunArgs},
    clock::time_of_day,
    compare,
    engine::{self, Setup},
    evidence::{self, Evidence},
    faults::Schedule,
    find_max::{Found, Search},
    legacy,
    measure::{Watch, Watched},
    outcome::Outcome,
    people,
    plan::Plan,
    report::{self, ReportError, html, progress::Progress, table::table},
    soak,
    stack::Stack,
};

/// Runs to the end. Success is a valid run with a clean ledger.
pub async fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run(&args).await,
        Command::FindMax(args) => find_max(&args).await,
        Command::Soak(args) => soak::run(args).await,
        Command::Legacy(args) => legacy::run(*args).await,
        Command::Compare(args) => compare::run(*args).await.map(|()| ExitCode::SUCCESS),
        Command::Evidence(args) => evidence(args),
        Command::Report { file } => render(&file),
    }
}

async fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let servers = Servers::find(&args.load)?;
    let faults = match (&args.faults, &servers.stack) {
        (Some(schedule), Some(stack)) => Some((schedule.clone(), stack.clone())),
        _ => None,
    };
    for fault in args.faults.iter().flat_map(Schedule::faults) {
        servers.stack.as_ref().map_or(Ok(()), |stack| stack.know(&fault.name))?;
    }
    let outcome = servers.load(&args.load, args.rate, faults).await?;
    print!("{}", table(&outcome));
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&outcome)?;
        std::fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.report {
        std::fs::write(path, html::page(&outcome)).with_context(|| path.display().to_string())?;
    }
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn find_max(args: &FindMaxArgs) -> anyhow::Result<ExitCode> {
    let servers = Servers::find(&args.load)?;
    let search = Search {
        p99_ms: args.p99.as_secs_f64() * 1_000.0,
        first: args.first,
        resolution: args.resolution,
        repeats: args.repeats,
        ..Search::default()
    };
    let answer = search
        .run(async |rate| {
            let outcome = servers.load(&args.load, rate, None).await?;
            let found = Found::of(&outcome);
            let p99 =
                found.p99_ms.map_or("nothing delivered".to_owned(), |p99| format!("{p99:.1} ms"));
            let held = if search.is_held(&found) { "held" } else { "not held" };
            println!("{rate:>9.0} chats/s  p99 {p99}  {held}");
            for why in &outcome.invalid {
                println!("           {why}");
            }
            anyhow::Ok(found)
        })
        .await?;
    let Some(spread) = answer.spread else { return Ok(ExitCode::FAILURE) };
    println!(
        "held: {:.0} chats/s, the median of {} searches ({:.0} to {:.0})",
        spread.median,
        answer.rates.len(),
        spread.lowest,
        spread.highest,
    );
    Ok(if spread.lowest > 0.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn evidence(args: EvidenceArgs) -> anyhow::Result<ExitCode> {
    let EvidenceArgs { runs, tests, figures, commit, facts, markdown, html, history } = args;
    let evidence = Evidence {
        at: time_of_day().truncate_to_second().format(&Rfc3339)?,
        commit,
        facts,
        faults: match tests.zip(figures) {
            Some((tests, figures)) => evidence::faults(&tests, &figures)?,
            None => Vec::new(),
        },
        runs: evidence::runs(&runs, |path| Ok(report::read(path)?))?,
    };
    let pages = [
        (markdown, report::evidence::markdown(&evidence)),
        (html, report::evidence::page(&evidence)),
    ];
    for (path, page) in pages {
        let Some(path) = path else { continue };
        std::fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = history {
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(report::evidence::history(&evidence).as_bytes()))
            .with_context(|| path.display().to_string())?;
    }
    Ok(if evidence.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is put under load.
struct Servers {
    stack: Option<Stack>,
    targets: Vec<Url>,
    processes: Vec<Watched>,
}

impl Servers {
    fn find(args: &LoadArgs) -> anyhow::Result<Self> {
        let stack = args.stack.clone().map(Stack::open).transpose()?;
        let targets = match &stack {
            Some(stack) if args.balanced => {
                vec![stack.balancer().context("the stack has no load balancer")?]
            }
            Some(stack) => stack.replicas(),
            None => args.targets.clone(),
        };
        anyhow::ensure!(!targets.is_empty(), "the stack has no replica");
        let mut processes = stack.as_ref().map(Stack::watched).unwrap_or_default();
        processes.extend(args.processes.iter().cloned());
        Ok(Self { stack, targets, processes })
    }

    /// One run.
    async fn load(
        &self,
        args: &LoadArgs,
        rate: f64,
        faults: Option<(Schedule, Stack)>,
    ) -> anyhow::Result<Outcome> {
        let plan = args.plan(self.targets.clone(), rate)?;
        let watch = Watch::of_run(self.processes.clone());
        let mut outcome = engine::run(Setup {
            server: "imserver".to_owned(),
            wire: Arc::new(Imserver::default()),
            people: people(args, &self.targets).await?,
            watch,
            faults,
            progress: show_progress(&plan),
            plan,
        })
        .await?;
        outcome.remarks.extend(args.remarks.iter().cloned());
        Ok(outcome)
    }
}

/// A line on standard error; where that cannot be written, nothing is lost.
fn show_progress(plan: &Plan) -> engine::Progress {
    let (mut progress, plan) = (Progress::on_stderr(), plan.clone());
    Box::new(move |second| {
        let _ = progress.show(second, &plan);
    })
}

fn render(file: &Path) -> anyhow::Result<ExitCode> {
    let page = match report::render(file) {
        Ok(page) => page,
        // Not a run: a comparison, or nothing of ours, which is then said.
        Err(ReportError::Foreign { .. }) => report::render_comparison(file)?,
        Err(error) => return Err(error.into()),
    };
    println!("{}", page.display());
    Ok(ExitCode::SUCCESS)
}

async fn people(args: &LoadArgs, targets: &[Url]) -> anyhow::Result<Vec<Person>> {
    if let Some(path) = &args.tokens {
        return people::read_tokens(path, args.users);
    }
    let targets = targets.iter().map(Target::find).collect::<Result<Vec<_>, _>>()?;
    people::log_in(&reading::http(), &targets, people::NAME, args.users, args.login).await
}
