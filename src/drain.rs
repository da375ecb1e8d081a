//! When a stopping replica drains its sockets, and when their clients may come back.

use std::{sync::OnceLock, time::Duration};

use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a drained client may take to read the close frame and to answer it.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Within how long a client comes back where other replicas are up. It may be short, since sockets are drained
/// one after another, and must be, since [`crate::presence::OFFLINE_GRACE`] runs.
const RETURN_WAIT: Duration = Duration::from_secs(1);

/// The schedule of a replica that stops. In the pause all goes on, but new sockets are refused. In the window
/// sockets are drained, each at a random moment. After it nothing is served.
#[derive(Debug)]
pub struct Drain {
    /// How long a load balancer takes to notice.
    pub pause: Duration,
    /// How long draining takes.
    pub window: Duration,
    /// Whether there are other replicas for the clients.
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

    /// Begins the window. Returns the time in which all sockets must be told to leave, so that the last of
    /// them is closed when the window ends.
    pub fn open_window(&self) -> Duration {
        self.ends.get_or_init(|| Instant::now() + self.window);
        self.leaving.cancel();
        self.window.saturating_sub(CLOSE_WAIT.min(self.window / 2))
    }

    /// Waits until the window begins.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// After how long a client that is drained now may come back, at most a window: soon to another replica,
    /// and to this one once it can have started again.
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
