//! What the tests of faults and the load test found in one sitting, read from what they wrote.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// All that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The time of day at which the page was made, RFC 3339 in UTC.
    pub at: String,
    /// The commit, and whether anything differed from it.
    pub commit: String,
    /// Versions, and how it was run.
    pub facts: Vec<String>,
    /// In the order of their names.
    pub faults: Vec<FaultTest>,
    /// By name; more than one if the run was repeated.
    pub runs: BTreeMap<String, Vec<Outcome>>,
}

impl Evidence {
    /// Whether every fault held, and every run says something good.
    pub fn is_good(&self) -> bool {
        self.faults.iter().all(|fault| fault.held)
            && self.runs.values().flatten().all(Outcome::is_good)
    }
}

/// A test that makes a fault, as the test program named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultTest {
    /// `cluster::redis_faults`.
    pub module: String,
    /// `redis_forgets_everything`.
    pub name: String,
    pub held: bool,
    /// What it measured; a file each.
    pub measured: Vec<Measured>,
}

/// What a test measured: one of the files below `test-output/figures`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The test's path in its program.
    by: String,
    figures: Vec<Figure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Figure {
    what: String,
    value: serde_json::Value,
}

impl FaultTest {
    /// The sum of what was counted by this name; none if nothing was.
    pub fn count(&self, what: &str) -> Option<u64> {
        self.values(what).filter_map(serde_json::Value::as_u64).reduce(|sum, value| sum + value)
    }

    /// The most of what was measured by this name.
    pub fn most(&self, what: &str) -> Option<f64> {
        self.values(what).filter_map(serde_json::Value::as_f64).reduce(f64::max)
    }

    fn values(&self, what: &str) -> impl Iterator<Item = &serde_json::Value> {
        let figures = self.measured.iter().flat_map(|measured| &measured.figures);
        figures.filter(move |figure| figure.what == what).map(|figure| &figure.value)
    }
}

/// Why what was found cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not what a test writes of its figures", path.display())]
    Foreign { path: PathBuf, source: serde_json::Error },
    #[error("no test of a fault was run in {}", path.display())]
    NoFault { path: PathBuf },
    #[error("no run in {}", path.display())]
    NoRun { path: PathBuf },
}

/// The tests below `faults` that were run, from what their program printed to `output`, each with the files of
/// `figures` that it wrote. Those that were left out are not among them.
pub fn faults(output: &Path, figures: &Path) -> Result<Vec<FaultTest>, EvidenceError> {
    let read = |path: &Path| {
        fs::read_to_string(path)
            .map_err(|source| EvidenceError::Read { path: path.to_owned(), source })
    };
    let mut measured = Vec::new();
    for path in json_files(figures)? {
        let file = serde_json::from_str::<Measured>(&read(&path)?);
        measured.push(file.map_err(|source| EvidenceError::Foreign { path, source })?);
    }
    let mut faults: Vec<_> =
        read(output)?.lines().filter_map(|line| fault(line, &measured)).collect();
    if faults.is_empty() {
        return Err(EvidenceError::NoFault { path: output.to_owned() });
    }
    faults.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
    Ok(faults)
}

/// The test that this line is the end of: `test faults::drain::who_asks_twice_does_not_wait ... ok`.
fn fault(line: &str, measured: &[Measured]) -> Option<FaultTest> {
    let (path, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let held = match result {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    let (module, name) = path.strip_prefix("faults::")?.rsplit_once("::")?;
    let measured = measured.iter().filter(|measured| measured.by == path).cloned().collect();
    Some(FaultTest { module: module.to_owned(), name: name.to_owned(), held, measured })
}

/// The outcomes in this folder. `chat-2.json` is a repeat of `chat-1.json`: both are runs of `chat`.
pub fn runs(
    folder: &Path,
    read: impl Fn(&Path) -> anyhow::Result<Outcome>,
) -> anyhow::Result<BTreeMap<String, Vec<Outcome>>> {
    let mut runs: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    for path in json_files(folder)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
        runs.entry(name.to_owned()).or_default().push(read(&path)?);
    }
    anyhow::ensure!(!runs.is_empty(), EvidenceError::NoRun { path: folder.to_owned() });
    Ok(runs)
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, EvidenceError> {
    let unread = |source| EvidenceError::Read { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unread)?.collect::<Result<Vec<_>, _>>();
    let paths = entries.map_err(unread)?.into_iter().map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_what_its_program_printed_with_what_it_measured() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "output",
            "running 4 tests\n\
             test faults::drain::second ... ok\n\
             test faults::cluster::redis::first has been running for over 60 seconds\n\
             test faults::cluster::redis::first ... FAILED\n\
             test faults::memory::third ... ignored, a measurement\n\
             test api::ws::fourth ... ok\n",
        );
        for (file, by) in [("a.json", "first"), ("b.json", "first"), ("c.json", "third")] {
            let by = format!("faults::cluster::redis::{by}");
            let figures = r#"[{"what": "chats", "value": 3, "unit": ""}, {"what": "back", "value": 1.5, "unit": "ms"}]"#;
            write(file, &format!(r#"{{"test": "x", "by": "{by}", "figures": {figures}}}"#));
        }
        let faults = super::faults(&output, folder.path()).unwrap();
        let names: Vec<_> =
            faults.iter().map(|it| (&*it.module, &*it.name, it.held, it.count("chats"))).collect();
        assert_eq!(
            names,
            [("cluster::redis", "first", false, Some(6)), ("drain", "second", true, None)]
        );
        assert_eq!(faults[0].most("back"), Some(1.5));
        write("output", "test api::ws::fourth ... ok\n");
        let none = super::faults(&output, folder.path());
        assert!(matches!(none, Err(EvidenceError::NoFault { .. })), "{none:?}");
    }
}
