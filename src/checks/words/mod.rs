//! Words that must not be shown, found however they are written.
//!
//! Text and words are folded first: width, case, accents, traditional characters. Then one pass of an automaton finds
//! the words in the letters alone, and what stands between the letters decides whether a find counts.

mod fold;
mod list;
mod table;

use std::{collections::BTreeSet, path::PathBuf};

use aho_corasick::{
    Anchored, PatternID,
    automaton::{Automaton, StateID},
    nfa::contiguous::NFA,
};

use fold::{Folding, Gap, Kind, kind};
use list::{Entry, MAX_LETTERS, MAX_WORD, MAX_WORDS, read};
pub use list::{WordAction, WordLine, WordsError};
use table::{Letters, Place, Table};

/// What stands in place of a letter that was masked.
pub const MASK: char = '*';

/// Finds words of lists.
pub struct WordFilter {
    table: Table,
    automaton: NFA,
    /// Where the automaton begins.
    start: StateID,
    words: Vec<Word>,
}

struct Word {
    action: WordAction,
    line: WordLine,
    /// Whether the list has a gap before each letter, between two of a script with spaces.
    gaps: Option<Box<[bool]>>,
}

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is to be done.
    pub action: WordAction,
    /// The first word that asks for that.
    pub line: WordLine,
    /// Where each letter to be masked begins, in bytes; complete unless the text is denied.
    masked: BTreeSet<usize>,
}

impl WordFilter {
    /// Reads the words of these files. `None`: there are none.
    pub fn load(files: &[PathBuf]) -> Result<Option<Self>, WordsError> {
        let mut listed = Vec::new();
        for path in files {
            for entry in read(path)? {
                listed.push((path, entry));
            }
        }
        if listed.is_empty() {
            return Ok(None);
        }
        let folding = Folding::new();
        let mut words = Vec::with_capacity(listed.len());
        for (path, entry) in listed {
            let letters = letters(&folding, &entry.word);
            let problem = match letters.len() {
                0 => "has no letter",
                length if length > MAX_WORD => "has more than 64 letters",
                _ => {
                    words.push((entry, letters));
                    continue;
                }
            };
            let (path, number) = (path.clone(), entry.line.number());
            return Err(WordsError::Line { path, number, problem });
        }
        Self::of(&folding, words).map(Some)
    }

    fn of(folding: &Folding, words: Vec<(Entry, Vec<Letter>)>) -> Result<Self, WordsError> {
        let all = words.iter().flat_map(|(_, letters)| letters.iter().map(|letter| letter.letter));
        let all: Vec<_> = all.collect::<BTreeSet<_>>().into_iter().collect();
        if all.len() > MAX_LETTERS || words.len() > MAX_WORDS {
            return Err(WordsError::TooMany);
        }
        let table = Table::new(folding, &all);
        let patterns = words.iter().map(|(_, letters)| {
            let text: String = letters.iter().map(|letter| letter.letter).collect();
            table.read(&text).bytes
        });
        let automaton = NFA::builder().dense_depth(4).build(patterns);
        let automaton = automaton.map_err(|_| WordsError::TooMany)?;
        let start = automaton.start_state(Anchored::No).expect("an automaton that is not anchored");
        let word = |(entry, letters): (Entry, Vec<Letter>)| {
            let gaps: Box<[_]> = letters.iter().map(|letter| letter.has_gap).collect();
            let gaps = gaps.contains(&true).then_some(gaps);
            Word { action: entry.action, line: entry.line, gaps }
        };
        Ok(Self { table, automaton, start, words: words.into_iter().map(word).collect() })
    }

    /// Looks for the words in a text. `None`: there are none.
    pub fn find(&self, text: &str) -> Option<Found> {
        let letters = self.table.read(text);
        let mut found: Option<Found> = None;
        for (pattern, end) in self.hits(&letters.bytes) {
            let word = &self.words[pattern.as_usize()];
            let (start, end) = ((end - self.automaton.pattern_len(pattern)) / 2, end / 2);
            if !counts(text, &letters, start, end, word.gaps.as_deref()) {
                continue;
            }
            let found = found.get_or_insert_with(|| Found {
                action: word.action,
                line: word.line.clone(),
                masked: BTreeSet::new(),
            });
            if word.action > found.action {
                found.action = word.action;
                found.line = word.line.clone();
            }
            match word.action {
                WordAction::Deny => return Some(found.clone()),
                WordAction::Mask => {
                    found.masked.extend(letters.places()[start..end].iter().map(|it| it.at()));
                }
                WordAction::Hold => {}
            }
        }
        found
    }

    /// The words in these letters, each with where it ends, in bytes. Stepping the automaton here is faster than its own
    /// search for overlapping words, which may also be anchored or skip ahead.
    fn hits<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (PatternID, usize)> + 'a {
        let automaton = &self.automaton;
        let mut state = self.start;
        (1..).zip(bytes).flat_map(move |(end, byte)| {
            state = automaton.next_state(Anchored::No, state, *byte);
            let count = if automaton.is_match(state) { automaton.match_len(state) } else { 0 };
            (0..count).map(move |index| (automaton.match_pattern(state, index), end))
        })
    }
}

impl Found {
    /// The text with what is to be masked made unreadable; `None`: nothing is.
    pub fn masked(&self, text: &str) -> Option<String> {
        if self.masked.is_empty() {
            return None;
        }
        let masked =
            text.char_indices().map(|(at, c)| if self.masked.contains(&at) { MASK } else { c });
        Some(masked.collect())
    }
}

/// A letter of a word.
struct Letter {
    letter: char,
    /// Whether a gap is before it, and a letter of a script with spaces on either side of that.
    has_gap: bool,
}

/// The letters of a word of a list.
fn letters(folding: &Folding, word: &str) -> Vec<Letter> {
    let mut letters: Vec<Letter> = Vec::new();
    let (mut has_gap, mut was_spaced) = (false, false);
    for c in word.chars() {
        folding.fold(c, |letter| match kind(letter) {
            Kind::Unseen => {}
            Kind::Gap(_) => has_gap = true,
            Kind::Letter { is_spaced } => {
                letters.push(Letter { letter, has_gap: has_gap && was_spaced && is_spaced });
                (has_gap, was_spaced) = (false, is_spaced);
            }
        });
    }
    letters
}

/// Whether the letters from `start` to `end` are a word, and not parts of others that stand side by side.
///
/// - A word that begins or ends with a letter of a script with spaces does not touch another such letter there.
/// - Within it, such letters stand together, or each by itself with the same between them: "c a s i n o", not
///   "as S tier". Where the list has a gap, there is one.
/// - Between Chinese letters anything may stand but the end of a sentence, unless each of three or more letters
///   stands by itself.
fn counts(
    text: &str,
    letters: &Letters,
    start: usize,
    end: usize,
    listed: Option<&[bool]>,
) -> bool {
    let places = letters.places();
    let touches = |place: usize| {
        place
            .checked_sub(1)
            .and_then(|before| places.get(before))
            .zip(places.get(place))
            .is_some_and(|(left, right)| {
                left.is_spaced() && right.is_spaced() && right.gap() == Gap::None
            })
    };
    if touches(start) || touches(end) {
        return false;
    }
    let (mut is_spelled, mut has_hard) = (true, false);
    let mut between: Option<&str> = None;
    for place in start + 1..end {
        let (left, right) = (places[place - 1], places[place]);
        is_spelled &= right.gap() != Gap::None;
        if !(left.is_spaced() && right.is_spaced()) {
            has_hard |= right.gap() == Gap::Hard;
        } else if listed.is_some_and(|gaps| gaps[place - start]) {
            if right.gap() == Gap::None {
                return false;
            }
        } else {
            let gap = gap(text, left, right);
            if *between.get_or_insert(gap) != gap {
                return false;
            }
        }
    }
    !has_hard || is_spelled && end - start > 2
}

/// What stands between two letters.
fn gap(text: &str, left: Place, right: Place) -> &str {
    if right.gap() == Gap::None {
        return "";
    }
    let behind = text[left.at()..].chars().next().map_or(0, char::len_utf8);
    text.get(left.at() + behind..right.at()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
