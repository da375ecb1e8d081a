//! What `docs/protocol.md` has in tables is what the code has.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use imserver::protocol::{close::CloseCode, fault::ErrorCode};

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// The first two cells of each row of the table under a heading.
fn rows(heading: &str) -> Vec<(String, String)> {
    let mut sections = PROTOCOL.split("\n## ");
    let section = sections.find(|text| text.starts_with(heading)).expect("the section is there");
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(cell);
            let first = cells.next().unwrap_or_default();
            (first, cells.next().unwrap_or_default())
        })
        .collect()
}

#[test]
fn every_error_code_is_documented_with_its_status() {
    let documented = rows("Error codes");
    let coded: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status().to_string()))
        .collect();
    assert_eq!(documented, coded);
}

/// All words of a text that look like the name of a metric.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_of_name(c)).filter(|word| word.starts_with("imserver_"));
    // A histogram is shown by its parts.
    let name = |word: &str| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        part.unwrap_or(word).to_owned()
    };
    words.map(name).collect()
}

/// All source files below a folder, as one text.
fn source(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.extension() {
        Some(extension) if extension == "rs" => std::fs::read_to_string(path).unwrap(),
        None => source(&path),
        Some(_) => String::new(),
    };
    entries.map(text).collect()
}

#[test]
fn every_metric_of_the_dashboard_and_the_alarms_is_there() {
    let known = metrics(&source(Path::new("src")));
    for shown in [
        include_str!("../../../deploy/grafana/dashboards/imserver.json"),
        include_str!("../../../deploy/prometheus/alarms.yml"),
    ] {
        let shown = metrics(shown);
        assert!(shown.len() > 3);
        assert_eq!(shown.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

#[test]
fn every_close_code_is_documented() {
    let documented: Vec<u16> = rows("Close codes")
        .iter()
        .flat_map(|(codes, _)| codes.split(", ").map(|code| code.parse().unwrap()))
        .collect();
    for code in [
        CloseCode::Normal,
        CloseCode::BadUtf8,
        CloseCode::TooBig,
        CloseCode::Restart,
        CloseCode::NoProtocol,
        CloseCode::SessionEnded,
        CloseCode::Kicked,
        CloseCode::TooSlow,
        CloseCode::Replaced,
        CloseCode::Silent,
        CloseCode::TooManyFrames,
    ] {
        assert!(documented.contains(&code.code()), "{code:?}");
    }
}
