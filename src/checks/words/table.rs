//! What each character of a text is to a filter, looked up in one step.

use std::collections::HashMap;

use super::fold::{Folding, Gap, Kind, kind};

/// The most different letters: each is a byte from 1 to 129 and one from 130 to 255, so that no letter begins
/// within another one.
pub(super) const MAX_CODES: usize = 129 * SECOND_BYTES;
const SECOND_BYTES: usize = 126;
const FIRST_SECOND_BYTE: u8 = 130;

/// Characters below it are in an array: all that are in use but rare Chinese ones.
const LOW: u32 = 0x2_0000;

/// What a character is to a filter: one of the constants, or the code of a letter, counted from `FIRST_CODE`.
type Cell = u16;
const UNSEEN: Cell = 0;
const SOFT: Cell = 1;
const HARD: Cell = 2;
/// A letter of no word.
const OTHER: Cell = 3;
/// It stands for several characters.
const SEVERAL: Cell = 4;
const FIRST_CODE: Cell = 5;
/// Set for letters of scripts that divide words by spaces.
const SPACED: Cell = 1 << 15;

/// What becomes of each character.
pub(super) struct Table {
    low: Box<[Cell]>,
    high: HashMap<char, Cell>,
    several: HashMap<char, Box<[Cell]>>,
}

/// A text as letters of words, and where each of them is.
#[derive(Default)]
pub(super) struct Letters {
    /// Two bytes for each.
    pub(super) bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a letter is, and what it is: the offset in bytes, with two bits for the gap before it and one that is set
/// for letters of scripts that divide words by spaces.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

impl Place {
    const MAX: usize = 1 << 29;

    pub(super) fn at(self) -> usize {
        (self.0 & 0x1fff_ffff) as usize
    }

    pub(super) fn gap(self) -> Gap {
        match self.0 >> 29 & 0b11 {
            0 => Gap::None,
            1 => Gap::Soft,
            _ => Gap::Hard,
        }
    }

    pub(super) fn is_spaced(self) -> bool {
        self.0 >> 31 == 1
    }
}

impl Table {
    /// A table that tells these letters, which are folded, from all others.
    pub(super) fn new(folding: &Folding, letters: &[char]) -> Self {
        assert!(letters.len() <= MAX_CODES, "there is a code for each letter");
        let codes: HashMap<char, Cell> = letters.iter().copied().zip(FIRST_CODE..).collect();
        let mut table = Self {
            low: vec![OTHER; LOW as usize].into_boxed_slice(),
            high: HashMap::new(),
            several: HashMap::new(),
        };
        for c in ('\0'..='\u{1ffff}')
            .chain('\u{2f800}'..='\u{2fa1f}')
            .chain('\u{e0000}'..='\u{e0fff}')
            .chain(folding.traditional())
            .chain(letters.iter().copied())
        {
            table.add(folding, &codes, c);
        }
        table
    }

    fn add(&mut self, folding: &Folding, codes: &HashMap<char, Cell>, c: char) {
        let mut cells = Vec::new();
        folding.fold(c, |letter| {
            cells.push(match kind(letter) {
                Kind::Unseen => UNSEEN,
                Kind::Gap(Gap::Hard) => HARD,
                Kind::Gap(_) => SOFT,
                Kind::Letter { is_spaced } => {
                    let code = codes.get(&letter).copied().unwrap_or(OTHER);
                    if is_spaced { code | SPACED } else { code }
                }
            });
        });
        if cells.len() > 1 {
            cells.retain(|cell| *cell != UNSEEN);
        }
        let cell = match cells[..] {
            [] => UNSEEN,
            [cell] => cell,
            _ => {
                self.several.insert(c, cells.into());
                SEVERAL
            }
        };
        match self.low.get_mut(c as usize) {
            Some(place) => *place = cell,
            None => {
                self.high.insert(c, cell);
            }
        }
    }

    fn cell(&self, c: char) -> Cell {
        match self.low.get(c as usize) {
            Some(cell) => *cell,
            None => self.high.get(&c).copied().unwrap_or(OTHER),
        }
    }

    /// The letters of a text, and the gaps between them.
    pub(super) fn read(&self, text: &str) -> Letters {
        assert!(text.len() < Place::MAX, "texts are bounded");
        let mut letters = Letters {
            bytes: Vec::with_capacity(text.len()),
            places: Vec::with_capacity(text.len() / 2),
        };
        let mut gap = 0;
        for (at, c) in text.char_indices() {
            match self.cell(c) {
                SEVERAL => {
                    for cell in &self.several[&c] {
                        letters.add(*cell, at, &mut gap);
                    }
                }
                cell => letters.add(cell, at, &mut gap),
            }
        }
        letters
    }
}

impl Letters {
    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a text is shorter, and each half is a byte"
    )]
    fn add(&mut self, cell: Cell, at: usize, gap: &mut u32) {
        match cell {
            UNSEEN => {}
            SOFT => *gap = (*gap).max(1),
            HARD => *gap = 2,
            _ => {
                let code = (cell & !SPACED)
                    .checked_sub(FIRST_CODE)
                    .map_or(0, |code| usize::from(code) + SECOND_BYTES);
                let second = FIRST_SECOND_BYTE + (code % SECOND_BYTES) as u8;
                self.bytes.extend([(code / SECOND_BYTES) as u8, second]);
                self.places.push(Place(at as u32 | *gap << 29 | u32::from(cell >> 15) << 31));
                *gap = 0;
            }
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }
}
