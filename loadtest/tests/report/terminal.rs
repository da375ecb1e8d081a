//! The line and the table, as a terminal shows them.

use loadtest::{
    outcome::Second,
    report::{
        progress::{Progress, line},
        table::table,
    },
};

use crate::sample;

#[test]
fn table_of_a_good_run() {
    insta::assert_snapshot!(table(&sample::outcome()));
}

#[test]
fn table_of_a_bad_run() {
    insta::assert_snapshot!(table(&sample::bad()));
}

#[test]
fn table_of_connections_alone() {
    insta::assert_snapshot!(table(&sample::idle()));
}

#[test]
fn a_table_fits_a_hundred_columns() {
    for outcome in [sample::outcome(), sample::bad(), sample::idle(), sample::hostile()] {
        for line in table(&outcome).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn a_text_cannot_steer_the_terminal() {
    let mut outcome = sample::outcome();
    outcome.remarks = vec!["\x1b[2Jgone\x07\r".into()];
    let table = table(&outcome);
    assert!(!table.contains(|letter: char| letter.is_control() && letter != '\n'), "{table:?}");
}

#[test]
fn lines_of_all_phases() {
    let outcome = sample::outcome();
    let seconds = outcome
        .seconds
        .iter()
        .filter(|second| [-10.0, -3.0, 12.0, 21.0, 62.0].contains(&second.at));
    let lines: Vec<String> = seconds.map(|second| line(second, &outcome.plan)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// What is written of seconds from -1 to 11, and of what follows.
fn written(is_terminal: bool) -> String {
    let plan = sample::outcome().plan;
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, is_terminal);
    for at in -1..12 {
        let second = Second { at: f64::from(at), connected: 5, ..Second::default() };
        progress.show(&second, &plan).unwrap();
    }
    drop(progress);
    out.extend(b"table");
    String::from_utf8(out).unwrap()
}

#[test]
fn a_terminal_is_drawn_over() {
    let written = written(true);
    assert_eq!(written.matches('\r').count(), 13);
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "table"));
}

#[test]
fn a_file_gets_a_line_every_five_seconds() {
    let written = written(false);
    assert!(!written.contains('\r') && !written.contains('\x1b'), "{written}");
    // Of the seconds -1, 4 and 9.
    let left: Vec<&str> = written.lines().map(|line| line.split(" · ").next().unwrap()).collect();
    assert_eq!(left, ["warming up", "55 s left", "50 s left", "table"]);
}
