//! What a test measured, kept as a file of its run, so that runs can be compared.

use std::{fmt::Debug, path::PathBuf, time::Duration};

use parking_lot::Mutex;
use serde_json::{Value, json};

/// The figures of one test. They are written to `test-output/figures/NAME.json` and printed when they are
/// dropped, so that a test that fails has them too.
pub struct Figures {
    name: String,
    all: Mutex<Vec<Figure>>,
}

struct Figure {
    what: String,
    value: Value,
    unit: &'static str,
}

impl Figures {
    /// Those of this test, or of this part of one: no others have the name.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), all: Mutex::default() }
    }

    /// How long something took, in milliseconds.
    pub fn time(&self, what: impl Into<String>, time: Duration) -> &Self {
        self.amount(what, time.as_secs_f64() * 1e3, "ms")
    }

    /// The same of something short, in microseconds.
    pub fn micros(&self, what: impl Into<String>, time: Duration) -> &Self {
        self.amount(what, time.as_secs_f64() * 1e6, "µs")
    }

    /// How many.
    pub fn count(&self, what: impl Into<String>, count: impl TryInto<u64, Error: Debug>) -> &Self {
        self.note(what, count.try_into().unwrap().into(), "")
    }

    /// How much memory or disk.
    pub fn bytes(&self, what: impl Into<String>, bytes: impl TryInto<u64, Error: Debug>) -> &Self {
        self.note(what, bytes.try_into().unwrap().into(), "bytes")
    }

    /// How much of anything else, to three digits after the point.
    pub fn amount(&self, what: impl Into<String>, amount: f64, unit: &'static str) -> &Self {
        self.note(what, ((amount * 1e3).round() / 1e3).into(), unit)
    }

    /// Whatever else there is to know.
    pub fn note(&self, what: impl Into<String>, value: Value, unit: &'static str) -> &Self {
        self.all.lock().push(Figure { what: what.into(), value, unit });
        self
    }
}

impl Drop for Figures {
    fn drop(&mut self) {
        let all = self.all.get_mut();
        let widest = all.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
        println!("{}", self.name);
        for Figure { what, value, unit } in &*all {
            println!("  {what:<widest$}  {value} {unit}");
        }
        let figures: Vec<_> = all
            .iter()
            .map(|Figure { what, value, unit }| json!({"what": what, "value": value, "unit": unit}))
            .collect();
        let file = json!({
            "test": self.name,
            "by": std::thread::current().name(),
            "failed": std::thread::panicking(),
            "figures": figures,
        });
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/test-output/figures"));
        let path = folder.join(format!("{}.json", self.name));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, format!("{file:#}\n")));
        // A panic in a drop would hide what the test has to say.
        if let Err(error) = written {
            println!("not written: {}: {error}", path.display());
        }
    }
}
