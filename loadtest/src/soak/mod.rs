//! Everything at once, for hours, while parts of the stack fail: whether anything is lost, and what grows.

mod looking;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use futures_util::future::try_join_all;
use phone::{
    reading,
    target::Target,
    wire::{Imserver, Person},
};
use time::format_description::well_known::Rfc3339;
use url::Url;

use self::looking::Looking;
use crate::{
    clock::time_of_day,
    engine::{self, Setup},
    faults::Schedule,
    growth::{Growth, Look, Part, Soaked, What, growth, together},
    measure::Watch,
    outcome::Outcome,
    people::{self, Way},
    plan::{Plan, Scenario},
    report::soak::{json, table},
    stack::Stack,
};

/// What to do, and to which stack.
#[derive(Args, Debug)]
pub struct SoakArgs {
    /// The folder of a running `./dev stack`.
    #[arg(long, value_name = "FOLDER")]
    stack: PathBuf,
    /// How long the load lasts.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2h")]
    duration: Duration,
    /// The time from one fault to the next.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10m")]
    every: Duration,
    /// Write what was found as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What a reader should know. May be said several times.
    #[arg(long = "remark", value_name = "TEXT")]
    remarks: Vec<String>,
}

/// What is done to the stack, one after the other and again. The first replica lives through it all: it is the one
/// whose memory is followed from the beginning to the end.
const FAULTS: [&str; 7] = [
    "kill imserver-2 at {at} for 5s",
    "freeze redis at {at} for 5s",
    "restart imserver-3 at {at}",
    "restart postgres at {at}",
    "kill redis at {at} for 5s",
    "freeze imserver-2 at {at} for 20s",
    "kill postgres at {at} for 5s",
];

/// What each group of people does: name, scenario, people, chats a second.
const PARTS: [(&str, Scenario, u32, f64); 5] = [
    ("comers", Scenario::Churn, 200, 30.0),
    ("groups", Scenario::Group, 200, 5.0),
    ("senders", Scenario::Media, 20, 0.2),
    ("storm", Scenario::Storm, 400, 10.0),
    ("readers", Scenario::History, 100, 10.0),
];

/// Runs to the end. Success is clean ledgers and flat lines.
pub async fn run(args: SoakArgs) -> anyhow::Result<ExitCode> {
    ensure!(!args.every.is_zero(), "--every: more than nothing");
    let stack = Stack::open(args.stack.clone())?;
    let targets = stack.replicas();
    ensure!(targets.len() >= 3, "a stack of three replicas or more");
    let begun_at = time_of_day().format(&Rfc3339)?;
    let looking = Looking::start(stack.clone());
    let schedule = schedule(args.duration, args.every)?;
    let runs = (0..).zip(PARTS).map(|(number, part)| {
        let faults = (number == 0).then(|| (schedule.clone(), stack.clone()));
        one(part, number, &targets, args.duration, faults)
    });
    let outcomes = try_join_all(runs).await?;
    let looks = looking.end().await?;
    let growths = grown(&looks);
    let faults = outcomes[0].faults.clone();
    let parts = PARTS.iter().zip(outcomes).map(|((name, ..), outcome)| Part {
        name: (*name).to_owned(),
        totals: outcome.totals,
        ledger: outcome.ledger.to_string(),
        is_clean: outcome.ledger.is_clean(),
    });
    let soaked = Soaked {
        begun_at,
        secs: args.duration.as_secs_f64(),
        parts: parts.collect(),
        faults,
        growths,
        remarks: args.remarks,
        looks,
    };
    print!("{}", table(&soaked));
    if let Some(path) = &args.json {
        std::fs::write(path, json(&soaked)).with_context(|| path.display().to_string())?;
    }
    Ok(if soaked.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of each process its memory and its series, and the file descriptors of all replicas together.
fn grown(looks: &[(String, Vec<Look>)]) -> Vec<Growth> {
    let each = looks.iter().flat_map(|(process, looks)| {
        [What::Memory, What::Series].map(|what| growth(process, what, looks))
    });
    let replicas = looks.iter().filter(|(process, _)| process.starts_with("imserver-"));
    let all = together(&replicas.map(|(_, looks)| looks.as_slice()).collect::<Vec<_>>());
    each.chain([growth("all replicas", What::FileDescriptors, &all)]).flatten().collect()
}

/// A fault each so often, and none in the last two minutes, in which the stack recovers.
fn schedule(duration: Duration, every: Duration) -> anyhow::Result<Schedule> {
    let last = duration.saturating_sub(Duration::from_mins(2));
    let times = (1..).map(|number| every * number).take_while(|at| *at <= last);
    let faults = times.zip(FAULTS.iter().cycle());
    let text: Vec<_> =
        faults.map(|(at, fault)| fault.replace("{at}", &format!("{}ms", at.as_millis()))).collect();
    Ok(text.join(", ").parse()?)
}

async fn one(
    (name, scenario, users, rate): (&str, Scenario, u32, f64),
    number: u64,
    targets: &[Url],
    duration: Duration,
    faults: Option<(Schedule, Stack)>,
) -> anyhow::Result<Outcome> {
    let plan = Plan {
        scenario,
        targets: targets.to_vec(),
        users,
        rate,
        duration_secs: duration.as_secs_f64(),
        every_secs: 60.0,
        think_secs: 30.0,
        group_size: 50,
        changes: 0.3,
        picture_size: 300_000,
        seed: number,
        threads: if scenario == Scenario::Storm { 2 } else { 1 },
        ..Plan::default()
    };
    engine::run(Setup {
        server: "imserver".to_owned(),
        wire: Arc::new(Imserver::default()),
        people: people(name, &plan).await?,
        watch: Watch::of_run(Vec::new()),
        faults,
        progress: Box::new(|_| {}),
        plan,
    })
    .await
    .with_context(|| name.to_owned())
}

async fn people(name: &str, plan: &Plan) -> anyhow::Result<Vec<Person>> {
    let targets: Vec<_> = plan.targets.iter().map(Target::find).collect::<Result<_, _>>()?;
    people::log_in(&reading::http(), &targets, name, plan.users, Way::Demo).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_each_ten_minutes_and_none_at_the_end() {
        let schedule = schedule(Duration::from_hours(2), Duration::from_mins(10)).unwrap();
        let faults = schedule.faults();
        assert_eq!(faults.len(), 11);
        assert_eq!(faults[0].to_string(), "kill imserver-2");
        assert_eq!(faults[7].to_string(), "kill imserver-2");
        assert_eq!(faults[10].at, Duration::from_mins(110));
        assert!(faults.iter().all(|fault| fault.name != "imserver-1"));
        let short = super::schedule(Duration::from_mins(10), Duration::from_mins(10)).unwrap();
        assert_eq!(short.faults(), []);
    }
}
