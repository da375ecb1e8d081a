//! The table at the end of a run, for a terminal of 100 columns.

use std::iter;

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{
    grid::{self, Grid},
    words,
};
use crate::outcome::Outcome;

const WIDTH: u16 = 100;

/// What a run found.
pub fn table(outcome: &Outcome) -> String {
    let mut parts = vec![heading(outcome)];
    parts.extend(grid::grids(outcome).into_iter().map(figures));
    if !outcome.figures.is_empty() {
        parts.push(figures(grid::figures(outcome)));
    }
    parts.push(verdict(outcome));
    // What others said must not steer the terminal.
    let plain =
        |letter: char| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter };
    parts.join("\n\n").chars().map(plain).chain(['\n']).collect()
}

fn heading(outcome: &Outcome) -> String {
    let targets: Vec<&str> = outcome.plan.targets.iter().map(url::Url::as_str).collect();
    let mut table = bare();
    table.add_row([
        "run".to_owned(),
        format!("{}, {}, {}", outcome.server, words::name(outcome.plan.scenario), outcome.begun_at),
    ]);
    table.add_row(["plan".to_owned(), words::plan(outcome)]);
    table.add_row(["targets".to_owned(), targets.join(" ")]);
    table.add_row(["machine".to_owned(), words::machine(outcome)]);
    text(table)
}

/// Names to the left, figures to the right of their columns.
fn figures(grid: Grid) -> String {
    let mut table = bare();
    table.set_header(std::iter::once(&grid.title).chain(grid.names));
    table.add_rows(grid.rows);
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    text(table)
}

fn verdict(outcome: &Outcome) -> String {
    let clean = if outcome.ledger.is_clean() { "clean" } else { "NOT CLEAN" };
    let valid = if outcome.invalid.is_empty() { "valid" } else { "INVALID" };
    let mut table = bare();
    let ledger = match outcome.ledger.chats {
        0 if outcome.ledger.is_clean() => "no chats to check".to_owned(),
        _ => format!("{clean}: {}", outcome.ledger),
    };
    table.add_row(["ledger".to_owned(), ledger]);
    table.add_row(["run".to_owned(), list(valid, &outcome.invalid)]);
    if !outcome.remarks.is_empty() {
        table.add_row(["remarks".to_owned(), outcome.remarks.join("\n")]);
    }
    text(table)
}

fn list(first: &str, rest: &[String]) -> String {
    iter::once(first).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
}

/// No borders: lines would be longer than what they frame.
fn bare() -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

/// Two blanks between columns, and none before the first.
fn text(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}
