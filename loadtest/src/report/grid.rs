//! The tables of a run, for terminal and page alike.

use super::words::{self, or_dash};
use phone::ledger::Class;

use crate::outcome::{Outcome, Role};

/// Rows under the names of their columns. The first column says what a row is of, and has no name.
pub(super) struct Grid {
    pub(super) title: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// Those that terminal and page both show, if they have rows. A page shows further figures as cards; a
/// terminal has the ledger in words.
pub(super) fn grids(outcome: &Outcome) -> Vec<Grid> {
    let all = [latencies, counts, costs, processes, faults].map(|grid| grid(outcome));
    all.into_iter().filter(|grid| !grid.rows.is_empty()).collect()
}

fn latencies(outcome: &Outcome) -> Grid {
    let rows = words::kinds(outcome).into_iter().map(|kind| {
        let it = &outcome.latencies[kind];
        let figures = [it.mean, it.p50, it.p90, it.p99, it.p999, it.max].map(words::number);
        [words::spaced(kind), words::count(it.count)].into_iter().chain(figures).collect()
    });
    Grid {
        title: "Latency, ms",
        names: &["count", "mean", "p50", "p90", "p99", "p99.9", "max"],
        rows: rows.collect(),
    }
}

fn counts(outcome: &Outcome) -> Grid {
    let totals = &outcome.totals;
    let chats = [
        ("chats due", totals.due),
        ("sent", totals.sent),
        ("acknowledged", totals.acknowledged),
        ("delivered", totals.delivered),
    ];
    let others = [
        ("errors", totals.errors),
        ("connections", totals.connects),
        ("that failed", totals.failed_connects),
        ("requests over HTTP", totals.requests),
    ];
    let chats = chats.into_iter().filter(|_| totals.due > 0);
    let rows = chats.chain(others).map(|(name, count)| {
        let rate = words::number(outcome.per_second(count));
        vec![name.to_owned(), words::count(count), rate]
    });
    Grid { title: "Counts", names: &["in all", "a second"], rows: rows.collect() }
}

fn costs(outcome: &Outcome) -> Grid {
    let roles = words::roles(outcome);
    let roles = roles.iter().filter(|role| **role != Role::Generator);
    let mut costs: Vec<_> =
        roles.map(|role| (words::role(*role), outcome.cpu_per_thousand(&[*role]))).collect();
    costs.push(("the service in all", outcome.cpu_per_thousand(&Role::SERVICE)));
    costs.push(("generator, not in it", outcome.cpu_per_thousand(&[Role::Generator])));
    let row = |(name, cost): (&str, Option<f64>)| Some(vec![name.to_owned(), words::number(cost?)]);
    Grid {
        title: "CPU per 1,000 chats",
        names: &["seconds"],
        rows: costs.into_iter().filter_map(row).collect(),
    }
}

fn processes(outcome: &Outcome) -> Grid {
    let mut processes: Vec<_> = outcome.processes.iter().collect();
    processes.sort_by_key(|process| process.role);
    let cores = |secs: f64| words::number(secs / outcome.load_secs);
    let mut rows: Vec<_> = processes
        .into_iter()
        .map(|process| {
            vec![
                process.name.clone(),
                words::role(process.role).to_owned(),
                words::number(process.cpu_secs),
                cores(process.cpu_secs),
                words::size(process.first_rss_bytes),
                words::size(process.last_rss_bytes),
                words::size(process.max_rss_bytes),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let secs = outcome.machine.others_cpu_secs;
        let row = ["others", "", &words::number(secs), &cores(secs), "", "", ""];
        rows.push(row.map(str::to_owned).into());
    }
    Grid {
        title: "Processes",
        names: &["role", "CPU s", "cores", "memory first", "last", "most"],
        rows,
    }
}

fn faults(outcome: &Outcome) -> Grid {
    let rows = outcome.faults.iter().map(|fault| {
        vec![
            fault.what.clone(),
            words::secs(fault.at),
            words::secs(fault.until),
            or_dash(fault.sending_after_secs, words::secs),
            or_dash(fault.delivering_after_secs, words::secs),
        ]
    });
    Grid {
        title: "Faults",
        names: &["at", "until", "all acknowledged again after", "all shown again after"],
        rows: rows.collect(),
    }
}

/// What a scenario found besides.
pub(super) fn figures(outcome: &Outcome) -> Grid {
    let rows = outcome.figures.iter().map(|(name, value)| {
        let (name, value) = words::figure(name, *value);
        vec![name, value]
    });
    Grid { title: "Further figures", names: &[""], rows: rows.collect() }
}

/// What was checked, and what was wrong.
pub(super) fn ledger(outcome: &Outcome) -> Grid {
    let ledger = &outcome.ledger;
    let wrong = Class::ALL.into_iter().map(|class| (words::name(class), ledger.count(class)));
    let checked = [("chats checked", ledger.chats), ("showings checked", ledger.shown)];
    let checked = checked.map(|(name, count)| (name.to_owned(), count));
    let rows = wrong.chain(checked).map(|(name, count)| vec![name, words::count(count)]);
    Grid { title: "Ledger", names: &["cases"], rows: rows.collect() }
}
