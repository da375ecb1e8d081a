//! The place of a reader in the outbox, and its text.

use std::{fmt, str::FromStr};

use crate::domain::Epoch;

/// The place of a reader in the outbox. Its text is for whoever has to keep it, and means nothing to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxCursor {
    /// The history in which it is a place.
    pub(super) epoch: Epoch,
    pub(super) place: Place,
}

/// A place in the outbox, by the kind of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// SQLite: after the row with this id.
    After(i64),
    /// Postgres: after all that this window shows.
    Between(Settled),
    /// Postgres: within a window.
    Within(Window),
}

/// A window that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// What was visible then has been read.
    pub(super) seen: Snapshot,
    /// The highest id among that.
    pub(super) top: i64,
}

impl Settled {
    /// Nothing was read yet.
    pub(super) const START: Self = Self { seen: Snapshot::OF_NOTHING, top: 0 };
}

/// The rows that one snapshot shows and an earlier one did not, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// What has been read before.
    pub(super) before: Settled,
    /// The snapshot whose rows are read.
    pub(super) shown: Snapshot,
    /// No row that it shows has a higher id.
    pub(super) end: i64,
    /// The id of the last row that was read; 0 at the beginning.
    pub(super) last: i64,
}

/// Which transactions of Postgres had ended at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// None from this one on had ended.
    pub(super) end: u64,
    /// Whoever has a higher number than this one took it, and then ids of rows, after the moment. At
    /// least `end - 1`: transactions between the two may have been under way.
    pub(super) begun: u64,
    /// Those below `end` that had not ended, ascending.
    pub(super) running: Vec<u64>,
}

impl Snapshot {
    /// No transaction had ended.
    pub(super) const OF_NOTHING: Self = Self { end: 1, begun: 0, running: Vec::new() };

    /// Reads what Postgres displays as a `pg_snapshot`.
    pub(super) fn of_postgres(text: &str, begun: u64) -> Option<Self> {
        let mut parts = text.split(':');
        let (first, end, running) = (parts.next()?, parts.next()?, parts.next()?);
        // Below all that are running there may be the own transaction, which counts as ended.
        number(first)?;
        let running = running.split(',').filter(|xid| !xid.is_empty()).map(number);
        Self { end: number(end)?, begun, running: running.collect::<Option<_>>()? }.checked()
    }

    /// What Postgres reads as a `pg_snapshot`.
    pub(super) fn to_postgres(&self) -> String {
        let first = self.running.first().unwrap_or(&self.end);
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        format!("{first}:{}:{}", self.end, running.join(","))
    }

    /// Itself, if its numbers are in order.
    fn checked(self) -> Option<Self> {
        let ascends = self.running.is_sorted_by(|one, next| one < next);
        let is_within = self.running.first().is_none_or(|first| *first >= 1)
            && self.running.last().is_none_or(|last| *last < self.end);
        (self.end >= 1 && self.begun >= self.end - 1 && ascends && is_within).then_some(self)
    }
}

/// `END_BEGUN`, and then those that were running, all joined by `_`.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.end, self.begun)?;
        self.running.iter().try_for_each(|xid| write!(f, "_{xid}"))
    }
}

impl Snapshot {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('_').map(number);
        let (end, begun) = (numbers.next()??, numbers.next()??);
        Self { end, begun, running: numbers.collect::<Option<_>>()? }.checked()
    }
}

impl OutboxCursor {
    /// The history in which it is a place. In another one, reading begins anew.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether a reader at this place is to read rows that one at `other` has read. Not so in another
    /// history, in which reading begins anew.
    pub fn is_behind(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.top() < other.top()
    }

    /// The highest id that was read.
    fn top(&self) -> i64 {
        match &self.place {
            Place::After(last) => *last,
            Place::Between(settled) => settled.top,
            Place::Within(window) => window.before.top.max(window.last),
        }
    }

    /// Before the row with this id, and after nothing that is not below it: only what has been read tells
    /// which of the rows below are late.
    pub(super) fn before_row(epoch: Epoch, id: i64, is_sqlite: bool) -> Self {
        let top = id - 1;
        let place = if is_sqlite {
            Place::After(top)
        } else {
            Place::Between(Settled { top, ..Settled::START })
        };
        Self { epoch, place }
    }
}

/// Letters, digits, `-`, `_` and `.`: it can stand in a URL as it is.
impl fmt::Display for OutboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.epoch)?;
        match &self.place {
            Place::After(last) => last.fmt(f),
            Place::Between(Settled { seen, top }) => write!(f, "{top}.{seen}"),
            Place::Within(Window { before: Settled { seen, top }, shown, end, last }) => {
                write!(f, "{top}.{seen}.{end}.{shown}.{last}")
            }
        }
    }
}

/// A text that is no cursor: not one that [`OutboxCursor`] displays, to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no cursor that the outbox has given out")]
pub struct InvalidCursor;

impl FromStr for OutboxCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let cursor = Self::parse(text).ok_or(InvalidCursor)?;
        // Each place has one text: none with leading zeros, none with a UUID in capitals.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

impl OutboxCursor {
    fn parse(text: &str) -> Option<Self> {
        let (epoch, place) = text.split_once('.')?;
        let parts: Vec<&str> = place.splitn(6, '.').collect();
        let place = match parts[..] {
            [last] => Place::After(row(last)?),
            [top, seen] => Place::Between(Settled { seen: Snapshot::parse(seen)?, top: row(top)? }),
            [top, seen, end, shown, last] => Place::Within(Window {
                before: Settled { seen: Snapshot::parse(seen)?, top: row(top)? },
                shown: Snapshot::parse(shown)?,
                end: row(end)?,
                last: row(last)?,
            }),
            _ => return None,
        };
        Some(Self { epoch: Epoch::parse(epoch)?, place })
    }
}

/// The number of a transaction, in digits.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The id of a row, or 0.
fn row(text: &str) -> Option<i64> {
    i64::try_from(number(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = "1f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11";

    fn parsed(place: &str) -> Result<OutboxCursor, InvalidCursor> {
        format!("{EPOCH}.{place}").parse()
    }

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        for place in ["0", "17", "3.9_11_4_7", "0.1_0", "3.9_11_4_7.40.12_12_7_10.5"] {
            let cursor = parsed(place).unwrap();
            assert_eq!(cursor.to_string(), format!("{EPOCH}.{place}"));
            assert_eq!(cursor.epoch().to_string(), EPOCH);
        }
        let Place::Within(window) = parsed("3.9_11_4_7.40.12_12_7_10.5").unwrap().place else {
            panic!("no window")
        };
        let seen = Snapshot { end: 9, begun: 11, running: vec![4, 7] };
        let shown = Snapshot { end: 12, begun: 12, running: vec![7, 10] };
        let before = Settled { seen, top: 3 };
        assert_eq!(window, Window { before, shown, end: 40, last: 5 });
    }

    #[test]
    fn places_are_compared_by_what_was_read() {
        let places = ["3.9_11_4_7", "3.9_11_4_7.40.12_12_7_10.5", "6.12_12"];
        for (at, place) in places.iter().enumerate() {
            for (of, other) in places.iter().enumerate() {
                let (place, other) = (parsed(place).unwrap(), parsed(other).unwrap());
                assert_eq!(place.is_behind(&other), at < of, "{place} {other}");
            }
        }
        let elsewhere = "2f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11.1".parse().unwrap();
        assert!(!parsed("0").unwrap().is_behind(&elsewhere));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let too_large = "9223372036854775808";
        for place in [
            "",
            "-1",
            "+1",
            "01",
            "1 ",
            "a",
            too_large,
            "1.",
            ".1_0",
            "1.2",
            "1.2_",
            "1._2",
            "1.0_0",
            "1.2_0",
            "1.9_11_7_4",
            "1.9_11_7_7",
            "1.9_11_9",
            "1.9_11_0",
            "1.9_11_x",
            "1.9_11.3",
            "1.9_11.3.9_11",
            "1.9_11.3.9_11.1.",
            "1.9_11.3.9_11.1.1",
        ] {
            assert_eq!(parsed(place), Err(InvalidCursor), "{place}");
        }
        for text in ["", ".", "17", EPOCH, &format!("{}.17", EPOCH.to_uppercase()), "{x}.17"] {
            assert_eq!(text.parse::<OutboxCursor>(), Err(InvalidCursor), "{text}");
        }
        let simple = EPOCH.replace('-', "");
        assert_eq!(format!("{simple}.17").parse::<OutboxCursor>(), Err(InvalidCursor));
    }

    #[test]
    fn a_snapshot_is_that_of_postgres() {
        let snapshot = Snapshot::of_postgres("4:9:4,7", 11).unwrap();
        assert_eq!(snapshot, Snapshot { end: 9, begun: 11, running: vec![4, 7] });
        assert_eq!(snapshot.to_postgres(), "4:9:4,7");
        assert_eq!(Snapshot::of_postgres("3:9:", 9).unwrap().to_postgres(), "9:9:");
        assert_eq!(Snapshot::OF_NOTHING.to_postgres(), "1:1:");
        for text in ["", "9", "9:9", "a:9:", "4:9:7,4", "4:9:9", "4:0:"] {
            assert_eq!(Snapshot::of_postgres(text, 11), None, "{text}");
        }
        assert_eq!(Snapshot::of_postgres("4:9:4,7", 7), None);
    }
}
