//! What a run found, as people read it: a line while it goes on, a table at its end, a page with plots.
//! Everything is made from [`Outcome`] alone, so it can be made again from the JSON.

pub mod compare;
pub mod evidence;
mod grid;
pub mod html;
pub mod progress;
pub mod soak;
pub mod table;
mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    comparison::{self, Comparison},
    outcome::{self, Outcome},
};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is not what a load test wrote", path.display())]
    Foreign { path: PathBuf, source: serde_json::Error },
    #[error("{} is a page without an outcome in it", path.display())]
    NoOutcome { path: PathBuf },
    #[error("{} has version {found} of its shape, and this program knows {known}", path.display())]
    Version { path: PathBuf, found: u64, known: u32 },
}

/// Reads an outcome, from its JSON or from a page that was made of it.
pub fn read(path: &Path) -> Result<Outcome, ReportError> {
    parse(path, outcome::VERSION)
}

/// Reads a comparison, from its JSON or from a page that was made of it.
pub fn read_comparison(path: &Path) -> Result<Comparison, ReportError> {
    parse(path, comparison::VERSION)
}

/// Writes a comparison as JSON, and its table in Markdown and its page beside it. Says where the page is.
pub fn save_comparison(comparison: &Comparison, json: &Path) -> Result<PathBuf, ReportError> {
    write(json, &to_json(comparison))?;
    write(&json.with_extension("md"), &compare::markdown(comparison))?;
    write(&json.with_extension("html"), &compare::page(comparison))
}

/// Makes the page of an outcome anew, beside its JSON, and says where it is.
pub fn render(path: &Path) -> Result<PathBuf, ReportError> {
    write(&path.with_extension("html"), &html::page(&read(path)?))
}

/// Makes the page of a comparison anew, beside its JSON, and says where it is.
pub fn render_comparison(path: &Path) -> Result<PathBuf, ReportError> {
    write(&path.with_extension("html"), &compare::page(&read_comparison(path)?))
}

fn to_json(source: &impl Serialize) -> String {
    serde_json::to_string(source).expect("keys are texts, and nothing refuses to be written")
}

fn write(path: &Path, text: &str) -> Result<PathBuf, ReportError> {
    match fs::write(path, text) {
        Ok(()) => Ok(path.to_owned()),
        Err(source) => Err(ReportError::Write { path: path.to_owned(), source }),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, known: u32) -> Result<T, ReportError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let path = path.to_owned();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ReportError::Read { path, source }),
    };
    let json = if text.trim_start().starts_with('<') {
        let Some(json) = html::embedded(&text) else { return Err(ReportError::NoOutcome { path }) };
        json
    } else {
        &text
    };
    // The version first: another one may have other fields.
    match serde_json::from_str::<Versioned>(json) {
        Ok(Versioned { version }) if version == u64::from(known) => {
            serde_json::from_str(json).map_err(|source| ReportError::Foreign { path, source })
        }
        Ok(Versioned { version }) => Err(ReportError::Version { path, found: version, known }),
        Err(source) => Err(ReportError::Foreign { path, source }),
    }
}
