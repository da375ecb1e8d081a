//! Load by the legacy protocol: people in pairs, `POST /push`, and snapshots that must show every chat to
//! both sides. Needs a server in anonymous mode, this one or the one of the tutorial.

mod clients;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::ensure;
use clap::Args;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, sleep_until};
use url::Url;

use phone::{
    clock::{Clock, Moment},
    reading,
    target::Target,
};

use crate::{
    find_max::{Found, Search},
    measure::{Times, Watch, Watched, latency, times},
    outcome::{Latency, Machine, Role},
};
use clients::{Lanes, Reader};

/// What to do by the legacy protocol.
#[derive(Args, Debug)]
pub struct LegacyArgs {
    /// A server, or several: people are spread over them.
    #[arg(long = "target", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) targets: Vec<Url>,
    /// People, in pairs, a socket each.
    #[arg(long, default_value_t = 200)]
    pub(crate) users: u32,
    /// Chats a second, of all people together.
    #[arg(long, default_value_t = 500.0)]
    pub(crate) rate: f64,
    /// How long the load lasts.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "15s")]
    pub(crate) duration: Duration,
    /// Load before it counts: it fills the snapshots.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
    pub(crate) warm_up: Duration,
    /// How long all may take, after the load, to be shown.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30s")]
    pub(crate) settle: Duration,
    /// Bytes of a chat.
    #[arg(long, default_value_t = 100)]
    pub(crate) size: usize,
    /// Connections of each person for `POST /push`.
    #[arg(long, default_value_t = 2)]
    pub(crate) lanes: u32,
    /// Whatever is random follows from it.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// A process to look at, such as imserver=4711. May be said several times.
    #[arg(long = "process", value_name = "NAME=PID")]
    pub(crate) processes: Vec<Watched>,
    /// Search the highest rate with this p99, beginning at --rate.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) find_max: Option<Duration>,
    /// How often the search is made.
    #[arg(long, default_value_t = 3)]
    pub(crate) repeats: usize,
}

/// What a load came to.
pub struct Outcome {
    /// Chats that count, and of those how many were stored, and shown to each side.
    pub(crate) due: usize,
    stored: usize,
    shown: [usize; 2],
    /// Of all chats: how many were not shown to both sides.
    missing: usize,
    /// Sockets whose last snapshot is not what `/getMessage` says.
    wrong: usize,
    snapshots: u64,
    bytes: u64,
    /// Until it was shown to the receiver, until it was to the sender, until `/push` was answered, and until it
    /// was given out.
    pub(crate) delivery: Latency,
    pub(crate) own: Latency,
    push: Latency,
    lag: Latency,
    /// Seconds of CPU, by process.
    pub(crate) cpu: Vec<(String, Role, f64)>,
    /// Where it ran, and what others took of it while chats counted, which was for so many seconds.
    pub(crate) machine: Machine,
    pub(crate) load_secs: f64,
    pub(crate) error: Option<String>,
}

/// One load, as all its tasks see it.
struct Load {
    clock: Clock,
    /// Tells this load's chats from those of others.
    run: u32,
    /// When each chat is due, in their order, and who sends it.
    chats: Vec<(Moment, u32)>,
    /// The first chat that counts.
    first: usize,
    /// By chat: a bit for each side that was shown it.
    shown: Vec<AtomicU8>,
    snapshots: AtomicU64,
    bytes: AtomicU64,
    meter: Mutex<Meter>,
    /// Nothing more is waited for.
    is_over: AtomicBool,
}

struct Meter {
    delivery: Times,
    own: Times,
    push: Times,
    lag: Times,
    stored: usize,
    error: Option<String>,
}

/// The side of a sender, and the one of a receiver.
const SENDER: u8 = 1;
const RECEIVER: u8 = 2;

impl Load {
    fn new(args: &LegacyArgs, rate: f64, clock: Clock) -> Self {
        let mut random = SmallRng::seed_from_u64(args.seed);
        let begin = clock.now().after(Duration::from_millis(100));
        let (load, end) = (begin.after(args.warm_up), begin.after(args.warm_up + args.duration));
        let (mut at, mut chats) = (begin, Vec::new());
        loop {
            // 1 - [0, 1) is never 0.
            let pause = -(1.0 - random.random::<f64>()).ln() / rate;
            at = at.after(Duration::from_secs_f64(pause));
            if at >= end {
                break;
            }
            chats.push((at, random.random_range(0..args.users)));
        }
        Self {
            clock,
            run: rand::rng().random(),
            first: chats.partition_point(|(due, _)| *due < load),
            shown: chats.iter().map(|_| AtomicU8::new(0)).collect(),
            chats,
            snapshots: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            meter: Mutex::new(Meter {
                delivery: times(),
                own: times(),
                push: times(),
                lag: times(),
                stored: 0,
                error: None,
            }),
            is_over: AtomicBool::new(false),
        }
    }

    /// Notes that a user was shown a chat. Returns whether that was known.
    fn show(&self, number: usize, user: u32, at: Moment) -> bool {
        let Some((due, sender)) = self.chats.get(number).copied() else { return true };
        let side = if user == sender { SENDER } else { RECEIVER };
        let was_shown = self.shown[number].fetch_or(side, Relaxed) & side != 0;
        if !was_shown && number >= self.first {
            let mut meter = self.meter.lock();
            let times = if side == SENDER { &mut meter.own } else { &mut meter.delivery };
            times.saturating_record(micros(due, at));
        }
        was_shown
    }

    /// Notes that a chat was given out, or stored.
    fn note(&self, number: usize, at: Moment, into: impl FnOnce(&mut Meter) -> &mut Times) {
        if number >= self.first {
            into(&mut self.meter.lock()).saturating_record(micros(self.chats[number].0, at));
        }
    }

    fn fail(&self, error: String) {
        self.meter.lock().error.get_or_insert(error);
    }

    fn missing(&self) -> usize {
        self.shown.iter().filter(|shown| shown.load(Relaxed) != SENDER | RECEIVER).count()
    }
}

fn micros(from: Moment, until: Moment) -> u64 {
    u64::try_from(until.since(from).as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Makes the load, or searches. Success is all chats shown.
pub async fn run(args: LegacyArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.users >= 2 && args.users.is_multiple_of(2), "--users: an even number, 2 or more");
    ensure!(args.rate.is_finite() && args.rate > 0.0, "--rate: more than 0");
    ensure!((32..=2_000).contains(&args.size), "--size: from 32 to 2000 bytes");
    ensure!(args.lanes >= 1, "--lanes: at least 1");
    let Some(p99) = args.find_max else {
        let outcome = load(&args, args.rate).await?;
        outcome.print(args.rate);
        return Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let p99_ms = p99.as_secs_f64() * 1_000.0;
    let search = Search { p99_ms, first: args.rate, repeats: args.repeats, ..Search::default() };
    let answer = search
        .run(async |rate| {
            let outcome = load(&args, rate).await?;
            outcome.print(rate);
            anyhow::Ok(outcome.found())
        })
        .await?;
    let Some(spread) = answer.spread else { return Ok(ExitCode::FAILURE) };
    let (median, low, high) = (spread.median, spread.lowest, spread.highest);
    println!("held: {median:.0} chats/s, the median of {} ({low:.0} to {high:.0})", args.repeats);
    Ok(if low > 0.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes one load.
pub async fn load(args: &LegacyArgs, rate: f64) -> anyhow::Result<Outcome> {
    let watch = Watch::of_run(args.processes.clone());
    let targets = args.targets.iter().map(Target::find).collect::<Result<Vec<_>, _>>()?;
    let at = |user: u32| targets[user as usize % targets.len()].clone();
    let mut sockets = Vec::new();
    for user in 0..args.users {
        sockets.push(clients::open(&at(user), user).await?);
    }
    let load = Arc::new(Load::new(args, rate, watch.clock()));
    let reading = |(user, socket)| tokio::spawn(Reader::new(&load, user).read(socket));
    let readers: Vec<_> = (0..args.users).zip(sockets).map(reading).collect();
    let lanes = Lanes::start(&load, args, at);
    for (number, (due, sender)) in load.chats.iter().enumerate() {
        sleep_until(load.clock.instant(*due)).await;
        lanes.give(number, *sender);
    }
    let end = load.clock.now();
    let patience = Instant::now() + args.settle;
    while load.missing() > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begin = load.chats.get(load.first).map_or(end, |(due, _)| *due);
    let usage = watch.end(begin, end);
    lanes.end().await;
    load.is_over.store(true, Relaxed);
    let (http, mut wrong) = (reading::http(), 0);
    for (user, reader) in (0..args.users).zip(readers) {
        let shown = reader.await?;
        wrong += usize::from(shown != Some(clients::latest(&http, &at(user), user).await?));
    }
    let meter = load.meter.lock();
    let shown = |side| {
        let counted = load.shown.iter().skip(load.first);
        counted.filter(|shown| shown.load(Relaxed) & side != 0).count()
    };
    let process =
        |process: crate::outcome::ProcessUse| (process.name, process.role, process.cpu_secs);
    Ok(Outcome {
        due: load.chats.len() - load.first,
        stored: meter.stored,
        shown: [shown(SENDER), shown(RECEIVER)],
        missing: load.missing(),
        wrong,
        snapshots: load.snapshots.load(Relaxed),
        bytes: load.bytes.load(Relaxed),
        delivery: latency(&meter.delivery),
        own: latency(&meter.own),
        push: latency(&meter.push),
        lag: latency(&meter.lag),
        cpu: usage.processes.into_iter().map(process).collect(),
        machine: usage.machine,
        load_secs: end.since(begin).as_secs_f64(),
        error: meter.error.clone(),
    })
}

impl Outcome {
    /// Whether both sides were shown all chats, and nothing failed.
    pub fn is_good(&self) -> bool {
        self.due > 0 && self.missing == 0 && self.wrong == 0 && self.error.is_none()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub(crate) fn found(&self) -> Found {
        let p99_ms = (self.due > 0).then(|| self.delivery.p99.max(self.own.p99));
        let shown = self.shown[0].min(self.shown[1]);
        Found {
            p99_ms,
            delivered: if self.due == 0 { 0.0 } else { shown as f64 / self.due as f64 },
            is_good: self.is_good(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn print(&self, rate: f64) {
        println!("{rate:.0} chats/s: {} due, {} stored", self.due, self.stored);
        let [own, others] = self.shown;
        println!("  shown to senders {own}, to receivers {others}; missing {}", self.missing);
        println!("  last snapshots that differ from /getMessage: {}", self.wrong);
        let kib = self.bytes as f64 / 1_024.0 / self.snapshots.max(1) as f64;
        println!("  {} snapshots, {kib:.1} KiB each", self.snapshots);
        for (name, latency) in [
            ("shown to the receiver", &self.delivery),
            ("shown to the sender", &self.own),
            ("/push answered", &self.push),
            ("given out late", &self.lag),
        ] {
            let Latency { p50, p99, max, .. } = latency;
            println!("  {name}: p50 {p50:.1} ms, p99 {p99:.1} ms, most {max:.1} ms");
        }
        for (name, _, secs) in &self.cpu {
            let micros = secs * 1e6 / self.due.max(1) as f64;
            println!("  {name}: {micros:.0} µs of CPU a chat");
        }
        let servers = self.cpu.iter().filter(|(_, role, _)| *role != Role::Generator);
        let micros = servers.map(|(_, _, secs)| secs * 1e6).sum::<f64>() / self.due.max(1) as f64;
        println!("  all servers: {micros:.0} µs of CPU a chat");
        if let Some(error) = &self.error {
            println!("  first error: {error}");
        }
    }
}
