//! The table at the end of a run, for a terminal of 100 columns.

use std::iter;

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::words::{self, or_dash};
use crate::outcome::{Outcome, Role};

const WIDTH: u16 = 100;

/// What a run found.
pub fn table(outcome: &Outcome) -> String {
    let mut parts = vec![heading(outcome), chats(outcome), latencies(outcome)];
    parts.extend(processes(outcome));
    parts.extend(faults(outcome));
    parts.extend(figures(outcome));
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

fn chats(outcome: &Outcome) -> String {
    let totals = &outcome.totals;
    let mut table = grid(["chats", "in all", "a second"]);
    for (name, count) in [
        ("due", totals.due),
        ("sent", totals.sent),
        ("acknowledged", totals.acknowledged),
        ("delivered", totals.delivered),
    ] {
        let rate = words::number(outcome.per_second(count));
        table.add_row([name.to_owned(), words::count(count), rate]);
    }
    format!(
        "{}\n{}, {}, {} that failed, {} over HTTP",
        text(table),
        words::several(totals.errors, "error"),
        words::several(totals.connects, "connection"),
        words::count(totals.failed_connects),
        words::several(totals.requests, "request"),
    )
}

fn latencies(outcome: &Outcome) -> String {
    let mut table = grid(["latency, ms", "count", "mean", "p50", "p90", "p99", "p99.9", "max"]);
    for kind in words::kinds(outcome) {
        let latency = &outcome.latencies[kind];
        let figures =
            [latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
        let row = [kind.to_owned(), words::count(latency.count)];
        table.add_row(row.into_iter().chain(figures.map(words::number)));
    }
    text(table)
}

fn processes(outcome: &Outcome) -> Vec<String> {
    if outcome.processes.is_empty() {
        return Vec::new();
    }
    let mut table = grid(["process", "role", "CPU s", "cores", "memory: first", "last", "most"]);
    let mut sorted: Vec<_> = outcome.processes.iter().collect();
    sorted.sort_by_key(|process| process.role);
    for process in sorted {
        table.add_row([
            process.name.clone(),
            words::role(process.role).to_owned(),
            words::number(process.cpu_secs),
            words::number(process.cpu_secs / outcome.load_secs),
            words::size(process.first_rss_bytes),
            words::size(process.last_rss_bytes),
            words::size(process.max_rss_bytes),
        ]);
    }
    table.add_row(words::others_row(outcome));
    if let Some(roles) = table.column_mut(1) {
        roles.set_cell_alignment(CellAlignment::Left);
    }

    let per_thousand = |roles: &[Role]| or_dash(outcome.cpu_per_thousand(roles), words::number);
    let mut costs = grid(["CPU s per 1,000 chats", ""]);
    for role in words::roles(outcome).into_iter().filter(|role| *role != Role::Generator) {
        costs.add_row([words::role(role).to_owned(), per_thousand(&[role])]);
    }
    costs.add_row(["the service in all".to_owned(), per_thousand(&Role::SERVICE)]);
    costs.add_row(["generator, not in it".to_owned(), per_thousand(&[Role::Generator])]);
    vec![text(table), text(costs)]
}

fn faults(outcome: &Outcome) -> Option<String> {
    if outcome.faults.is_empty() {
        return None;
    }
    let mut table = grid([
        "fault",
        "at",
        "until",
        "all are acknowledged again after",
        "all are shown chats again after",
    ]);
    for fault in &outcome.faults {
        table.add_row([
            fault.what.clone(),
            words::secs(fault.at),
            words::secs(fault.until),
            or_dash(fault.sending_after_secs, words::secs),
            or_dash(fault.delivering_after_secs, words::secs),
        ]);
    }
    Some(text(table))
}

fn figures(outcome: &Outcome) -> Option<String> {
    if outcome.figures.is_empty() {
        return None;
    }
    let mut table = grid(["further figures", ""]);
    for (name, value) in &outcome.figures {
        let (name, value) = words::figure(name, *value);
        table.add_row([name, value]);
    }
    Some(text(table))
}

fn verdict(outcome: &Outcome) -> String {
    let clean = if outcome.ledger.is_clean() { "clean" } else { "NOT CLEAN" };
    let valid = if outcome.invalid.is_empty() { "valid" } else { "INVALID" };
    let mut table = bare();
    table.add_row(["ledger".to_owned(), format!("{clean}: {}", outcome.ledger)]);
    table.add_row(["run".to_owned(), list(valid, &outcome.invalid)]);
    if !outcome.remarks.is_empty() {
        table.add_row(["remarks".to_owned(), outcome.remarks.join("\n")]);
    }
    text(table)
}

fn list(first: &str, rest: &[String]) -> String {
    iter::once(first).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
}

/// Names to the left, figures to the right of their columns.
fn grid<const N: usize>(names: [&str; N]) -> Table {
    let mut table = bare();
    table.set_header(names);
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
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
