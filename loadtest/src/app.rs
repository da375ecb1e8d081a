//! Does what the command line says.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;

use crate::{
    cli::{Cli, Command, LoadArgs, RunArgs},
    engine,
    outcome::Outcome,
    people, reading,
    target::Target,
    wire::{Imserver, Person},
};

/// Runs to the end. Success is a valid run with a clean ledger.
pub async fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run(args).await,
    }
}

async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let plan = args.load.plan(args.rate)?;
    let people = people(&args.load).await?;
    let outcome = engine::run(engine::Setup {
        plan,
        server: "imserver".to_owned(),
        wire: Arc::new(Imserver),
        people,
        progress: Box::new(|second, left| eprintln!("{left:.0} s left: {second:?}")),
    })
    .await?;
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&outcome)?;
        std::fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    println!("{}", serde_json::to_string_pretty(&Outcome { seconds: vec![], ..outcome.clone() })?);
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn people(load: &LoadArgs) -> anyhow::Result<Vec<Person>> {
    if let Some(path) = &load.tokens {
        return people::read_tokens(path, load.users);
    }
    let targets = load.targets.iter().map(Target::find).collect::<Result<Vec<_>, _>>()?;
    people::log_in(&reading::http(), &targets, load.users).await
}
