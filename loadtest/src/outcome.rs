//! What a run found: the JSON that it writes, and the one source of its table and its report.
//!
//! Times are seconds since the load began, unless a name says otherwise; negative ones are of the ramp.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use phone::ledger::Verdict;

use crate::plan::{Plan, Scenario};

/// The version of this shape. A reader refuses another one.
pub const VERSION: u32 = 1;

/// What a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// [`VERSION`].
    pub version: u32,
    /// What was to be done.
    pub plan: Plan,
    /// What was under load: `imserver`, or a peer's name.
    pub server: String,
    /// The time of day at which the load began, RFC 3339 in UTC.
    pub begun_at: String,
    /// How long the load lasted, without ramp and settling.
    pub load_secs: f64,
    /// What was done, over the whole load.
    pub totals: Totals,
    /// How long what took, by what: `delivery`, `acknowledgement`, `connect`, `resume`, `history`,
    /// `conversations`, `lastDelivery`, `upload`, `picture`. Sends are counted from the moment at which they were due, so that a stalled
    /// server is charged for all whom it kept waiting.
    pub latencies: BTreeMap<String, Latency>,
    /// What happened in each second.
    pub seconds: Vec<Second>,
    /// What each part took of the machine.
    pub processes: Vec<ProcessUse>,
    /// The machine, and what others took of it.
    pub machine: Machine,
    /// Faults that were made, in the order of time.
    pub faults: Vec<Fault>,
    /// Further figures of a scenario, by name with its unit: `rssPerConnectionBytes`.
    pub figures: BTreeMap<String, f64>,
    /// What was proved of the chats.
    pub ledger: Verdict,
    /// Why the run says nothing about the server: the generator was saturated, or the like. Empty: valid.
    pub invalid: Vec<String>,
    /// What a reader should know, such as rate limits that were on.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// Whether the run says something, and something good.
    pub fn is_good(&self) -> bool {
        self.invalid.is_empty() && self.ledger.is_clean()
    }

    /// Chats that came through. In a group each is delivered many times, and counts once it is acknowledged.
    pub fn reached(&self) -> u64 {
        match self.plan.scenario {
            Scenario::Group => self.totals.acknowledged,
            _ => self.totals.delivered,
        }
    }

    /// So many per second of the load.
    #[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn per_second(&self, count: u64) -> f64 {
        if self.load_secs > 0.0 { count as f64 / self.load_secs } else { 0.0 }
    }

    /// Seconds of CPU that processes of these roles took per 1,000 chats that were acknowledged; none if
    /// nothing was, or there are no such processes.
    #[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn cpu_per_thousand(&self, roles: &[Role]) -> Option<f64> {
        let mut of_roles =
            self.processes.iter().filter(|process| roles.contains(&process.role)).peekable();
        of_roles.peek()?;
        let secs: f64 = of_roles.map(|process| process.cpu_secs).sum();
        (self.totals.acknowledged > 0).then(|| secs * 1000.0 / self.totals.acknowledged as f64)
    }
}

/// What was done in a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Chats that were due.
    pub due: u64,
    /// Chats that were sent at least once.
    pub sent: u64,
    /// Chats that were acknowledged.
    pub acknowledged: u64,
    /// Chats that a socket of somebody else was shown for the first time; in a group, once for each.
    pub delivered: u64,
    /// Errors that the server answered with, those that may be repeated included.
    pub errors: u64,
    /// Sockets that opened, the first ones included.
    pub connects: u64,
    /// Attempts to open a socket that failed.
    pub failed_connects: u64,
    /// Requests over HTTP, without those of the reading back.
    pub requests: u64,
}

/// How long something took, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    /// The whole distribution: shares from 0 to 1, rising, with the value at or below which they are.
    pub percentiles: Vec<(f64, f64)>,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Its beginning.
    pub at: f64,
    pub due: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    pub errors: u64,
    /// Sockets that were open at its end.
    pub connected: u64,
    /// Chats that were sent and not acknowledged at its end.
    pub in_flight: u64,
    /// Percentiles of delivery in milliseconds, of what was delivered in it; absent if nothing was.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// Whose process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A replica, or a peer's server.
    Server,
    Postgres,
    Redis,
    /// The load balancer.
    Balancer,
    /// This program.
    Generator,
}

impl Role {
    /// All but the generator: what a service is made of.
    pub const SERVICE: [Self; 4] = [Self::Server, Self::Postgres, Self::Redis, Self::Balancer];
}

/// What a process and those that it started took.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessUse {
    pub name: String,
    pub role: Role,
    /// Seconds of CPU over the load.
    pub cpu_secs: f64,
    /// Resident memory before anybody logged in and when the load ended, and the most that was seen.
    /// Shared pages of several processes are counted for each.
    pub first_rss_bytes: u64,
    pub last_rss_bytes: u64,
    pub max_rss_bytes: u64,
    pub samples: Vec<Sample>,
}

/// One look at a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub at: f64,
    /// Cores in use since the last look: 1.0 is one whole core.
    pub cores: f64,
    pub rss_bytes: u64,
}

/// Where it ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    pub cores: u32,
    pub cpu: String,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Seconds of CPU over the load that none of [`Outcome::processes`] took, those stolen by the
    /// host included.
    pub others_cpu_secs: f64,
    pub stolen_cpu_secs: f64,
}

/// A fault that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// `kill imserver-2`, `freeze redis`.
    pub what: String,
    pub at: f64,
    /// When it was undone; the same as `at` if there is nothing to undo.
    pub until: f64,
    /// From `at` on: until chats were acknowledged within a second of being due again. That is the last
    /// moment before the next fault at which one was later; 0 if none was. Absent if some never were.
    pub sending_after_secs: Option<f64>,
    /// The same of chats that are shown to whom they are meant for.
    pub delivering_after_secs: Option<f64>,
}
