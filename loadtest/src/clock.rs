//! The time of day.

use std::time::SystemTime;

use time::OffsetDateTime;

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the clock of this program")]
pub fn time_of_day() -> OffsetDateTime {
    SystemTime::now().into()
}
