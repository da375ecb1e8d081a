//! The fields of a subscribe message's template, and what is written into them: WeChat refuses a message of which
//! one value does not fit the kind of its field.

use time::{
    OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
    macros::offset,
};

use crate::clock::Timestamp;

/// As WeChat shows a time in its own documentation.
const TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]年[month padding:none]月[day padding:none]日 [hour]:[minute]");

/// Asia/Shanghai, which has no summer time.
const ZONE: UtcOffset = offset!(+8);

/// What stands in a field that takes Chinese characters alone, where there are none.
const NEWS: &str = "新消息";

/// What a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text of at most 20 characters.
    Thing,
    /// At most 10 characters, or 20 letters.
    Name,
    /// At most 5 Chinese characters and nothing else.
    Phrase,
    /// At most 32 digits, letters and signs.
    CharacterString,
    /// A time.
    Time,
}

/// What is written into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// What the sender is called.
    Sender,
    /// What the chat says, or that there is one.
    Preview,
    /// When it was sent.
    Time,
    /// What the group is called, or the sender.
    Conversation,
}

/// What there is to write.
#[derive(Clone, Copy)]
pub struct FieldFacts<'a> {
    /// What the sender is called.
    pub sender: &'a str,
    /// What the chat says, or that there is one.
    pub preview: &'a str,
    /// When it was sent.
    pub time: Timestamp,
    /// What the group is called, or the sender.
    pub conversation: &'a str,
}

/// A field of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateField {
    /// What WeChat calls it: its kind and a number.
    pub name: String,
    kind: FieldKind,
    source: FieldSource,
}

/// Why a field cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Its name begins with no kind that is known.
    #[error(
        "`{0}` is of no kind that is known; there are thing, name, phrase, character_string and time, \
         each with a number behind it"
    )]
    Kind(String),
    /// There is nothing of this name to write.
    #[error("`{0}` is to hold what is not known; there are sender, preview, time and conversation")]
    Source(String),
    /// A time stands in fields of its own, and nothing else does.
    #[error(
        "`{0}` cannot hold that: `time` goes with fields of the kinds time and thing, and only that into time"
    )]
    Unfit(String),
}

impl TemplateField {
    /// Reads a field and what it is to hold.
    pub fn parse(name: &str, source: &str) -> Result<Self, FieldError> {
        let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let kind = match word {
            _ if word.len() == name.len() || name.len() > 32 => None,
            "thing" => Some(FieldKind::Thing),
            "name" => Some(FieldKind::Name),
            "phrase" => Some(FieldKind::Phrase),
            "character_string" => Some(FieldKind::CharacterString),
            "time" => Some(FieldKind::Time),
            _ => None,
        };
        let kind = kind.ok_or_else(|| FieldError::Kind(name.to_owned()))?;
        let source = match source {
            "sender" => FieldSource::Sender,
            "preview" => FieldSource::Preview,
            "time" => FieldSource::Time,
            "conversation" => FieldSource::Conversation,
            _ => return Err(FieldError::Source(name.to_owned())),
        };
        let is_time = source == FieldSource::Time;
        let fits = match kind {
            FieldKind::Time => is_time,
            FieldKind::Thing => true,
            _ => !is_time,
        };
        if fits {
            Ok(Self { name: name.to_owned(), kind, source })
        } else {
            Err(FieldError::Unfit(name.to_owned()))
        }
    }

    /// What it holds of these facts, cut to what its kind takes; never empty.
    pub fn value(&self, facts: &FieldFacts<'_>) -> String {
        let text = match self.source {
            FieldSource::Sender => facts.sender,
            FieldSource::Preview => facts.preview,
            FieldSource::Conversation => facts.conversation,
            FieldSource::Time => return time(facts.time),
        };
        self.kind.fit(text)
    }
}

impl FieldKind {
    fn fit(self, text: &str) -> String {
        // A line break is no character of a field.
        let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let text = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let (value, otherwise) = match self {
            Self::Thing | Self::Time => (cut(text.chars(), 20), NEWS),
            Self::Name if text.is_ascii() => (cut(text.chars(), 20), NEWS),
            Self::Name => (cut(text.chars(), 10), NEWS),
            Self::Phrase => (cut(text.chars().filter(|c| is_han(*c)), 5), NEWS),
            Self::CharacterString => {
                (cut(text.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()), 32), "-")
            }
        };
        let value = value.trim();
        if value.is_empty() { otherwise.to_owned() } else { value.to_owned() }
    }
}

/// The first characters, counted as WeChat's own language does: one beyond U+FFFF is two.
fn cut(chars: impl Iterator<Item = char>, max: usize) -> String {
    let mut length = 0;
    let fits = |c: &char| {
        length += c.len_utf16();
        length <= max
    };
    chars.take_while(fits).collect()
}

/// Whether it is a Chinese character of those that names and words are made of.
fn is_han(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}')
}

fn time(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1_000));
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(ZONE);
    time.format(TIME).expect("a time has all parts of one")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: FieldFacts<'static> = FieldFacts {
        sender: "张三和他的十二个非常要好的朋友们",
        preview: "第一行\n第二行:今天晚上七点钟在老地方见面,别忘了",
        time: Timestamp::from_millis(1_795_849_260_000),
        conversation: "Weekend hikers of Shanghai",
    };

    fn value(name: &str, source: &str) -> String {
        TemplateField::parse(name, source).unwrap().value(&FACTS)
    }

    #[test]
    fn a_value_is_cut_to_the_kind_of_its_field() {
        assert_eq!(value("thing1", "preview"), "第一行 第二行:今天晚上七点钟在老地方见");
        assert_eq!(value("name2", "sender"), "张三和他的十二个非常");
        assert_eq!(value("name2", "conversation"), "Weekend hikers of Sh");
        assert_eq!(value("phrase3", "sender"), "张三和他的");
        assert_eq!(value("phrase3", "conversation"), "新消息");
        assert_eq!(value("character_string4", "conversation"), "Weekend hikers of Shanghai");
        assert_eq!(value("character_string4", "sender"), "-");
        for field in ["time5", "thing5"] {
            assert_eq!(value(field, "time"), "2026年11月28日 15:01");
        }
    }

    #[test]
    fn a_time_is_that_of_shanghai_without_leading_zeros() {
        // 2019-09-30T16:01:00Z.
        assert_eq!(time(Timestamp::from_millis(1_569_859_260_999)), "2019年10月1日 00:01");
    }

    #[test]
    fn what_is_beyond_the_first_plane_counts_twice() {
        assert_eq!(FieldKind::Thing.fit(&"😀".repeat(11)), "😀".repeat(10));
        assert_eq!(FieldKind::Thing.fit(&format!("x{}", "😀".repeat(11))).chars().count(), 10);
        assert_eq!(FieldKind::Thing.fit(" \u{7}\n "), "新消息");
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        for name in ["thing", "amount3", "Thing1", "", "12", "thing 1", "date2"] {
            let refused = TemplateField::parse(name, "sender").unwrap_err();
            assert_eq!(refused, FieldError::Kind(name.to_owned()));
        }
        let unknown = TemplateField::parse("thing1", "receiver").unwrap_err();
        assert_eq!(unknown, FieldError::Source("thing1".to_owned()));
        for (name, source) in [("time1", "sender"), ("name1", "time"), ("phrase1", "time")] {
            let refused = TemplateField::parse(name, source).unwrap_err();
            assert_eq!(refused, FieldError::Unfit(name.to_owned()));
        }
    }
}
