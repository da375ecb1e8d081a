//! The search for the highest rate that a server holds. No I/O and no clock: a run is what the caller makes
//! of it.

use crate::{comparison::Spread, outcome::Outcome};

/// What a run at one rate came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Of delivery, in milliseconds; absent if nothing was delivered.
    pub p99_ms: Option<f64>,
    /// Of what was due, what was delivered: from 0 to 1.
    pub delivered: f64,
    /// Whether the run says anything of the server, and nothing was wrong with its chats.
    pub is_good: bool,
}

impl Found {
    /// Of a run that could not be made.
    pub const NOTHING: Self = Self { p99_ms: None, delivered: 0.0, is_good: false };

    /// What a run came to.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn of(outcome: &Outcome) -> Self {
        let (due, delivered) = (outcome.totals.due, outcome.reached());
        let all = ["lastDelivery", "delivery"];
        let latency = all.iter().find_map(|kind| outcome.latencies.get(*kind));
        Self {
            p99_ms: latency.map(|latency| latency.p99),
            delivered: if due == 0 { 0.0 } else { delivered as f64 / due as f64 },
            is_good: outcome.is_good(),
        }
    }
}

/// What is sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The most that the 99th percentile of delivery may be, in milliseconds.
    pub p99_ms: f64,
    /// The least share that must be delivered.
    pub delivered: f64,
    /// The rate to begin with, in chats a second.
    pub first: f64,
    /// The highest rate to try.
    pub most: f64,
    /// How far the answer may be below the limit, as a share of it.
    pub resolution: f64,
    /// How often the search is made.
    pub repeats: usize,
}

impl Default for Search {
    /// 100 ms and all delivered, to within 5 %, three times.
    fn default() -> Self {
        Self {
            p99_ms: 100.0,
            delivered: 1.0,
            first: 1_000.0,
            most: 1_000_000.0,
            resolution: 0.05,
            repeats: 3,
        }
    }
}

/// A search that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSearch {
    #[error("the 99th percentile has to be more than 0 ms")]
    Percentile,
    #[error("the share that is delivered has to be from 0 to 1")]
    Delivered,
    #[error("the first rate has to be more than 0, and no more than the highest")]
    First,
    #[error("the resolution has to be from 0.001 to 1")]
    Resolution,
    #[error("the search has to be made at least once")]
    Repeats,
}

/// A run that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Which search, from 0.
    pub repeat: usize,
    pub rate: f64,
    pub found: Found,
    pub is_held: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Of each search, the highest rate that was held; 0 if none was.
    pub rates: Vec<f64>,
    pub spread: Option<Spread>,
    /// All runs, in the order of time.
    pub tried: Vec<Tried>,
}

/// Below this share of the first rate, a server is taken to hold nothing.
const LEAST_SHARE: f64 = 1.0 / 1_024.0;

impl Search {
    fn check(&self) -> Result<(), BadSearch> {
        let is_first = self.first > 0.0 && self.first <= self.most && self.most.is_finite();
        [
            (self.p99_ms > 0.0, BadSearch::Percentile),
            ((0.0..=1.0).contains(&self.delivered), BadSearch::Delivered),
            (is_first, BadSearch::First),
            ((0.001..=1.0).contains(&self.resolution), BadSearch::Resolution),
            (self.repeats > 0, BadSearch::Repeats),
        ]
        .into_iter()
        .find_map(|(is_good, error)| (!is_good).then_some(error))
        .map_or(Ok(()), Err)
    }

    /// Whether the rate was held.
    pub fn is_held(&self, found: &Found) -> bool {
        let is_fast = found.p99_ms.is_some_and(|p99| p99 <= self.p99_ms);
        found.is_good && is_fast && found.delivered >= self.delivered
    }

    /// Makes the search. Each one after the first begins at the answer before it: a machine does not change
    /// much from one to the next. An error of a run ends it.
    pub async fn run<E: From<BadSearch>>(
        &self,
        mut run: impl AsyncFnMut(f64) -> Result<Found, E>,
    ) -> Result<Answer, E> {
        self.check()?;
        let mut answer = Answer { rates: Vec::new(), spread: None, tried: Vec::new() };
        for repeat in 0..self.repeats {
            let mut at = async |rate: f64| -> Result<bool, E> {
                // What fails once may have been the machine.
                for _ in 0..2 {
                    let found = run(rate).await?;
                    let is_held = self.is_held(&found);
                    answer.tried.push(Tried { repeat, rate, found, is_held });
                    if is_held {
                        return Ok(true);
                    }
                }
                Ok(false)
            };
            let first = answer.rates.last().copied().filter(|rate| *rate > 0.0);
            let rate = self.once(first.unwrap_or(self.first), &mut at).await?;
            answer.rates.push(rate);
        }
        answer.spread = Spread::of(answer.rates.iter().copied());
        Ok(answer)
    }

    /// One search: up or down in steps of two until the limit is between two rates, then halfway again and
    /// again.
    async fn once<E>(
        &self,
        first: f64,
        is_held: &mut impl AsyncFnMut(f64) -> Result<bool, E>,
    ) -> Result<f64, E> {
        let (mut low, mut high);
        if is_held(first).await? {
            low = first;
            loop {
                if low >= self.most {
                    return Ok(low);
                }
                high = (low * 2.0).min(self.most);
                if !is_held(high).await? {
                    break;
                }
                low = high;
            }
        } else {
            high = first;
            loop {
                low = high / 2.0;
                if low < self.first * LEAST_SHARE {
                    return Ok(0.0);
                }
                if is_held(low).await? {
                    break;
                }
                high = low;
            }
        }
        while (high - low) / high > self.resolution {
            let middle = f64::midpoint(low, high);
            if is_held(middle).await? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    enum TestError {
        #[error(transparent)]
        Search(#[from] BadSearch),
        #[error("the run could not be made")]
        Run,
    }

    const HELD: Found = Found { p99_ms: Some(8.0), delivered: 1.0, is_good: true };
    const SLOW: Found = Found { p99_ms: Some(900.0), delivered: 1.0, is_good: true };

    /// Runs to the end without a runtime: nothing here waits.
    fn search(
        search: Search,
        mut server: impl FnMut(f64) -> Result<Found, TestError>,
    ) -> Result<Answer, TestError> {
        let running = std::pin::pin!(search.run(async |rate| server(rate)));
        match futures_util::FutureExt::now_or_never(running) {
            Some(answer) => answer,
            None => panic!("it waited"),
        }
    }

    fn of_limit(limit: f64) -> impl FnMut(f64) -> Result<Found, TestError> {
        move |rate| Ok(if rate <= limit { HELD } else { SLOW })
    }

    #[test]
    fn the_limit_is_found_from_below_and_from_above() {
        for limit in [3.0, 900.0, 1_000.0, 1_001.0, 12_345.0, 60_000.0, 999_999.0] {
            let answer = search(Search::default(), of_limit(limit)).unwrap();
            assert_eq!(answer.rates.len(), 3);
            for rate in &answer.rates {
                assert!(*rate <= limit && *rate >= limit * 0.949, "{limit}: {:?}", answer.rates);
            }
            let spread = answer.spread.unwrap();
            assert!(spread.lowest <= spread.median && spread.median <= spread.highest);
            assert!(answer.tried.len() < 100, "{limit}: {} runs", answer.tried.len());
        }
    }

    #[test]
    fn a_server_without_limit_stops_the_search_at_the_most() {
        let answer = search(Search { most: 9_000.0, ..Search::default() }, of_limit(1e9)).unwrap();
        assert!(answer.rates.iter().all(|rate| (rate - 9_000.0).abs() < 1e-6), "{answer:?}");
    }

    #[test]
    fn a_server_that_holds_nothing_holds_nothing() {
        let answer = search(Search::default(), of_limit(0.0)).unwrap();
        assert!(answer.rates.iter().all(|rate| *rate == 0.0), "{answer:?}");
        assert!(answer.tried.iter().all(|tried| !tried.is_held));
    }

    #[test]
    fn what_fails_is_tried_once_more() {
        let mut runs = 0;
        let answer = search(Search { repeats: 1, ..Search::default() }, |rate| {
            runs += 1;
            // Every other run is disturbed.
            let is_disturbed = runs % 2 == 1;
            Ok(if rate <= 10_000.0 && !is_disturbed { HELD } else { SLOW })
        });
        let rate = answer.unwrap().rates[0];
        assert!((9_490.0..=10_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn too_slow_too_little_and_invalid_are_not_held() {
        let held = |found: Found| Search::default().is_held(&found);
        assert!(held(HELD) && held(Found { p99_ms: Some(100.0), ..HELD }));
        for found in [
            SLOW,
            Found { p99_ms: None, ..HELD },
            Found { delivered: 0.9999, ..HELD },
            Found { is_good: false, ..HELD },
        ] {
            assert!(!held(found), "{found:?}");
        }
    }

    #[test]
    fn a_noisy_server_is_found_near_its_limit() {
        for seed in 0..50 {
            let mut random = SmallRng::seed_from_u64(seed);
            let limit = 20_000.0;
            let answer = search(Search { repeats: 5, ..Search::default() }, |rate| {
                // The queue grows without bound at the limit, which itself is never quite the same.
                let limit = limit * random.random_range(0.93..1.07);
                let p99_ms = if rate < limit { 5.0 / (1.0 - rate / limit) } else { 10_000.0 };
                let hiccup = if random.random_bool(0.05) { 500.0 } else { 0.0 };
                Ok(Found { p99_ms: Some(p99_ms + hiccup), ..HELD })
            });
            let spread = answer.unwrap().spread.unwrap();
            let is_near = (limit * 0.8..limit * 1.07).contains(&spread.median);
            assert!(is_near, "seed {seed}: {spread:?}");
        }
    }

    #[test]
    fn what_cannot_be_searched_or_run_is_an_error() {
        let usual = Search::default();
        for (wrong, error) in [
            (Search { p99_ms: 0.0, ..usual }, BadSearch::Percentile),
            (Search { p99_ms: f64::NAN, ..usual }, BadSearch::Percentile),
            (Search { delivered: 1.1, ..usual }, BadSearch::Delivered),
            (Search { first: 0.0, ..usual }, BadSearch::First),
            (Search { first: 2e6, ..usual }, BadSearch::First),
            (Search { resolution: 0.0, ..usual }, BadSearch::Resolution),
            (Search { repeats: 0, ..usual }, BadSearch::Repeats),
        ] {
            assert_eq!(search(wrong, of_limit(1.0)), Err(error.into()), "{wrong:?}");
        }
        assert_eq!(search(usual, |_| Err(TestError::Run)), Err(TestError::Run));
    }
}
