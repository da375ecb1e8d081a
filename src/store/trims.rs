//! What timelines hold beyond what is to be kept: the part that is the same in every database.

use super::rows::{id, seq};
use crate::domain::{Seq, UserId};

/// The most events of a timeline that are to be trimmed at once: its counter is locked meanwhile.
pub const TRIM_STEP: u32 = 250;

/// Events at the beginning of a timeline that need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Whose timeline.
    pub user: UserId,
    /// The last one.
    pub up_to: Seq,
    /// How many.
    pub events: u32,
    /// Whether there may be more after them.
    pub has_more: bool,
}

/// What was found in some timelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimPage {
    /// The timelines that hold more than is to be kept.
    pub trims: Vec<Trim>,
    /// The last user whose timeline was looked at; `None` if there was none.
    pub last: Option<UserId>,
}

/// A user; the first and the last number of the timeline; and the first number, among the first
/// [`TRIM_STEP`], of an event that is not too old.
pub(super) type TrimRow = (i64, i64, i64, Option<i64>);

/// Decides what is to be trimmed where `keep` events are kept.
pub(super) fn page(rows: &[TrimRow], keep: u64) -> sqlx::Result<TrimPage> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let trims = rows.iter().filter_map(|&(user, first, last, fresh)| {
        // All numbers are below 2^53.
        let step_end = (first + i64::from(TRIM_STEP) - 1).min(last);
        let aged = fresh.map_or(step_end, |fresh| fresh - 1);
        let up_to = aged.max(last.saturating_sub(keep)).min(step_end);
        let events = u32::try_from(up_to - first + 1).ok().filter(|events| *events > 0)?;
        Some((user, up_to, events, up_to == step_end && up_to < last))
    });
    let trims = trims.map(|(user, up_to, events, has_more)| {
        Ok(Trim { user: id(user)?, up_to: seq(up_to)?, events, has_more })
    });
    let last = rows.last().map(|(user, ..)| id(*user)).transpose()?;
    Ok(TrimPage { trims: trims.collect::<sqlx::Result<_>>()?, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of what is trimmed, and whether there may be more.
    fn trimmed(first: i64, last: i64, fresh: Option<i64>, keep: u64) -> Option<(i64, bool)> {
        let page = page(&[(7, first, last, fresh)], keep).unwrap();
        assert_eq!(page.last, Some(UserId::new(7).unwrap()));
        let trim = page.trims.first()?;
        assert_eq!(i64::from(trim.events), trim.up_to.get() - first + 1);
        Some((trim.up_to.get(), trim.has_more))
    }

    #[test]
    fn the_first_fresh_event_is_kept_unless_too_many_follow() {
        assert_eq!(trimmed(1, 0, None, 10), None, "nothing ever happened");
        assert_eq!(trimmed(6, 5, None, 10), None, "all was trimmed");
        assert_eq!(trimmed(3, 8, Some(3), 10), None);
        assert_eq!(trimmed(3, 8, Some(5), 10), Some((4, false)));
        assert_eq!(trimmed(3, 8, None, 10), Some((8, false)), "all are old");
        assert_eq!(trimmed(3, 8, Some(3), 6), None);
        assert_eq!(trimmed(3, 8, Some(3), 4), Some((4, false)));
        assert_eq!(trimmed(3, 8, Some(7), 4), Some((6, false)));
        assert_eq!(trimmed(3, 8, Some(3), u64::MAX), None);
    }

    #[test]
    fn a_step_has_an_end() {
        let end = 10 + i64::from(TRIM_STEP);
        assert_eq!(trimmed(11, 5_000, None, 10_000), Some((end, true)));
        assert_eq!(trimmed(11, end, None, 10_000), Some((end, false)));
        assert_eq!(trimmed(11, 5_000, Some(11), 2_000), Some((end, true)));
        assert_eq!(trimmed(2_911, 5_000, Some(2_911), 2_000), Some((3_000, false)));
    }
}
