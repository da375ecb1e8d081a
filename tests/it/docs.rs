//! What `docs/protocol.md` has in tables is what the code has.

use imserver::protocol::{close::CloseCode, fault::Code};

const PROTOCOL: &str = include_str!("../../docs/protocol.md");

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
    let coded: Vec<_> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status().to_string()))
        .collect();
    assert_eq!(documented, coded);
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
