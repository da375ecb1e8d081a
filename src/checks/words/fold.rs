//! What counts as the same letter: case, width, script and accents do not matter.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};

/// Pairs of a traditional character and its simplified one.
const SIMPLIFIED: &str = include_str!("simplified.txt");

/// From here on scripts do not divide words by spaces; before it they do, as Latin does.
const FIRST_UNSPACED: char = '\u{e00}';

/// What stands between two letters. A greater one divides more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// Spaces and signs.
    Soft,
    /// What ends a sentence, an emoji included.
    Hard,
}

/// What a folded character is to the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It shows nothing of its own: an accent, or a character without width.
    Unseen,
    /// It stands between letters.
    Gap(Gap),
    /// A letter or a digit; `is_spaced`: of a script that divides words by spaces.
    Letter { is_spaced: bool },
}

/// Folds characters.
pub(super) struct Folding(HashMap<char, char>);

impl Folding {
    pub(super) fn new() -> Self {
        let lines = SIMPLIFIED.lines().filter(|line| !line.starts_with('#'));
        let mut characters = lines.flat_map(str::chars);
        let pairs = std::iter::from_fn(|| characters.next().zip(characters.next()));
        Self(pairs.collect())
    }

    /// The traditional characters that it makes simplified.
    pub(super) fn traditional(&self) -> impl Iterator<Item = char> {
        self.0.keys().copied()
    }

    /// Calls with each character that this one stands for, which may be itself.
    pub(super) fn fold(&self, c: char, mut each: impl FnMut(char)) {
        // Taken apart, a syllable would begin with other syllables.
        if matches!(c, '\u{ac00}'..='\u{d7a3}') {
            return each(c);
        }
        // The most characters by far stand for themselves, or for a simplified one.
        if matches!(c, '\u{4e00}'..='\u{9fff}') {
            return each(self.0.get(&c).copied().unwrap_or(c));
        }
        for lower in std::iter::once(c).nfkd().flat_map(char::to_lowercase) {
            match lower {
                'ß' => {
                    each('s');
                    each('s');
                }
                'ς' => each('σ'),
                _ => each(self.0.get(&lower).copied().unwrap_or(lower)),
            }
        }
    }
}

/// What a folded character is.
pub(super) fn kind(c: char) -> Kind {
    if c.is_ascii_alphanumeric() {
        return Kind::Letter { is_spaced: true };
    }
    if is_mark(c) || is_ignorable(c) {
        return Kind::Unseen;
    }
    match c {
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
            return Kind::Gap(Gap::Hard);
        }
        '!' | '?' | ';' | '。' | '｡' | '؟' | '।' => return Kind::Gap(Gap::Hard),
        '\u{2800}' => return Kind::Gap(Gap::Soft),
        _ if c.is_whitespace() => return Kind::Gap(Gap::Soft),
        _ => {}
    }
    match c.general_category() {
        GeneralCategory::Control | GeneralCategory::Format => return Kind::Unseen,
        GeneralCategory::OtherSymbol if c.is_emoji_char() => return Kind::Gap(Gap::Hard),
        _ => {}
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol => {
            // The modifiers that give an emoji the colour of a skin.
            Kind::Gap(if c.is_emoji_char() && !c.is_ascii() { Gap::Hard } else { Gap::Soft })
        }
        _ => Kind::Letter { is_spaced: c < FIRST_UNSPACED },
    }
}

/// Marks that go with letters of any script. The vowels of Thai and its like are marks too, and letters here.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Characters that Unicode has drawn as nothing, though they are neither marks nor format characters.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2065}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_twice_is_folding_once() {
        let folding = Folding::new();
        assert!(folding.0.len() > 3_000);
        for c in '\0'..=char::MAX {
            let mut once = Vec::new();
            folding.fold(c, |letter| once.push(letter));
            let mut twice = Vec::new();
            for letter in &once {
                folding.fold(*letter, |letter| twice.push(letter));
            }
            let seen = |letters: Vec<char>| -> Vec<_> {
                letters.into_iter().filter(|c| kind(*c) != Kind::Unseen).collect()
            };
            assert_eq!(seen(once), seen(twice), "{c:?}");
        }
    }

    #[test]
    fn what_looks_alike_is_the_same() {
        let folding = Folding::new();
        let folded = |text: &str| {
            let mut letters = String::new();
            text.chars().for_each(|c| folding.fold(c, |letter| letters.push(letter)));
            letters.retain(|c| kind(c) != Kind::Unseen);
            letters
        };
        for (text, letters) in [
            ("Fück", "fuck"),
            ("ＶＸ", "vx"),
            ("ⓒⓐⓢⓘⓝⓞ", "casino"),
            ("發票", "发票"),
            ("Straße", "strasse"),
            ("微\u{200b}信\u{feff}", "微信"),
            ("İ", "i"),
            ("각", "각"),
            ("㍿", "株式会社"),
        ] {
            assert_eq!(folded(text), letters, "{text}");
        }
    }
}
