//! What can be wrong with a load, counted by class, with the first cases of each.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// How many cases of each class are kept.
const CASES: usize = 10;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Sent and never acknowledged, or stored and never shown to a phone of the user.
    Lost,
    /// Shown twice, or stored twice.
    Doubled,
    /// Shown or stored out of order: of the numbers, of the ids of a conversation, or of what one
    /// phone sent to one user.
    Reordered,
    /// A number was passed over, on a socket or in the database.
    Gap,
    /// Shown to somebody whom it does not concern, or not what anybody sent.
    Foreign,
    /// Acknowledged or shown, and not stored, or stored with other numbers.
    Unstored,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Lost, Self::Doubled, Self::Reordered, Self::Gap, Self::Foreign, Self::Unstored];
}

/// What was wrong with a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Chats that were looked at.
    pub chats: u64,
    /// Showings of chats that were looked at.
    pub shown: u64,
    /// How often, and the first cases.
    pub problems: BTreeMap<Class, Problem>,
}

/// What is wrong in one way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub count: u64,
    pub cases: Vec<String>,
}

impl Verdict {
    /// Adds a case.
    pub fn add(&mut self, class: Class, case: impl FnOnce() -> String) {
        let problem = self.problems.entry(class).or_default();
        problem.count += 1;
        if problem.cases.len() < CASES {
            problem.cases.push(case());
        }
    }

    /// Adds all that was found elsewhere.
    pub fn absorb(&mut self, other: &Self) {
        for (class, found) in &other.problems {
            let problem = self.problems.entry(*class).or_default();
            problem.count += found.count;
            let room = CASES - problem.cases.len();
            problem.cases.extend(found.cases.iter().take(room).cloned());
        }
    }

    /// How many cases of a class there are.
    pub fn count(&self, class: Class) -> u64 {
        self.problems.get(&class).map_or(0, |problem| problem.count)
    }

    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} chats, {} showings:", self.chats, self.shown)?;
        for class in Class::ALL {
            let name = format!("{class:?}").to_lowercase();
            write!(f, " {name} {}", self.count(class))?;
        }
        for (class, Problem { count, cases }) in &self.problems {
            for case in cases {
                write!(f, "\n  {class:?}: {case}")?;
            }
            let more = count - cases.len() as u64;
            if more > 0 {
                write!(f, "\n  {class:?}: and {more} more")?;
            }
        }
        Ok(())
    }
}
