//! Does what the command line says.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;

use crate::{
    cli::{Cli, Command, LoadArgs, RunArgs},
    engine, people,
    plan::Plan,
    reading,
    report::{self, ReportError, html, progress::Progress, table::table},
    target::Target,
    wire::{Imserver, Person},
};

/// Runs to the end. Success is a valid run with a clean ledger.
pub async fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run(&args).await,
        Command::Report { file } => render(&file),
    }
}

async fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let plan = args.load.plan(args.rate)?;
    let people = people(&args.load).await?;
    let outcome = engine::run(engine::Setup {
        server: "imserver".to_owned(),
        wire: Arc::new(Imserver),
        people,
        processes: args.load.processes.clone(),
        progress: show_progress(&plan),
        plan,
    })
    .await?;
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

async fn people(load: &LoadArgs) -> anyhow::Result<Vec<Person>> {
    if let Some(path) = &load.tokens {
        return people::read_tokens(path, load.users);
    }
    let targets = load.targets.iter().map(Target::find).collect::<Result<Vec<_>, _>>()?;
    people::log_in(&reading::http(), &targets, load.users).await
}
