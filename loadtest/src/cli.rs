//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::{Args, Parser, Subcommand};
use url::Url;

use phone::content::{MAX_SIZE, MIN_SIZE};

use crate::{
    compare::CompareArgs,
    faults::Schedule,
    legacy::LegacyArgs,
    measure::Watched,
    people::Way,
    picture,
    plan::{Plan, Scenario},
    soak::SoakArgs,
};

/// Load on a chat service, with a ledger that proves that nothing was lost.
///
/// Start servers first: ./dev stack up. Their rate limits are for each person, so many people meet none of
/// them. Then, in another terminal:
///
///   loadtest run --scenario chat --users 100 --rate 200 --duration 10s
///
/// The exit status is 0 only if the run was valid and no chat was lost, doubled, reordered or misdelivered.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a load, and say what came of it.
    Run(Box<RunArgs>),
    /// Search the highest rate that the servers hold, several times.
    FindMax(Box<FindMaxArgs>),
    /// Everything at once for hours, while parts of the stack fail: is anything lost, and what grows?
    Soak(SoakArgs),
    /// Make a load by the legacy protocol: pairs, POST /push, snapshots.
    Legacy(Box<LegacyArgs>),
    /// Compare the service with what else one could build it on; ./dev compare installs and starts what
    /// this needs.
    Compare(Box<CompareArgs>),
    /// Make one page of what tests of faults and runs found; ./dev evidence makes both.
    Evidence(EvidenceArgs),
    /// Make the page of a run or a comparison anew, from its JSON or an older page of it.
    Report {
        /// Its page is written beside it.
        file: PathBuf,
    },
}

/// What to do to which servers.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// Chats a second, of all people together.
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// What is done to the processes of --stack meanwhile: 'kill imserver-2 at 10s for 5s, freeze redis at
    /// 20s for 3s, terminate imserver-1 at 30s'.
    #[arg(long, value_name = "SCHEDULE", requires = "stack")]
    pub faults: Option<Schedule>,
    /// Write what was found as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report for a browser: one HTML file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// What was found, and where to write it.
#[derive(Args, Debug)]
pub struct EvidenceArgs {
    /// The JSON of runs: NAME-1.json, NAME-2.json.
    #[arg(long, value_name = "FOLDER")]
    pub runs: PathBuf,
    /// What the program of tests printed, if it was run.
    #[arg(long, value_name = "FILE", requires = "figures")]
    pub tests: Option<PathBuf>,
    /// The files of figures that tests wrote.
    #[arg(long, value_name = "FOLDER")]
    pub figures: Option<PathBuf>,
    /// Of which commit all this is.
    #[arg(long)]
    pub commit: String,
    /// What a reader should know: versions, how cores are shared. May be said several times.
    #[arg(long = "fact", value_name = "TEXT")]
    pub facts: Vec<String>,
    /// Write the page in Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the page for a browser.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Add a row to this table of figures by commit, which ends the file.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
}

/// What is to be held, by which servers.
#[derive(Args, Debug)]
pub struct FindMaxArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// The most that the 99th percentile of delivery may be.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "100ms")]
    pub p99: Duration,
    /// The rate to begin with, in chats a second.
    #[arg(long, default_value_t = 1_000.0)]
    pub first: f64,
    /// How far the answer may be below the limit, as a share of it.
    #[arg(long, default_value_t = 0.05)]
    pub resolution: f64,
    /// How often the search is made.
    #[arg(long, default_value_t = 3)]
    pub repeats: usize,
}

/// What all loads have.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// A replica or a load balancer. Several: phones are spread over them.
    #[arg(long = "target", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub targets: Vec<Url>,
    /// chat: pairs who write to each other, the two on different targets.
    /// inbox: all write to one.
    /// idle: connections only.
    /// storm: a tenth writes, all others reconnect at once, again and again.
    /// churn: pairs write while everybody comes and goes.
    /// history: pairs write, and as often read lists and old chats over HTTP.
    /// group: groups in which some write, some come and go, recall and delete.
    /// media: pairs who send each other pictures.
    #[arg(
        long,
        value_enum,
        default_value = "chat",
        verbatim_doc_comment,
        hide_possible_values = true
    )]
    pub scenario: Scenario,
    /// People.
    #[arg(long, default_value_t = 100)]
    pub users: u32,
    /// Phones of each of them, at different targets. The first one writes.
    #[arg(long, default_value_t = 1)]
    pub phones: u32,
    /// For group: people of each group: 3, 50, 500.
    #[arg(long, default_value_t = 50)]
    pub group_size: u32,
    /// For group: joins, leaves, recalls and deletions together, as a share of the chats.
    #[arg(long, default_value_t = 0.1)]
    pub changes: f64,
    /// For media: about how many bytes a picture has.
    #[arg(long, default_value_t = 4_000_000)]
    pub picture_size: usize,
    /// How long the load lasts: 30s, 5m, 1h.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
    pub duration: Duration,
    /// Over how long the phones connect. By default a second for each 500.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub ramp: Option<Duration>,
    /// Load before it counts. In its first half everybody of chat, and who stays in a storm, writes once to the neighbour:
    /// with 0s the first chats count.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
    pub warm_up: Duration,
    /// Bytes of a chat.
    #[arg(long, default_value_t = 100)]
    pub size: usize,
    /// How many chats of a phone may be unacknowledged; more wait at the phone, and their wait counts.
    #[arg(long, default_value_t = 16)]
    pub window: usize,
    /// For churn: the mean time that a phone stays, and stays away.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
    pub think: Duration,
    /// For storm: the time from one to the next.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
    pub every: Duration,
    /// How long all may take, after the load, to be acknowledged and shown.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
    pub settle: Duration,
    /// Whatever is random follows from it.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Generator threads.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// The folder of a running `./dev stack`, instead of targets: its replicas, and its processes in the
    /// report.
    #[arg(long, value_name = "FOLDER", conflicts_with = "targets")]
    pub stack: Option<PathBuf>,
    /// With --stack: through its load balancer.
    #[arg(long, requires = "stack")]
    pub balanced: bool,
    /// A process to look at, such as imserver-1=4711. May be said several times.
    #[arg(long = "process", value_name = "NAME=PID")]
    pub processes: Vec<Watched>,
    /// What a reader of the report should know. May be said several times.
    #[arg(long = "remark", value_name = "TEXT")]
    pub remarks: Vec<String>,
    /// By which login people are made.
    #[arg(long, default_value = "demo")]
    pub login: Way,
    /// A file of `USER_ID TOKEN` lines, for servers where nobody can log in so.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
}

impl LoadArgs {
    /// The plan, if it can be done.
    pub fn plan(&self, targets: Vec<Url>, rate: f64) -> anyhow::Result<Plan> {
        let Self { scenario, users, phones, size, window, threads, .. } = *self;
        let Self { group_size, changes, picture_size, .. } = *self;
        ensure!(users >= 2, "--users: at least 2");
        if scenario == Scenario::Group {
            ensure!(group_size >= 3, "--group-size: at least 3");
            ensure!(users.is_multiple_of(group_size), "--users: so many groups of --group-size");
        } else {
            ensure!(users.is_multiple_of(2), "--users: an even number, people write in pairs");
        }
        // More sockets of a user are closed by the service.
        ensure!((1..=5).contains(&phones), "--phones: from 1 to 5");
        ensure!((0.0..=10.0).contains(&changes), "--changes: from 0 to 10");
        ensure!(
            picture::SIZES.contains(&picture_size),
            "--picture-size: from {} to {} bytes",
            picture::SIZES.start(),
            picture::SIZES.end()
        );
        ensure!(rate.is_finite() && rate >= 0.0, "--rate: 0 or more");
        ensure!(
            (MIN_SIZE..=MAX_SIZE).contains(&size),
            "--size: from {MIN_SIZE} to {MAX_SIZE} bytes"
        );
        ensure!(window >= 1, "--window: at least 1");
        ensure!((1..=64).contains(&threads), "--threads: from 1 to 64");
        ensure!(!self.every.is_zero(), "--every: more than nothing");
        ensure!(!self.think.is_zero(), "--think: more than nothing");
        let duration = self.duration;
        ensure!(!duration.is_zero(), "--duration: more than nothing");
        let ramp = self.ramp.unwrap_or(Duration::from_secs(users.div_ceil(500).into()));
        Ok(Plan {
            scenario,
            targets,
            users,
            phones,
            rate: if scenario == Scenario::Idle { 0.0 } else { rate },
            duration_secs: duration.as_secs_f64(),
            ramp_secs: ramp.as_secs_f64(),
            warm_up_secs: self.warm_up.as_secs_f64(),
            size,
            window,
            think_secs: self.think.as_secs_f64(),
            every_secs: self.every.as_secs_f64(),
            group_size,
            changes,
            picture_size,
            seed: self.seed,
            threads,
            settle_secs: self.settle.as_secs_f64(),
            tokens: self.tokens.clone(),
        })
    }
}
