//! What processes take of the machine: CPU and memory, looked at each second by a thread of its own.

use std::{
    fs,
    path::PathBuf,
    str::FromStr,
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::machine::{self, Busy};
use phone::clock::{Clock, Moment};

use crate::outcome::{Machine, ProcessUse, Role, Sample};

const EVERY: Duration = Duration::from_secs(1);

/// Over less than this, the kernel's ticks of 10 ms say little of how many cores a process takes.
const SHORTEST: Duration = Duration::from_millis(200);

/// A process to look at, with all that it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    pub role: Role,
    pub pid: Pid,
}

/// Where the id of a process is known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pid {
    Is(u32),
    /// The first word of this file, read anew each time: a process that was started again has another.
    In(PathBuf),
}

/// A process that cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("not a process: `{0}`; what is meant is NAME=PID, such as imserver-1=4711")]
pub struct NotAProcess(String);

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Unmeasured {
    #[error("CPU and memory of processes are measured on Linux only")]
    NotLinux,
    #[error("CPU and memory of processes were not measured: {0}")]
    Unreadable(String),
}

/// What was taken of the machine over a load.
#[derive(Debug)]
pub struct Usage {
    /// In the order in which they were given; none if nothing was measured.
    pub processes: Vec<ProcessUse>,
    pub machine: Machine,
    /// Why something is missing.
    pub unmeasured: Option<Unmeasured>,
}

impl Watched {
    /// A process, with the role that its name tells.
    pub fn new(name: impl Into<String>, pid: Pid) -> Self {
        let name = name.into();
        Self { role: role_of(&name), name, pid }
    }

    /// This program.
    pub fn generator() -> Self {
        let (name, pid) = ("loadtest".to_owned(), Pid::Is(std::process::id()));
        Self { name, role: Role::Generator, pid }
    }
}

/// `postgres`, `redis` and `nginx` are what they are called, with or without a number; the rest are servers.
fn role_of(name: &str) -> Role {
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    match kind {
        "postgres" => Role::Postgres,
        "redis" | "valkey" => Role::Redis,
        "nginx" | "haproxy" | "balancer" => Role::Balancer,
        _ => Role::Server,
    }
}

impl FromStr for Watched {
    type Err = NotAProcess;

    fn from_str(text: &str) -> Result<Self, NotAProcess> {
        let error = || NotAProcess(text.to_owned());
        let (name, pid) = text.split_once('=').ok_or_else(error)?;
        let pid = pid.parse().ok().filter(|pid| *pid > 0).ok_or_else(error)?;
        if name.is_empty() {
            return Err(error());
        }
        Ok(Self::new(name, Pid::Is(pid)))
    }
}

impl Pid {
    fn now(&self) -> Option<u32> {
        match self {
            Self::Is(pid) => Some(*pid),
            Self::In(file) => {
                fs::read_to_string(file).ok()?.split_whitespace().next()?.parse().ok()
            }
        }
    }
}

/// A thread that looks. Its own CPU is among that of [`Watched::generator`].
#[derive(Debug)]
pub struct Watch {
    watched: Vec<Watched>,
    clock: Clock,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Result<Vec<Look>, Unmeasured>>,
}

/// One look at everything.
#[derive(Debug)]
struct Look {
    at: Moment,
    busy: Busy,
    /// By process: seconds of CPU since the first look, and bytes of resident memory now; none if it is
    /// away.
    trees: Vec<(f64, Option<u64>)>,
}

impl Watch {
    /// Looks at these and at this program from now on. Begun before anybody logs in, it knows what the
    /// servers' memory was without anybody.
    pub fn of_run(mut watched: Vec<Watched>) -> Self {
        watched.push(Watched::generator());
        Self::start(watched, Clock::start())
    }

    /// Looks at these from now on: once before it returns.
    pub fn start(watched: Vec<Watched>, clock: Clock) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (looked, first) = mpsc::channel();
        let pids: Vec<_> = watched.iter().map(|watched| watched.pid.clone()).collect();
        let thread = thread::spawn(move || look_on(&pids, clock, &looked, &stopped));
        // There is none if there is nothing to see.
        let _ = first.recv();
        Self { watched, clock, stop, thread }
    }

    /// By which it tells the time.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Looks once more; what was taken from `from`, which is when the load began, until `until`.
    pub fn end(self, from: Moment, until: Moment) -> Usage {
        // It has ended already if there was nothing to see.
        let _ = self.stop.send(());
        let looks = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(Unmeasured::Unreadable("the thread panicked".to_owned())));
        let (looks, unmeasured) = match looks {
            Ok(looks) => (looks, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut machine = machine::describe();
        if unmeasured.is_some() {
            return Usage { processes: Vec::new(), machine, unmeasured };
        }
        let over =
            |of: &dyn Fn(&Look) -> f64| (at(&looks, until, of) - at(&looks, from, of)).max(0.0);
        let processes: Vec<_> = (0..)
            .zip(self.watched)
            .map(|(place, Watched { name, role, .. })| {
                let samples = samples(&looks, place, from);
                let end = until.since(from).as_secs_f64();
                let in_load = samples.iter().filter(|sample| (0.0..=end).contains(&sample.at));
                let rss = |look: Option<&Look>| {
                    look.and_then(|look| look.trees[place].1).unwrap_or_default()
                };
                let last = rss(looks.iter().find(|look| look.at >= until).or(looks.last()));
                let max = in_load.map(|sample| sample.rss_bytes).max().unwrap_or_default();
                ProcessUse {
                    name,
                    role,
                    cpu_secs: over(&|look| look.trees[place].0),
                    first_rss_bytes: rss(looks.first()),
                    last_rss_bytes: last,
                    max_rss_bytes: max.max(last),
                    samples,
                }
            })
            .collect();
        let ours: f64 = processes.iter().map(|process| process.cpu_secs).sum();
        machine.others_cpu_secs = (over(&|look| look.busy.secs) - ours).max(0.0);
        machine.stolen_cpu_secs = over(&|look| look.busy.stolen_secs);
        Usage { processes, machine, unmeasured }
    }
}

/// A rising figure at this moment, between the looks before and after it.
fn at(looks: &[Look], moment: Moment, of: &dyn Fn(&Look) -> f64) -> f64 {
    let next = looks.partition_point(|look| look.at < moment);
    let (Some(after), Some(before)) = (looks.get(next), looks[..next].last()) else {
        return looks.get(next).or(looks.last()).map_or(0.0, of);
    };
    let whole = after.at.since(before.at).as_secs_f64();
    let share = moment.since(before.at).as_secs_f64() / whole;
    of(before) + (of(after) - of(before)) * share
}

/// None of the time that it was away, and none of the moment between the last two looks if it was too short.
fn samples(looks: &[Look], place: usize, begun: Moment) -> Vec<Sample> {
    let pairs = looks.iter().zip(looks.iter().skip(1));
    pairs
        .filter_map(|(before, look)| {
            let (cpu, rss_bytes) = look.trees[place];
            let time = look.at.since(before.at);
            let rss_bytes = rss_bytes.filter(|_| time >= SHORTEST)?;
            Some(Sample {
                at: look.at.since(begun).as_secs_f64() - begun.since(look.at).as_secs_f64(),
                cores: (cpu - before.trees[place].0) / time.as_secs_f64(),
                rss_bytes,
            })
        })
        .collect()
}

/// The ids of a process and of all that it started, itself first; itself alone where that is not known.
pub fn tree_of(pid: u32) -> Vec<u32> {
    #[cfg(target_os = "linux")]
    if let Ok(snapshot) = super::linux::Snapshot::take() {
        return snapshot.pids(pid);
    }
    vec![pid]
}

/// Bytes of resident memory of the process and of all that it started; none where that is not known.
pub fn rss_of(pid: u32) -> Option<u64> {
    #[cfg(target_os = "linux")]
    return Some(super::linux::Snapshot::take().ok()?.tree(pid)?.rss_bytes);
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// How many file descriptors the process has open; none where that is not known.
pub fn fds_of(pid: u32) -> Option<u64> {
    #[cfg(target_os = "linux")]
    return super::linux::fds_of(pid);
    #[cfg(not(target_os = "linux"))]
    return None;
}

#[cfg(not(target_os = "linux"))]
fn look_on(
    _: &[Pid],
    _: Clock,
    _: &mpsc::Sender<()>,
    _: &mpsc::Receiver<()>,
) -> Result<Vec<Look>, Unmeasured> {
    Err(Unmeasured::NotLinux)
}

/// What a process had taken when it was last looked at.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Default)]
struct Account {
    /// Which process: its id and when it was started.
    who: Option<(u32, u64)>,
    cpu_secs: f64,
    /// Of all that had this name so far.
    sum: f64,
}

#[cfg(target_os = "linux")]
fn look_on(
    pids: &[Pid],
    clock: Clock,
    looked: &mpsc::Sender<()>,
    stopped: &mpsc::Receiver<()>,
) -> Result<Vec<Look>, Unmeasured> {
    use super::linux::Snapshot;

    let mut accounts = vec![Account::default(); pids.len()];
    let mut looks: Vec<Look> = Vec::new();
    let mut next = clock.now();
    let mut is_last = false;
    loop {
        let snapshot =
            Snapshot::take().map_err(|error| Unmeasured::Unreadable(error.to_string()))?;
        let look = Look {
            at: clock.now(),
            busy: snapshot.busy,
            trees: pids
                .iter()
                .zip(&mut accounts)
                .map(|(pid, account)| {
                    let tree = pid.now().and_then(|pid| Some((pid, snapshot.tree(pid)?)));
                    let Some((pid, tree)) = tree else { return (account.sum, None) };
                    let who = Some((pid, tree.started));
                    // One that was there before the first look had taken something by then.
                    let before = match account.who {
                        before if before == who => account.cpu_secs,
                        None if looks.is_empty() => tree.cpu_secs,
                        _ => 0.0,
                    };
                    // What ends without anybody waiting for it takes its account along.
                    account.sum += (tree.cpu_secs - before).max(0.0);
                    (account.who, account.cpu_secs) = (who, tree.cpu_secs);
                    (account.sum, Some(tree.rss_bytes))
                })
                .collect(),
        };
        looks.push(look);
        // Nobody waits for another one than the first.
        let _ = looked.send(());
        if is_last {
            return Ok(looks);
        }
        // What was missed is not made up for: looks that follow each other at once tell nothing.
        next = next.after(EVERY).max(clock.now());
        let wait = next.since(clock.now());
        is_last = !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_name_and_an_id() {
        let watched: Watched = "imserver-2=4711".parse().unwrap();
        assert_eq!(watched, Watched::new("imserver-2", Pid::Is(4711)));
        for (name, role) in [
            ("imserver-2", Role::Server),
            ("ws-batch", Role::Server),
            ("postgres", Role::Postgres),
            ("redis-1", Role::Redis),
            ("nginx", Role::Balancer),
        ] {
            assert_eq!(Watched::new(name, Pid::Is(1)).role, role, "{name}");
        }
        for text in ["", "imserver", "=5", "imserver=", "imserver=x", "imserver=0", "imserver=-1"] {
            let error = text.parse::<Watched>().unwrap_err().to_string();
            assert!(error.contains("NAME=PID"), "{error}");
        }
    }

    #[test]
    fn what_lies_between_two_looks_is_in_proportion() {
        let look = |secs: u64, cpu: f64, rss: u64| Look {
            at: Moment(secs * 1_000_000_000),
            busy: Busy::default(),
            trees: vec![(cpu, Some(rss))],
        };
        let looks = [look(1, 0.0, 5), look(2, 1.0, 9), look(4, 2.0, 7)];
        let cpu = |millis: u64| at(&looks, Moment(millis * 1_000_000), &|look| look.trees[0].0);
        let moments = [0, 1_000, 1_500, 2_000, 3_000, 4_000, 9_000];
        let found = format!("{:.2?}", moments.map(cpu));
        assert_eq!(found, "[0.00, 0.00, 0.50, 1.00, 1.50, 2.00, 2.00]");
        let samples = samples(&looks, 0, Moment(3_000_000_000));
        let found: Vec<_> = samples.iter().map(|s| (s.at, s.cores, s.rss_bytes)).collect();
        assert_eq!(found, [(-1.0, 1.0, 9), (1.0, 0.5, 7)]);
    }
}
