//! What is to be trimmed of timelines: the decision, which is the same in every database.

use sqlx::FromRow;

use super::error::corrupt;
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

/// What a job that trims timelines must know of one.
#[derive(Clone, Copy, FromRow)]
pub(super) struct TrimRow {
    user_id: UserId,
    first_seq: Seq,
    last_seq: Seq,
    /// The first event among the first [`TRIM_STEP`] that is not too old.
    fresh_seq: Option<Seq>,
}

/// Decides what is to be trimmed where `keep` events are kept.
pub(super) fn page(rows: &[TrimRow], keep: u64) -> sqlx::Result<TrimPage> {
    let trims = rows.iter().filter_map(|row| trim(row, keep).transpose());
    let last = rows.last().map(|row| row.user_id);
    Ok(TrimPage { trims: trims.collect::<sqlx::Result<_>>()?, last })
}

fn trim(row: &TrimRow, keep: u64) -> sqlx::Result<Option<Trim>> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let (first, last) = (row.first_seq.get(), row.last_seq.get());
    // All numbers are below 2^53.
    let step_end = (first + i64::from(TRIM_STEP) - 1).min(last);
    let aged = row.fresh_seq.map_or(step_end, |fresh| fresh.get() - 1);
    let up_to = aged.max(last.saturating_sub(keep)).min(step_end);
    let Some(events) = u32::try_from(up_to - first + 1).ok().filter(|events| *events > 0) else {
        return Ok(None);
    };
    let has_more = up_to == step_end && up_to < last;
    let up_to = Seq::new(up_to).map_err(|_| corrupt("a timeline begins before its first event"))?;
    Ok(Some(Trim { user: row.user_id, up_to, events, has_more }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of what is trimmed, and whether there may be more.
    fn trimmed(first: i64, last: i64, fresh: Option<i64>, keep: u64) -> Option<(i64, bool)> {
        let (user_id, seq) = (UserId::new(7).unwrap(), |seq| Seq::new(seq).unwrap());
        let (first_seq, last_seq, fresh_seq) = (seq(first), seq(last), fresh.map(seq));
        let page = page(&[TrimRow { user_id, first_seq, last_seq, fresh_seq }], keep).unwrap();
        assert_eq!(page.last, Some(user_id));
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
