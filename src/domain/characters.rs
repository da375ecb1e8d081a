//! Which characters can be seen, and which ones a name must not hold.

use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// Whether a character shows anything. White space, control and format characters do not, nor do
/// fillers and other characters that Unicode gives to be drawn as nothing. What is not assigned yet may
/// be the emoji of next year.
pub(super) fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
    let is_control =
        matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format);
    !(c.is_whitespace() || is_control || is_noncharacter || is_ignorable(c) || is_blank(c))
}

/// Whether Unicode has it drawn as nothing, though it is no format character: fillers, selectors and
/// places kept free for such. (`Default_Ignorable_Code_Point`, without what is of category `Cf`.)
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2065}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether its picture is empty: the braille blank and a few of the kind.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{13441}'..='\u{13442}' | '\u{16fe4}' | '\u{1d159}')
}

/// The kind of the first character that no name may hold, if there is one.
pub(super) fn unfit_for_names(name: &str) -> Option<&'static str> {
    let mut before = None;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let is_joiner = c == '\u{200d}'
            && before.is_some_and(is_emoji)
            && rest.peek().copied().is_some_and(is_emoji);
        if let Some(kind) = unfit(c).filter(|_| !is_joiner) {
            return Some(kind);
        }
        // An emoji stays one behind the selector that has it drawn in colours.
        if c != '\u{fe0f}' {
            before = Some(c);
        }
    }
    None
}

/// The kind of a character that no name may hold, if it is one.
pub(super) fn unfit(c: char) -> Option<&'static str> {
    match c {
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("characters that change the direction of text")
        }
        '\u{34f}' | '\u{17b4}'..='\u{17b5}' | '\u{2065}' => Some("characters without width"),
        _ => match c.general_category() {
            GeneralCategory::Control
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator => Some("control characters"),
            GeneralCategory::Format => Some("characters without width"),
            _ => None,
        },
    }
}

/// Whether it can stand beside a joiner in an emoji; digits can be parts of others.
fn is_emoji(c: char) -> bool {
    !c.is_ascii() && c.is_emoji_char()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_as_nothing_cannot_be_seen() {
        for hidden in [
            ' ',
            '\n',
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2065}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{e0001}',
            '\u{e0100}',
        ] {
            assert!(!is_visible(hidden), "{hidden:?}");
        }
        for seen in
            ['.', 'a', '张', '\u{301}', '😀', '\u{1f1e8}', '\u{20e3}', '\u{fffd}', '\u{e000}']
        {
            assert!(is_visible(seen), "{seen:?}");
        }
    }

    #[test]
    fn a_joiner_is_for_emoji() {
        for fit in [
            "👩‍👩‍👧‍👦",
            "❤\u{fe0f}\u{200d}🔥",
            "👩🏽\u{200d}💻",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "葛\u{e0100}",
        ] {
            assert_eq!(unfit_for_names(fit), None, "{fit}");
        }
        for unfit in [
            "张\u{200d}三",
            "\u{200d}😀",
            "😀\u{200d}",
            "1\u{200d}2",
            "😀\u{200d}\u{200d}😀",
            "a\u{200c}b",
        ] {
            assert_eq!(unfit_for_names(unfit), Some("characters without width"), "{unfit:?}");
        }
    }
}
