//! The result of a soak, and what grew in it: the slope of a line through what was seen of a process.

use serde::{Deserialize, Serialize};

use crate::outcome::{Fault, Totals};

/// Above this, a figure grows: a share of its mean, in an hour.
const MOST_AN_HOUR: f64 = 0.01;
/// The first part of a run in which caches fill.
const WARMING_SHARE: f64 = 0.25;

/// What a soak found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Soaked {
    /// The time of day at which it began, RFC 3339 in UTC.
    pub begun_at: String,
    pub secs: f64,
    pub parts: Vec<Part>,
    pub faults: Vec<Fault>,
    pub growths: Vec<Growth>,
    pub remarks: Vec<String>,
    /// By process.
    pub looks: Vec<(String, Vec<Look>)>,
}

/// What a group of people did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    pub name: String,
    pub totals: Totals,
    /// What the ledger says of the chats.
    pub ledger: String,
    pub is_clean: bool,
}

impl Soaked {
    /// Whether nothing was lost, and nothing grows. Of a soak in which nothing was seen, nobody knows.
    pub fn is_good(&self) -> bool {
        let is_clean = self.parts.iter().all(|part| part.is_clean);
        is_clean && !self.growths.is_empty() && self.growths.iter().all(Growth::is_flat)
    }
}

/// One look at a process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// Seconds since the load began.
    pub at: f64,
    pub pid: u32,
    pub rss_bytes: u64,
    /// Open file descriptors.
    pub fds: u64,
    /// Series that `/metrics` shows; absent if it did not answer.
    pub series: Option<u64>,
}

/// What a figure of a process did over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    pub process: String,
    pub what: What,
    /// Over how many seconds it was seen.
    pub secs: f64,
    pub mean: f64,
    /// What the line through it rises by, as a share of the mean, in an hour.
    pub an_hour: f64,
}

impl Growth {
    /// Whether it stays what it is.
    pub fn is_flat(&self) -> bool {
        self.an_hour <= MOST_AN_HOUR
    }
}

/// A figure of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    Memory,
    FileDescriptors,
    Series,
}

impl What {
    /// In a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::FileDescriptors => "file descriptors",
            Self::Series => "series",
        }
    }

    fn of(self, look: &Look) -> Option<u64> {
        match self {
            Self::Memory => Some(look.rss_bytes),
            Self::FileDescriptors => Some(look.fds),
            Self::Series => look.series,
        }
    }
}

/// How a figure of a process grew over the longest time that it lived without being started again, without the time
/// in which caches fill. None of what was seen fewer than three times.
pub fn growth(process: &str, what: What, looks: &[Look]) -> Option<Growth> {
    let lives = looks.chunk_by(|a, b| a.pid == b.pid);
    let life = lives.max_by(|a, b| span(a).total_cmp(&span(b)))?;
    let from = life[0].at + span(life) * WARMING_SHARE;
    let warm = life.iter().filter(|look| look.at >= from);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let points: Vec<_> = warm.filter_map(|look| Some((look.at, what.of(look)? as f64))).collect();
    let (mean, slope) = line(&points)?;
    let secs = points.last()?.0 - points.first()?.0;
    let an_hour = if mean > 0.0 { slope * 3_600.0 / mean } else { 0.0 };
    Some(Growth { process: process.to_owned(), what, secs, mean, an_hour })
}

/// The looks at all of these together, at the moments at which none of them was away. When one is started again its
/// clients are at the others, so only the sum of what clients take stays what it is.
pub fn together(processes: &[&[Look]]) -> Vec<Look> {
    let first = processes.first().copied().unwrap_or_default();
    let all = first.iter().map(|look| {
        let same = processes
            .iter()
            .map(|looks| looks.iter().find(|other| other.at.total_cmp(&look.at).is_eq()));
        let sum = same
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .fold((0, 0), |(rss, fds), look| (rss + look.rss_bytes, fds + look.fds));
        Some(Look { at: look.at, pid: 0, rss_bytes: sum.0, fds: sum.1, series: None })
    });
    all.flatten().collect()
}

fn span(looks: &[Look]) -> f64 {
    looks.last().map_or(0.0, |last| last.at - looks[0].at)
}

/// The mean of the values, and the slope of the line with the least squares through them.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let (at, value) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (at, value) = (at / count, value / count);
    let (mut with, mut square) = (0.0, 0.0);
    for (x, y) in points {
        with += (x - at) * (y - value);
        square += (x - at) * (x - at);
    }
    (square > 0.0).then(|| (value, with / square))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look each ten seconds.
    fn looks(pid: u32, secs: std::ops::Range<u32>, rss: impl Fn(u32) -> u64) -> Vec<Look> {
        let at = secs.step_by(10);
        let look =
            |at| Look { at: f64::from(at), pid, rss_bytes: rss(at), fds: 40, series: Some(7) };
        at.map(look).collect()
    }

    fn memory(looks: &[Look]) -> Growth {
        growth("a", What::Memory, looks).unwrap()
    }

    #[test]
    fn a_soak_in_which_nothing_was_seen_is_not_good() {
        let growths = growth("a", What::Memory, &looks(1, 0..7_200, |_| 5)).into_iter().collect();
        let (parts, faults, remarks, looks) = (vec![], vec![], vec![], vec![]);
        let begun_at = String::new();
        let seen = Soaked { begun_at, secs: 7_200.0, parts, faults, growths, remarks, looks };
        assert!(seen.is_good());
        assert!(!Soaked { growths: Vec::new(), ..seen }.is_good());
    }

    #[test]
    fn what_rises_by_more_than_a_hundredth_an_hour_grows() {
        for (by_hour, is_flat) in
            [(0, true), (900_000, true), (1_100_000, false), (-9_000_000, true)]
        {
            let rss =
                |at: u32| u64::try_from(100_000_000 + i64::from(at) * by_hour / 3_600).unwrap();
            let looks = looks(1, 0..7_200, rss);
            let found = memory(&looks);
            assert_eq!(found.is_flat(), is_flat, "{found:?}");
            assert!((found.secs - 5_390.0).abs() < 11.0, "{found:?}");
            for what in [What::FileDescriptors, What::Series] {
                assert!(growth("a", what, &looks).unwrap().is_flat());
            }
        }
    }

    #[test]
    fn neither_the_beginning_nor_another_process_counts() {
        let filling =
            |at: u32| if at < 1_000 { 5_000_000 + u64::from(at) * 5_000 } else { 10_000_000 };
        assert!(memory(&looks(1, 0..7_200, filling)).is_flat());
        let mut two = looks(1, 0..600, |_| 5_000_000);
        two.extend(looks(2, 600..7_200, |_| 10_000_000));
        assert!(memory(&two).is_flat());
        assert!((memory(&two).mean - 10_000_000.0).abs() < 1.0);
    }

    #[test]
    fn what_was_hardly_seen_says_nothing() {
        assert_eq!(growth("a", What::Memory, &[]), None);
        assert_eq!(growth("a", What::Memory, &looks(1, 0..20, |_| 5)), None);
        let unanswered = |look: Look| Look { series: None, ..look };
        let looks: Vec<_> = looks(1, 0..100, |_| 5).into_iter().map(unanswered).collect();
        assert_eq!(growth("a", What::Series, &looks), None);
    }

    #[test]
    fn clients_that_move_to_another_replica_are_no_growth() {
        let of = |fds: fn(f64) -> f64| -> Vec<Look> {
            let looks = looks(1, 0..7_200, |_| 5).into_iter();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "of this test"
            )]
            looks.map(|look| Look { fds: fds(look.at) as u64, ..look }).collect()
        };
        let (more, mut fewer) = (of(|at| 100.0 + at / 100.0), of(|at| 200.0 - at / 100.0));
        assert!(!growth("a", What::FileDescriptors, &more).unwrap().is_flat());
        // Away for a moment.
        fewer.remove(3);
        let all = together(&[&more, &fewer]);
        assert_eq!(all.len(), more.len() - 1);
        assert!(growth("all", What::FileDescriptors, &all).unwrap().an_hour.abs() < 0.001);
    }
}
