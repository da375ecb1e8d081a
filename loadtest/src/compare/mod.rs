//! Runs several servers in turn, on the same work and machine, and says how they compare.
//!
//! Each run has a database of its own and two new processes on loopback, behind the same Postgres and
//! Redis. The turns are interleaved, A B C A B C, so that what the machine does meanwhile falls on all. Over the
//! legacy routes there is one process, and a table of its own.

mod bench;
mod contender;
mod held;
mod legacy;
mod servers;
mod stack;
mod tally;
mod versions;

use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::Args;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};

use self::{bench::Bench, contender::Work, stack::Stack, tally::Tally};
use phone::content::{MAX_SIZE, MIN_SIZE};

use crate::{
    clock::time_of_day,
    comparison::{Comparison, VERSION},
    outcome::Machine,
    report,
};

pub use contender::Contender;

/// What to compare, and where.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// The folder of a stack of Postgres and Redis alone: deploy/stack.sh up --bare.
    #[arg(long, value_name = "FOLDER")]
    pub stack: PathBuf,
    /// Where the servers to compare with are, with what they need installed.
    #[arg(long, value_name = "FOLDER", default_value = "loadtest/peers")]
    pub peers: PathBuf,
    /// The release build of the service.
    #[arg(long, value_name = "FILE", default_value = "target/release/imserver")]
    pub imserver: PathBuf,
    /// The program that Go makes of peers/centrifuge.
    #[arg(long, value_name = "FILE", default_value = "target/peers/centrifuge")]
    pub centrifuge: PathBuf,
    /// The program that Go makes of Centrifugo.
    #[arg(long, value_name = "FILE", default_value = "target/peers/centrifugo")]
    pub centrifugo: PathBuf,
    /// What Maven makes of peers/tutorial.
    #[arg(long, value_name = "FILE", default_value = "target/peers/tutorial/tutorial.jar")]
    pub tutorial: PathBuf,
    /// Where the JSON is written after each round of turns; the table in Markdown and the page are written beside it.
    /// What is compared over the legacy routes is in files of its own, such as comparison-legacy.json.
    #[arg(long, value_name = "FILE", default_value = "comparison.json")]
    pub out: PathBuf,
    /// Leave one out. May be said several times.
    #[arg(long, value_name = "NAME", value_enum)]
    pub without: Vec<Contender>,
    /// A short one, to see that all works: its figures mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// How often each has its turn. By default 3, quick 1.
    #[arg(long)]
    pub repeats: Option<u32>,
    /// Chats a second at which CPU and latency are measured. By default 1000 and 8000, quick 50.
    #[arg(long = "rate", value_name = "RATE")]
    pub rates: Vec<f64>,
    /// People, a phone each, so many that nobody meets the limit of sends a second. By default 2000, and 10000
    /// where only memory is measured; quick 20.
    #[arg(long)]
    pub users: Option<u32>,
    /// Bytes of a chat.
    #[arg(long, default_value_t = 100)]
    pub size: usize,
    /// Generator threads. Few: they share the machine with the servers.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// The cores on which the servers are started, as taskset takes them: 0 or 0,2. By default those of this
    /// program.
    #[arg(long, value_name = "LIST")]
    pub server_cores: Option<String>,
    /// What a reader of the table should know. May be said several times.
    #[arg(long = "remark", value_name = "TEXT")]
    pub remarks: Vec<String>,
}

/// How much is done in each turn.
#[derive(Clone, Debug)]
struct Effort {
    repeats: u32,
    rates: Vec<f64>,
    users: u32,
    /// Of whom nobody writes. Many: what a server keeps of its own must not count.
    idle_users: u32,
    size: usize,
    threads: usize,
    /// How long a rate is held that is measured, and one that is tried out.
    load_secs: f64,
    trial_secs: f64,
    warm_up_secs: f64,
    /// Where the search for the highest rate begins, and how far below the limit it may end, as a share.
    search_from: f64,
    search_resolution: f64,
    settle_secs: f64,
    /// Over the legacy routes: the rate that is measured, where the search begins, people, and how long a server,
    /// which may be a JVM, is warmed up.
    legacy_rate: f64,
    legacy_search_from: f64,
    legacy_users: u32,
    legacy_warm_up_secs: f64,
}

impl Effort {
    fn of(args: &CompareArgs) -> anyhow::Result<Self> {
        let quick = args.quick;
        let usual: &[f64] = if quick { &[50.0] } else { &[1_000.0, 8_000.0] };
        let mut rates = if args.rates.is_empty() { usual.to_vec() } else { args.rates.clone() };
        rates.sort_by(f64::total_cmp);
        ensure!(rates.iter().all(|rate| *rate > 0.0 && rate.is_finite()), "--rate: more than 0");
        let users = args.users.unwrap_or(if quick { 20 } else { 2_000 });
        ensure!(users >= 2 && users.is_multiple_of(2), "--users: an even number, 2 or more");
        ensure!((MIN_SIZE..=MAX_SIZE).contains(&args.size), "--size: {MIN_SIZE} to {MAX_SIZE}");
        ensure!((1..=64).contains(&args.threads), "--threads: from 1 to 64");
        let repeats = args.repeats.unwrap_or(if quick { 1 } else { 3 });
        ensure!(repeats >= 1, "--repeats: at least 1");
        Ok(Self {
            repeats,
            rates,
            users,
            idle_users: args.users.unwrap_or(if quick { 20 } else { 10_000 }),
            size: args.size,
            threads: args.threads,
            load_secs: if quick { 3.0 } else { 20.0 },
            trial_secs: if quick { 2.0 } else { 8.0 },
            // Long enough for V8 to have compiled what is hot, after everybody's first chat.
            warm_up_secs: if quick { 1.0 } else { 10.0 },
            search_from: if quick { 100.0 } else { 1_000.0 },
            search_resolution: if quick { 0.5 } else { 0.1 },
            settle_secs: 30.0,
            // One core holds some 280 with the tutorial's server.
            legacy_rate: if quick { 20.0 } else { 200.0 },
            legacy_search_from: if quick { 50.0 } else { 500.0 },
            legacy_users: if quick { 20 } else { 1_000 },
            legacy_warm_up_secs: if quick { 3.0 } else { 20.0 },
        })
    }
}

/// Compares, and writes what came of it. Ends the servers when it is told to end.
pub async fn run(args: CompareArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = compare(args) => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
    }
}

async fn compare(args: CompareArgs) -> anyhow::Result<()> {
    let effort = Effort::of(&args)?;
    let contenders: Vec<_> =
        Contender::ALL.into_iter().filter(|it| !args.without.contains(it)).collect();
    ensure!(!contenders.is_empty(), "--without leaves nobody");
    let stack = Stack::open(&args.stack)?;
    let (legacy, chats): (Vec<_>, Vec<_>) =
        contenders.into_iter().partition(|it| it.work() == Work::Legacy);
    if !chats.is_empty() {
        compare_all(Work::Chats, &chats, &args, &effort, &stack).await?;
    }
    if !legacy.is_empty() {
        compare_all(Work::Legacy, &legacy, &args, &effort, &stack).await?;
    }
    Ok(())
}

/// Compares those who do the same work.
async fn compare_all(
    work: Work,
    contenders: &[Contender],
    args: &CompareArgs,
    effort: &Effort,
    stack: &Stack,
) -> anyhow::Result<()> {
    let mut tallies = Vec::with_capacity(contenders.len());
    for contender in contenders {
        tallies.push(Tally::new(*contender, versions::of(*contender, args).await));
    }
    let mut comparison = Comparison {
        version: VERSION,
        begun_at: time_of_day().format(&Rfc3339)?,
        machine: Machine::default(),
        conditions: match work {
            Work::Chats => conditions(effort, stack).await,
            Work::Legacy => legacy_conditions(effort, stack).await,
        },
        servers: Vec::new(),
        remarks: remarks(work, args),
    };
    for repeat in 1..=effort.repeats {
        for tally in &mut tallies {
            let name = tally.contender.name();
            tally.begin_turn();
            eprintln!("turn {repeat} of {}: {name}", effort.repeats);
            let bench = Bench { contender: tally.contender, args, effort, stack };
            if let Err(error) = bench.measure(tally, &mut comparison.machine).await {
                // The others go on; the table says that this one has no value here.
                eprintln!("{name}: {error:#}");
                let rates = match work {
                    Work::Chats => effort.rates.as_slice(),
                    Work::Legacy => &[effort.legacy_rate],
                };
                tally.failed(rates, &format!("{error:#}"));
            }
        }
        // Whatever ends it later, these turns have not been for nothing.
        comparison.servers = tallies.iter().map(Tally::compared).collect();
        let page = report::save_comparison(&comparison, &file(work, args))?;
        eprintln!("{}", page.display());
    }
    print!("{}", report::compare::markdown(&comparison));
    Ok(())
}

/// Where the JSON of this work is written.
fn file(work: Work, args: &CompareArgs) -> PathBuf {
    match work {
        Work::Chats => args.out.clone(),
        Work::Legacy => {
            let name = args.out.file_stem().unwrap_or_default().to_string_lossy();
            args.out.with_file_name(format!("{name}-legacy.json"))
        }
    }
}

/// What was equal for all over the legacy routes.
async fn legacy_conditions(effort: &Effort, stack: &Stack) -> Vec<String> {
    let Effort { legacy_users, legacy_rate, legacy_warm_up_secs, size, .. } = effort;
    let Effort { load_secs, trial_secs, .. } = effort;
    vec![
        format!(
            "{legacy_users} people in pairs with legacy sockets at one process on loopback; chats of {size} bytes by \
             POST /push, a Poisson process; latency from the moment at which a chat was due until the snapshots of \
             both sides show it"
        ),
        format!(
            "{}, synchronous_commit {}; a new database for each run, {legacy_warm_up_secs} s of load before it counts",
            stack.postgres_version().await,
            stack.synchronous_commit().await,
        ),
        format!(
            "CPU and latency over {load_secs} s at {legacy_rate} chats/s; the most: rates are tried for {trial_secs} s \
             each, to within {:.0} %, until p99 is above {} ms or a chat is not shown to both",
            effort.search_resolution * 100.0,
            held::MOST_P99_MS,
        ),
        "Generator: on the same machine, not counted".to_owned(),
        versions::build().await,
    ]
}

/// What was equal for all.
async fn conditions(effort: &Effort, stack: &Stack) -> Vec<String> {
    let Effort { users, idle_users, size, rates, load_secs, trial_secs, .. } = effort;
    let rates: Vec<_> = rates.iter().map(f64::to_string).collect();
    vec![
        format!(
            "{users} people in pairs across two processes on loopback; chats of {size} bytes; a Poisson \
             process, after everybody has written once; latency from the moment at which a chat was due"
        ),
        format!(
            "Acknowledged after the commit, to {}, synchronous_commit {}; across the processes through {}; \
             a new database for each run",
            stack.postgres_version().await,
            stack.synchronous_commit().await,
            versions::redis().await,
        ),
        format!(
            "CPU and latency over {load_secs} s at {} chats/s; the most: rates are tried for {trial_secs} s \
             each, to within {:.0} %, until p99 is above {} ms or a chat is lost, doubled or misplaced",
            rates.join(" and "),
            effort.search_resolution * 100.0,
            held::MOST_P99_MS,
        ),
        format!(
            "Memory: what both processes rise by with {idle_users} people who only stay connected"
        ),
        format!("Generator: {} thread(s) on the same machine, not counted", effort.threads),
        versions::build().await,
    ]
}

fn remarks(work: Work, args: &CompareArgs) -> Vec<String> {
    let left_out = args.without.iter().filter(|it| it.work() == work);
    let mut remarks: Vec<_> = left_out.map(|it| format!("Left out: {}", it.name())).collect();
    remarks.extend(args.remarks.iter().cloned());
    remarks.push("Rate limits of imserver were on, as delivered.".to_owned());
    remarks.push("What the others do not do: loadtest/peers/README.md.".to_owned());
    if args.quick {
        remarks.insert(0, "A quick run: its figures mean nothing.".to_owned());
    }
    remarks
}
