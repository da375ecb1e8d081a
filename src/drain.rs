//! How a replica that stops sends its clients away: when, and when they may come back.

use std::{sync::OnceLock, time::Duration};

use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a client that leaves may take to read why, and to answer that.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Within how long a client may come back where somebody waits for it: it left at a moment of its
/// own, and [`crate::presence::OFFLINE_GRACE`] runs.
const RETURN_WAIT: Duration = Duration::from_secs(1);

/// When a replica that stops does what. Its clients see three times: all goes on as before, and only
/// new sockets are turned away (the pause); each socket leaves at a moment of its own (the window);
/// nothing is served.
#[derive(Debug)]
pub struct Drain {
    /// How long a load balancer takes to notice.
    pub pause: Duration,
    /// How long the leaving takes.
    pub window: Duration,
    /// Whether other replicas take the clients meanwhile.
    pub has_others: bool,
    leaving: CancellationToken,
    ends: OnceLock<Instant>,
}

impl Drain {
    /// A drain that has not begun.
    pub fn new(pause: Duration, window: Duration, has_others: bool) -> Self {
        let (leaving, ends) = (CancellationToken::new(), OnceLock::new());
        Self { pause, window, has_others, leaving, ends }
    }

    /// Begins the window. Returns within how long sockets are to leave, so that the last one too is
    /// closed when it ends.
    pub fn open_window(&self) -> Duration {
        self.ends.get_or_init(|| Instant::now() + self.window);
        self.leaving.cancel();
        self.window.saturating_sub(CLOSE_WAIT.min(self.window / 2))
    }

    /// Waits until the window begins.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// When a client that leaves now may come back: at most a window later. To another replica soon;
    /// to this one not before it can have started anew.
    pub fn return_after(&self) -> Duration {
        let jitter = RETURN_WAIT.mul_f64(rand::rng().random_range(0.0..1.0));
        let ends = self.ends.get().filter(|_| !self.has_others);
        let closed_for = ends.map(|ends| ends.saturating_duration_since(Instant::now()));
        (closed_for.unwrap_or_default() + jitter).min(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_come_back_at_once_where_there_are_others() {
        let drain = Drain::new(Duration::ZERO, Duration::from_secs(10), true);
        drain.open_window();
        for _ in 0..1_000 {
            assert!(drain.return_after() <= RETURN_WAIT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_a_service_alone_come_back_after_its_end() {
        let window = Duration::from_secs(10);
        let drain = Drain::new(Duration::ZERO, window, false);
        let leaving = drain.open_window();
        assert!(leaving < window);
        tokio::time::sleep(Duration::from_secs(4)).await;
        for _ in 0..1_000 {
            let after = drain.return_after();
            assert!(after >= Duration::from_secs(6) && after <= window, "{after:?}");
        }
    }
}
