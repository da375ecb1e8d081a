//! What a comparison of servers found: the JSON that it writes, and the one source of its table and its page.
//!
//! The servers were run in turn, on the same work and machine, several times over; every repeat is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::Machine;

/// The version of this shape. A reader refuses another one.
pub const VERSION: u32 = 1;

/// What a comparison of servers found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// [`VERSION`].
    pub version: u32,
    /// The time of day at which it began, RFC 3339 in UTC.
    pub begun_at: String,
    /// Where it ran. Seconds of CPU are those of all runs together.
    pub machine: Machine,
    /// What was equal for all, a line each: `1,000 people in pairs, across two processes`.
    pub conditions: Vec<String>,
    /// The servers, in the order in which they are to be shown. Ratios are of the first one.
    pub servers: Vec<Compared>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// A server and what was measured of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// As `./dev compare --without` names it: `imserver`, `ws-batch`, `centrifugo-insert`.
    pub server: String,
    /// What it is, in a few words: `Node ws, an INSERT each`.
    pub title: String,
    /// The versions of what it is made of, by name: `socket.io`, `node`.
    pub versions: BTreeMap<String, String>,
    /// One for each [`Measure`] at most.
    pub measured: Vec<Measured>,
}

/// What is measured, and at which rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measure {
    pub quantity: Quantity,
    /// Chats a second that were due; absent where the rate is the result, or nobody wrote.
    pub rate: Option<f64>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quantity {
    /// The most chats a second with p99 below 100 ms and all delivered.
    MaxRate,
    /// Seconds of CPU per 1,000 chats, all processes but the generator.
    CpuOfAll,
    /// Seconds of CPU per 1,000 chats, of [`Role::Server`](crate::outcome::Role) alone.
    CpuOfServers,
    /// Percentiles of delivery, in milliseconds.
    P50,
    P99,
    /// Bytes of resident memory of the servers per idle connection.
    RssPerConnection,
}

/// All repeats of a measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    #[serde(flatten)]
    pub measure: Measure,
    /// In the order of time. Those that failed are not among them.
    pub repeats: Vec<Repeat>,
    /// Of the repeats; absent if there are none.
    pub spread: Option<Spread>,
    /// Why repeats gave no value, a text for each: `p99 was 4,102 ms at 8,000/s`.
    pub failures: Vec<String>,
}

/// One repeat of a measure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeat {
    pub value: f64,
    /// Cores that others took of the machine meanwhile, those stolen by the host included: its noise.
    pub others_cores: f64,
}

/// The middle and the ends of several values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    pub lowest: f64,
    pub median: f64,
    pub highest: f64,
}

impl Spread {
    /// Of these values, in any order; none if there are none. Between two values in the middle, the median
    /// is halfway.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&lowest, &highest) = (values.first()?, values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { lowest, median, highest })
    }
}

impl Measured {
    pub fn new(measure: Measure, repeats: Vec<Repeat>, failures: Vec<String>) -> Self {
        let spread = Spread::of(repeats.iter().map(|repeat| repeat.value));
        Self { measure, repeats, spread, failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        let odd = Spread { lowest: 1.0, median: 2.0, highest: 9.0 };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(odd));
        let even = Spread { lowest: 1.0, median: 3.0, highest: 9.0 };
        assert_eq!(spread(&[9.0, 4.0, 1.0, 2.0]), Some(even));
    }
}
