//! What the chats of a load say: the moment at which they were due, and a filler that belongs to it and to
//! the key, so that a receiver can tell how late they are and whether they are whole.

use std::fmt::Write as _;

use crate::{clock::Moment, ledger::Key};

/// The length of the moment and the space after it.
const HEAD: usize = 17;
/// The least bytes of a content.
pub const MIN_SIZE: usize = HEAD + 1;
/// The most bytes of a content: what `chat.max_content_chars` allows by default.
pub const MAX_SIZE: usize = 2_000;
/// Where a filler may begin.
const STARTS: usize = 1_021;

/// The contents of a load, all of one length.
#[derive(Clone, Debug)]
pub struct Contents {
    size: usize,
    filler: String,
}

impl Contents {
    /// `size` bytes each, from [`MIN_SIZE`] to [`MAX_SIZE`].
    pub fn new(size: usize) -> Self {
        const LETTERS: &[u8; 64] =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
        let mut state = 0x9e37_79b9_u32;
        let letter = || {
            // xorshift32: any even spread will do.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            char::from(LETTERS[(state >> 26) as usize])
        };
        let filler = std::iter::repeat_with(letter).take(STARTS + MAX_SIZE).collect();
        Self { size: size.clamp(MIN_SIZE, MAX_SIZE), filler }
    }

    /// What this chat says.
    pub fn of(&self, key: Key, due: Moment) -> String {
        let mut content = String::with_capacity(self.size);
        let _ = write!(content, "{:016x} ", due.0);
        content.push_str(self.filler(key, due));
        content
    }

    /// When a chat with this content was due; `None` if it is not what belongs to the key.
    pub fn read(&self, key: Key, content: &str) -> Option<Moment> {
        let (head, filler) = content.split_at_checked(HEAD)?;
        let due = Moment(u64::from_str_radix(head.strip_suffix(' ')?, 16).ok()?);
        (filler == self.filler(key, due)).then_some(due)
    }

    fn filler(&self, key: Key, due: Moment) -> &str {
        let mixed = u64::from(key.writer.wrapping_mul(0x9e37_79b1) ^ key.number) ^ due.0;
        let start = usize::try_from(mixed % STARTS as u64).expect("less than the number of starts");
        &self.filler[start..start + self.size - HEAD]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { run: 1, writer: 70_000, number: 9 };

    #[test]
    fn a_content_tells_when_it_was_due_and_whether_it_is_whole() {
        for size in [MIN_SIZE, 100, MAX_SIZE] {
            let contents = Contents::new(size);
            let content = contents.of(KEY, Moment(123));
            assert_eq!(content.len(), size);
            assert_eq!(contents.read(KEY, &content), Some(Moment(123)));
        }
        let contents = Contents::new(100);
        let content = contents.of(KEY, Moment(123));
        assert_eq!(contents.read(KEY, &content[..99]), None);
        assert_eq!(contents.read(KEY, &format!("{}!", &content[..99])), None);
        assert_eq!(contents.read(Key { number: 10, ..KEY }, &content), None);
        let later = content.replacen("7b ", "7c ", 1);
        assert_eq!((later != content, contents.read(KEY, &later)), (true, None));
        assert_eq!(contents.read(KEY, ""), None);
        assert_eq!(contents.read(KEY, "零零零零零零零零零零零零零零零零零零"), None);
    }
}
