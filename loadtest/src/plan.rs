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
    /// Groups of people who write to all of their group, while some come and go, and some recall and delete.
    Group,
    /// Pairs of people who send each other pictures.
    Media,
}

fn one() -> u32 {
    1
}

/// What a run is to do. Durations are in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub scenario: Scenario,
    /// Where the servers are: `http://HOST:PORT`, replicas or a load balancer. Phones are spread over them.
    pub targets: Vec<Url>,
    /// People.
    pub users: u32,
    /// Phones of each of them. The first one writes.
    #[serde(default = "one")]
    pub phones: u32,
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
    /// For `group`: people of each group.
    #[serde(default)]
    pub group_size: u32,
    /// For `group`: joins, leaves, recalls and deletions together, as a share of the chats.
    #[serde(default)]
    pub changes: f64,
    /// For `media`: about how many bytes a picture has.
    #[serde(default)]
    pub picture_size: usize,
    /// What is random follows from it.
    pub seed: u64,
    /// Generator threads.
    pub threads: usize,
    /// How long all may take, after the load, to be acknowledged and shown.
    pub settle_secs: f64,
    /// A file of `USER_ID TOKEN` lines, in place of logins.
    pub tokens: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            scenario: Scenario::Chat,
            targets: Vec::new(),
            users: 100,
            phones: 1,
            rate: 200.0,
            duration_secs: 10.0,
            ramp_secs: 1.0,
            warm_up_secs: 5.0,
            size: 100,
            window: 16,
            think_secs: 10.0,
            every_secs: 10.0,
            group_size: 50,
            changes: 0.1,
            picture_size: 4_000_000,
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

    /// How many phones there are. Those with the numbers of people are their first ones.
    pub fn all_phones(&self) -> u32 {
        self.users * self.phones
    }

    /// For `group`: the group of a person.
    pub fn group_of(&self, person: u32) -> u32 {
        person / self.group_size
    }

    /// For `group`: the first person of a group, who owns it.
    pub fn owner_of(&self, group: u32) -> u32 {
        group * self.group_size
    }

    /// For `group`: whether a person comes and goes, and does not write: the last tenth of a group.
    pub fn roves(&self, person: u32) -> bool {
        let place = person % self.group_size;
        place >= self.group_size - (self.group_size / 10).max(1)
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
