//! Lists of words, as files have them.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is done about a text with a word in it. A greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WordAction {
    /// It is shown with the word made unreadable.
    Mask,
    /// Somebody is to look at it.
    Hold,
    /// It is not shown.
    Deny,
}

impl WordAction {
    /// The word of the lists, and of the metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Mask, Self::Hold, Self::Deny].into_iter().find(|it| it.as_str() == word)
    }
}

/// Where a word stands: it names the word without saying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordLine {
    list: Arc<str>,
    number: usize,
}

impl WordLine {
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl fmt::Display for WordLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.list, self.number)
    }
}

/// A word of a list.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) word: String,
    pub(super) action: WordAction,
    pub(super) line: WordLine,
}

/// Why lists of words cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {problem}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: std::io::Error,
    },
    /// A line of a file is none.
    #[error("{}:{number}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than can be looked for at once.
    #[error("too many words: at most {MAX_WORDS}, of at most {MAX_LETTERS} different characters")]
    TooMany,
}

/// The most words of all lists together.
pub(super) const MAX_WORDS: usize = 100_000;

/// The most different characters of all words: as many as two bytes tell apart, see `table.rs`.
pub(super) const MAX_LETTERS: usize = super::table::MAX_CODES;

/// The most letters of one word.
pub(super) const MAX_WORD: usize = 64;

/// The words of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, WordsError> {
    let bytes = std::fs::read(path)
        .map_err(|problem| WordsError::Unread { path: path.to_owned(), problem })?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let list: Arc<str> = name.to_string_lossy().into();
    let wrong = |number, problem| WordsError::Line { path: path.to_owned(), number, problem };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        wrong(before.split(|byte| *byte == b'\n').count(), "is not UTF-8")
    })?;
    let mut entries = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, number) in text.lines().zip(1..) {
        let entry = entry(line).map_err(|problem| wrong(number, problem))?;
        let of = |(word, action): (&str, _)| Entry {
            word: word.to_owned(),
            action,
            line: WordLine { list: Arc::clone(&list), number },
        };
        entries.extend(entry.map(of));
    }
    Ok(entries)
}

/// The word of a line and what is done about it, if the line has one.
fn entry(line: &str) -> Result<Option<(&str, WordAction)>, &'static str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    if line.is_empty() {
        return Ok(None);
    }
    let Some((word, action)) = line.split_once('\t') else {
        return Ok(Some((line, WordAction::Deny)));
    };
    let action = WordAction::parse(action.trim());
    let action = action.ok_or("behind the tab must be `deny`, `mask` or `hold`")?;
    Ok(Some((word.trim(), action)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn listed(bytes: &[u8]) -> Result<Vec<(String, WordAction, String)>, String> {
        let mut file = tempfile::Builder::new().prefix("words").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let name = file.path().file_name().unwrap().to_string_lossy().into_owned();
        let read = read(file.path()).map_err(|error| error.to_string())?;
        let of =
            |Entry { word, action, line }| (word, action, line.to_string().replace(&name, "list"));
        Ok(read.into_iter().map(of).collect())
    }

    #[test]
    fn a_line_is_a_word_and_what_is_done_about_it() {
        let text = "\u{feff}# words\r\n\n赌博\nfree money\tmask\r\n 刷单 \thold # ads\n枪\tdeny";
        let entry = |word: &str, action, line: &str| (word.to_owned(), action, line.to_owned());
        let expected = [
            entry("赌博", WordAction::Deny, "list:3"),
            entry("free money", WordAction::Mask, "list:4"),
            entry("刷单", WordAction::Hold, "list:5"),
            entry("枪", WordAction::Deny, "list:6"),
        ];
        assert_eq!(listed(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (bytes, named) in [
            (&b"a\nb\tdelete\n"[..], ":2: behind the tab"),
            (b"a\n\nb\xff\n", ":3: is not UTF-8"),
            (b"a\tdeny\tb", ":1: behind the tab"),
        ] {
            let error = listed(bytes).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        let error = read(Path::new("/nowhere/words.txt")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/words.txt"), "{error}");
    }
}
