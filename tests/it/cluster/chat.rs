//! What can be wrong with a load, counted by class, with the first cases of each.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// A chat, as the service shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub id: i64,
    pub conversation: i64,
    pub sender: i64,
    pub target: i64,
    pub key: String,
    pub content: String,
}

impl Chat {
    /// Reads the `chat` of a frame or of an answer.
    pub fn read(json: &Value) -> Self {
        let number = |name: &str| json[name].as_i64().unwrap_or_else(|| panic!("{name}: {json}"));
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self {
            id: number("id"),
            conversation: number("conversationId"),
            sender: number("userId"),
            target: number("targetUserId"),
            key: text("clientMsgId"),
            content: text("content"),
        }
    }

    /// Whether it belongs into the timeline of this user.
    pub fn concerns(&self, user: i64) -> bool {
        self.sender == user || self.target == user
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Sent and never acknowledged, or stored and never shown to a client of the user.
    Lost,
    /// Shown twice, or stored twice.
    Doubled,
    /// Shown or stored out of order: of the numbers, of the ids of a conversation, or of what one
    /// client sent to one user.
    Reordered,
    /// A number was passed over, on a socket or in the database.
    Gap,
    /// Shown to somebody whom it does not concern, or not what anybody sent.
    Foreign,
    /// Acknowledged or shown, and not in the database, or there with other numbers.
    Unstored,
}

const CLASSES: [Class; 6] =
    [Class::Lost, Class::Doubled, Class::Reordered, Class::Gap, Class::Foreign, Class::Unstored];

/// How many cases of a class are told; the others are counted.
const MAX_CASES: usize = 10;

/// How often each class was found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    found: BTreeMap<Class, (usize, Vec<String>)>,
    /// How many chats were sent.
    pub sent: usize,
    /// How many events clients were shown.
    pub shown: usize,
}

impl Verdict {
    /// How many cases of this class there are.
    pub fn count(&self, class: Class) -> usize {
        self.found.get(&class).map_or(0, |(count, _)| *count)
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes a case.
    pub fn add(&mut self, class: Class, case: impl FnOnce() -> String) {
        let (count, cases) = self.found.entry(class).or_default();
        *count += 1;
        if cases.len() < MAX_CASES {
            cases.push(case());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} shown;", self.sent, self.shown)?;
        for class in CLASSES {
            write!(f, " {class:?} {}", self.count(class))?;
        }
        for (class, (count, cases)) in &self.found {
            for case in cases {
                write!(f, "\n  {class:?}: {case}")?;
            }
            if *count > cases.len() {
                write!(f, "\n  {class:?}: and {} more", count - cases.len())?;
            }
        }
        Ok(())
    }
}
