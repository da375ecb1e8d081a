//! How fast snapshots are written to one socket.

use std::time::Duration;

use tokio::time::Instant;

/// Snapshots are written at this rate of bytes: one of a hundred long chats is half a megabyte, and a
/// client may be owed five in a second. Those that are small come at once.
const BYTES_PER_SEC: u32 = 256 * 1024;

/// The `limits.sends_per_sec` that this rate is made for. Where users may send more, it is higher.
const SENDS_PER_SEC: u32 = 5;

/// So many bytes ahead of that rate are written at once.
const BURST_BYTES: u32 = 1024 * 1024;

/// The longest pause after a snapshot, however large the settings let it be.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// When the next snapshot may be written: a bucket of bytes, as the moment at which it is full again.
pub(super) struct Pace {
    bytes_per_sec: u32,
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(sends_per_sec: u32, now: Instant) -> Self {
        let sends_per_sec = sends_per_sec.max(SENDS_PER_SEC);
        let bytes_per_sec = (BYTES_PER_SEC / SENDS_PER_SEC).saturating_mul(sends_per_sec);
        Self { bytes_per_sec, full_at: now }
    }

    /// Notes a snapshot. It may be larger than what was left.
    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let took = Duration::from_secs(size.into()) / self.bytes_per_sec;
        self.full_at = (self.full_at.max(now) + took).min(now + self.burst() + MAX_PAUSE);
    }

    /// When the next one may be written.
    pub(super) fn next(&self) -> Instant {
        self.full_at.checked_sub(self.burst()).unwrap_or(self.full_at)
    }

    fn burst(&self) -> Duration {
        Duration::from_secs(BURST_BYTES.into()) / self.bytes_per_sec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn small_snapshots_come_at_once_and_large_ones_at_the_rate() {
        let begun = Instant::now();
        let mut pace = Pace::new(SENDS_PER_SEC, begun);
        // Five small ones a second, for ever.
        let mut now = begun;
        for _ in 0..1_000 {
            assert!(pace.next() <= now);
            pace.wrote(50_000, now);
            now += Duration::from_millis(200);
        }
        // Large ones: the burst, and then the rate.
        let (begun, mut written) = (now, 0);
        while now < begun + Duration::from_mins(1) {
            now = now.max(pace.next());
            pace.wrote(600_000, now);
            written += 600_000;
        }
        let most = BURST_BYTES + 61 * BYTES_PER_SEC + 600_000;
        assert!(written <= most && written > 60 * BYTES_PER_SEC, "{written}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_an_end() {
        let now = Instant::now();
        let mut pace = Pace::new(SENDS_PER_SEC, now);
        pace.wrote(50_000_000, now);
        assert_eq!(pace.next(), now + MAX_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn where_users_may_send_more_the_rate_is_higher() {
        let now = Instant::now();
        let pause = |sends_per_sec| {
            let mut pace = Pace::new(sends_per_sec, now);
            pace.wrote(2 * 1024 * 1024, now);
            pace.next() - now
        };
        assert_eq!(pause(1), pause(SENDS_PER_SEC));
        assert!(pause(10 * SENDS_PER_SEC) < pause(SENDS_PER_SEC) / 9);
    }
}
