//! What is found and what is not.

use std::{io::Write, sync::LazyLock};

use proptest::prelude::*;

use super::*;

const NEAR_WORDS: &str = include_str!("../../../tests/it/api/words/near_words.txt");
const FALSE_ALARMS: &str = include_str!("../../../tests/it/api/words/false_alarms.txt");
const MUST_HIT: &str = include_str!("../../../tests/it/api/words/must_hit.txt");

fn filter(list: &str) -> WordFilter {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(list.as_bytes()).unwrap();
    WordFilter::load(&[file.path().to_owned()]).unwrap().unwrap()
}

fn is_found(filter: &WordFilter, text: &str) -> bool {
    filter.find(text).is_some()
}

#[test]
fn ordinary_chats_pass() {
    let filter = filter(NEAR_WORDS);
    let lines: Vec<_> = FALSE_ALARMS.lines().collect();
    assert_eq!(lines.len(), 150);
    let alarms: Vec<_> = lines
        .iter()
        .zip(1..)
        .filter_map(|(line, number): (_, usize)| {
            let found = filter.find(&line.replace("\\n", "\n"))?;
            Some(format!("{number} {line}: {}", found.line))
        })
        .collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
}

#[test]
fn evasions_are_found() {
    let lines: Vec<_> = MUST_HIT.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let words: Vec<_> = lines.iter().map(|(word, _)| *word).collect();
    let listed = filter(&words.join("\n"));
    for (word, text) in lines {
        assert!(is_found(&listed, text), "{word} {text}");
    }
    let filter = filter("加微信\n賭博\nass\nfree money\ncasino");
    for text in [
        "加微信",
        "加 微  信",
        "加。微。信",
        "加\n微\n信",
        "赌/博",
        "賭 博",
        "赌\u{301}博",
        "ａｓｓ",
        "你这个ass。",
        "A\u{30a}SS",
        "FREE\u{a0}MONEY",
        "free-money",
        "c\na\ns\ni\nn\no",
    ] {
        assert!(is_found(&filter, text), "{text}");
    }
    for text in ["加。微信", "赌。博士", "class", "assets", "freemoney", "as s", "a s-s", "", "！"]
    {
        assert!(!is_found(&filter, text), "{text}");
    }
}

#[test]
fn the_strongest_action_wins_and_masks_are_exact() {
    let filter = filter("赌博\tmask\n博彩\tmask\n刷单\thold\n枪支\n");
    let found = |text: &str| {
        let found = filter.find(text).unwrap();
        let line = found.line.to_string();
        let (_, line) = line.rsplit_once(':').unwrap();
        (found.action, line.to_owned(), found.masked(text))
    };
    let seen = |action, line: &str, masked: Option<&str>| {
        (action, line.to_owned(), masked.map(str::to_owned))
    };
    assert_eq!(found("a赌-博b"), seen(WordAction::Mask, "1", Some("a*-*b")));
    assert_eq!(found("赌博彩票"), seen(WordAction::Mask, "1", Some("***票")));
    assert_eq!(found("刷单赌博"), seen(WordAction::Hold, "3", Some("刷单**")));
    assert_eq!(found("刷单"), seen(WordAction::Hold, "3", None));
    assert_eq!(found("刷单枪支").0, WordAction::Deny);
}

#[test]
fn a_list_that_cannot_work_is_refused() {
    let load = |list: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(list.as_bytes()).unwrap();
        WordFilter::load(&[file.path().to_owned()]).map(|filter| filter.is_some())
    };
    assert!(!load("# none\n").unwrap());
    for (list, named) in [
        ("a\n***\n".to_owned(), ":2: has no letter"),
        (format!("{}\n", "长".repeat(65)), ":1: has more than 64"),
    ] {
        let error = load(&list).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(WordFilter::load(&[PathBuf::from("/nowhere")]).is_err());
}

#[test]
fn the_table_folds_as_the_lists_do() {
    let folding = Folding::new();
    let known = ['a', '微', '\u{2a6d6}', '발'];
    let table = Table::new(&folding, &known);
    for c in ('\0'..='\u{33fff}').chain('\u{e0000}'..='\u{e0fff}') {
        let text = c.to_string();
        let mut expected = Vec::new();
        for letter in letters(&folding, &text) {
            let place = known.iter().position(|it| *it == letter.letter);
            expected
                .extend(place.map_or([0, 130], |place| [1, 130 + u8::try_from(place).unwrap()]));
        }
        assert_eq!(table.read(&text).bytes, expected, "{c:?}");
    }
}

/// A word in a form that is to be found.
fn evaded(word: &'static str) -> impl Strategy<Value = String> {
    let gap = prop::sample::select(vec!["", " ", "*", "\u{200b}", "\u{301}", "—", "\u{feff} "]);
    let is_latin = word.is_ascii();
    let gaps = prop::collection::vec(gap, word.chars().count());
    (gaps, any::<bool>(), any::<bool>()).prop_map(move |(gaps, is_wide, is_upper)| {
        let mut text = String::new();
        for (letter, gap) in word.chars().zip(&gaps) {
            let letter = if is_upper { letter.to_ascii_uppercase() } else { letter };
            text.push(match letter {
                '!'..='~' if is_wide => char::from_u32(letter as u32 + 0xfee0).unwrap(),
                '发' if is_wide => '發',
                _ => letter,
            });
            // Of a Latin word the letters stand alike.
            text.push_str(if is_latin { gaps[0] } else { gap });
        }
        text
    })
}

// To make the table takes long without optimization.
static PLANTED: LazyLock<WordFilter> = LazyLock::new(|| filter("代开发票\n赌博\ncasino"));
static MASKING: LazyLock<WordFilter> = LazyLock::new(|| filter("赌博\tmask\n博彩\tmask\nas\tmask"));

proptest! {
    #[test]
    fn a_planted_word_is_found(
        before in "[a-z0-9 ，。你好\u{4e00}-\u{4fff}]{0,40}",
        text in prop_oneof![evaded("代开发票"), evaded("赌博"), evaded("casino")],
        after in "[a-z0-9 ，。你好\u{4e00}-\u{4fff}]{0,40}",
    ) {
        let text = [&before, &text, &after].map(String::as_str).join("，");
        prop_assert!(is_found(&PLANTED, &text), "{}", text);
    }

    #[test]
    fn masking_changes_only_what_matched(text in "[赌博彩as \n*。*😀\u{301}Ａ-Ｚa-z]{0,60}") {
        match MASKING.find(&text) {
            Some(found) => {
                let masked = found.masked(&text).unwrap();
                prop_assert_eq!(masked.chars().count(), text.chars().count());
                for (was, is) in text.chars().zip(masked.chars()) {
                    prop_assert!(was == is || is == MASK && "赌博彩asASＡＳａｓ".contains(was));
                }
            }
            None => prop_assert!(!text.contains("赌博") && !text.contains("博彩")),
        }
    }
}
