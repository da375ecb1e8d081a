//! Lets whoever is asked rest that fails again and again: its calls would only keep senders waiting.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// After how many failures in a row it rests.
const FAILURES: u32 = 20;

/// How long it rests. Then one call tries it; the others wait for how that ends.
const REST: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Breaker {
    /// Whether it may be called now.
    pub fn may_call(&self) -> bool {
        let mut state = self.0.lock();
        let now = Instant::now();
        match state.rests_until {
            Some(until) if now < until => false,
            Some(_) => {
                // This call tries it.
                state.rests_until = Some(now + REST);
                true
            }
            None => true,
        }
    }

    /// A call has succeeded.
    pub fn succeeded(&self) {
        *self.0.lock() = State::default();
    }

    /// A call has failed. Whether it begins to rest by that.
    pub fn failed(&self) -> bool {
        let mut state = self.0.lock();
        state.failures += 1;
        if state.failures < FAILURES {
            return false;
        }
        let begins = state.rests_until.is_none();
        state.rests_until = Some(Instant::now() + REST);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_some_failures_one_call_in_a_while_tries_again() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(breaker.may_call() && !breaker.failed());
        }
        assert!(breaker.may_call() && breaker.failed());
        assert!(!breaker.may_call());
        tokio::time::advance(REST).await;
        assert!(breaker.may_call() && !breaker.may_call(), "one tries it");
        assert!(!breaker.failed() && !breaker.may_call());
        tokio::time::advance(REST).await;
        assert!(breaker.may_call());
        breaker.succeeded();
        assert!(breaker.may_call() && breaker.may_call());
    }
}
