//! What a run is to do.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

/// What kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Scenario {
    /// Pairs of people who write to each other, the two on different targets.
    Chat,
    /// Many senders write to one receiver.
    Inbox,
    /// Connections only: what each costs in memory.
    Idle,
    /// All reconnect at once, again and again, while some go on writing.
    Storm,
    /// Phones that come and go.
    Churn,
    /// Paging and conversation lists under load.
    History,
    /// Chat for hours: what grows.
    Soak,
}

/// What a run is to do. Durations are in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub scenario: Scenario,
    /// Where the servers are: `http://HOST:PORT`, replicas or a load balancer. Phones are spread over them.
    pub targets: Vec<Url>,
    /// People, one phone each.
    pub users: u32,
    /// Chats a second, all people together; what is due follows a Poisson process.
    pub rate: f64,
    pub duration_secs: f64,
    /// Over how long the phones connect.
    pub ramp_secs: f64,
    /// Load before it counts.
    pub warm_up_secs: f64,
    /// Bytes of a chat's content.
    pub size: usize,
    /// How many chats of one phone may be unacknowledged.
    pub window: usize,
    /// For `churn`: the mean time that a phone stays, and stays away.
    pub think_secs: f64,
    /// For `storm`: the time from one to the next.
    pub every_secs: f64,
    /// What is random follows from it.
    pub seed: u64,
    /// Generator threads.
    pub threads: usize,
    /// How long all may take, after the load, to be acknowledged and shown.
    pub settle_secs: f64,
    /// A file of `USER_ID TOKEN` lines; otherwise demo login makes the people.
    pub tokens: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            scenario: Scenario::Chat,
            targets: Vec::new(),
            users: 100,
            rate: 200.0,
            duration_secs: 10.0,
            ramp_secs: 1.0,
            warm_up_secs: 2.0,
            size: 100,
            window: 16,
            think_secs: 10.0,
            every_secs: 10.0,
            seed: 7,
            threads: 2,
            settle_secs: 60.0,
            tokens: None,
        }
    }
}

impl Plan {
    /// The generator thread that a phone lives on. Those who are in a storm and those who are timed
    /// meanwhile do not share one: thousands of handshakes of a thread would be what is timed.
    pub fn thread_of(&self, phone: u32) -> usize {
        let phone = phone as usize;
        match self.scenario {
            Scenario::Storm if self.threads > 1 => {
                if phone < self.staying() as usize {
                    0
                } else {
                    1 + phone % (self.threads - 1)
                }
            }
            _ => phone % self.threads,
        }
    }

    /// For `storm`: how many people stay out of it: a tenth, in pairs.
    pub fn staying(&self) -> u32 {
        (self.users / 20 * 2).max(2).min(self.users)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration_secs)
    }

    pub fn ramp(&self) -> Duration {
        Duration::from_secs_f64(self.ramp_secs)
    }

    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up_secs)
    }

    pub fn settle(&self) -> Duration {
        Duration::from_secs_f64(self.settle_secs)
    }

    pub fn think(&self) -> Duration {
        Duration::from_secs_f64(self.think_secs)
    }

    pub fn every(&self) -> Duration {
        Duration::from_secs_f64(self.every_secs)
    }
}
