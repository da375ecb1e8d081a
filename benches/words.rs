//! How long a chat is looked at: 2,000 characters, with 10,000 words in the list. It should be below 50 µs.

use std::{hint::black_box, io::Write};

use criterion::{Criterion, criterion_group, criterion_main};
use imserver::checks::words::WordFilter;

/// Characters as common ones are spread: from a few hundred that make most of a text.
fn common(number: usize) -> char {
    let place = number.wrapping_mul(2_654_435_761) >> 7;
    let span = if place.is_multiple_of(3) { 3_000 } else { 500 };
    char::from_u32(0x4e00 + u32::try_from(place % span).expect("small")).expect("a Han character")
}

fn filter() -> WordFilter {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for number in 0..10_000_usize {
        let word: String = if number.is_multiple_of(5) {
            format!("word{number}")
        } else {
            (0..2 + number % 3).map(|letter| common(number * 7 + letter * 13)).collect()
        };
        writeln!(file, "{word}\thold").expect("written");
    }
    WordFilter::load(&[file.path().to_owned()]).expect("a list").expect("words")
}

fn words(c: &mut Criterion) {
    let filter = filter();
    let han: String = (0..2_000).map(|number| common(number * 31 + 5)).collect();
    let latin: String =
        "The quick brown fox jumps over the lazy dog. ".chars().cycle().take(2_000).collect();
    let mixed: String = (0..2_000).map(|n| if n % 7 < 5 { common(n * 17) } else { '，' }).collect();
    for (name, text) in [("han", &han), ("latin", &latin), ("mixed", &mixed)] {
        c.bench_function(name, |b| b.iter(|| filter.find(black_box(text))));
    }
}

criterion_group!(benches, words);
criterion_main!(benches);
