//! What tests of faults and the load test found, as one page: in Markdown, and for a browser.

use std::fmt::Write;

use maud::html;

use super::{
    grid::Grid,
    html::{frame, table},
    words::{self, or_dash},
};
use crate::{
    comparison::Spread,
    evidence::{Evidence, FaultTest},
    outcome::{Outcome, Role},
};

/// How a test calls how many chats were sent, how many of them were shown, and how long it took after a fault until all
/// phones had sent and been shown a chat again.
const CHATS: &str = "chats";
const SHOWN: &str = "shown";
const BACK: &str = "longest until all chat again";

const TITLE: &str = "Evidence";

/// The page in Markdown.
pub fn markdown(evidence: &Evidence) -> String {
    let mut text = format!("# {TITLE}\n\n{}\n", words::in_cell(&summary(evidence)));
    for line in about(evidence) {
        let _ = write!(text, "\n- {}", words::in_cell(&line));
    }
    text.push('\n');
    for grid in grids(evidence) {
        let (rule, names) = ("---:|".repeat(grid.names.len()), grid.names.join(" | "));
        let _ = write!(text, "\n## {}\n\n| | {names} |\n|---|{rule}\n", grid.title);
        for row in &grid.rows {
            let cells: Vec<_> = row.iter().map(|cell| words::in_cell(cell)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text
}

/// The page for a browser.
pub fn page(evidence: &Evidence) -> String {
    let body = html! {
        header {
            p.kicker { "imserver · " (evidence.commit) }
            h1 { (TITLE) }
            p { (summary(evidence)) }
            @for line in about(evidence) { p.quiet { (line) } }
        }
        section.tables { @for grid in grids(evidence) { (table(&grid)) } }
        footer.quiet {
            "This page needs no network. Its JSON is in it: "
            button type="button" id="save" data-name="evidence.json" { "save as a file" }
        }
    };
    frame(TITLE, &body, evidence, false)
}

/// One row for the table of figures by commit: when, which, latency and cost of `chat`, memory of `idle`, and until the
/// last phone of `group` has a chat.
pub fn history(evidence: &Evidence) -> String {
    let run = |name: &str| evidence.runs.get(name).map_or(&[][..], Vec::as_slice);
    let day = evidence.at.split('T').next().unwrap_or_default();
    let chat = run("chat");
    let latency = |part| millis(chat, "delivery", part);
    let costs = [&[Role::Server][..], &[Role::Postgres], &[Role::Redis], &Role::SERVICE]
        .map(|roles| cost(chat, roles));
    let idle = median(run("idle"), |it| it.figures.get("rssPerConnectionBytes").copied());
    let cells = [
        day.to_owned(),
        evidence.commit.clone(),
        format!("{} / {}", latency(Part::P50), latency(Part::P99)),
        costs.join(" · "),
        cost(run("busy"), &Role::SERVICE),
        or_dash(idle, words::bytes),
        millis(run("group"), "lastDelivery", Part::P99),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// In one sentence or two.
fn summary(evidence: &Evidence) -> String {
    let all = evidence.faults.len();
    let failed = evidence.faults.iter().filter(|fault| !fault.held).count();
    let sum = |what| evidence.faults.iter().filter_map(|fault| fault.count(what)).sum::<u64>();
    let held = match failed {
        0 => "every one of them held".to_owned(),
        _ => format!("{failed} of them DID NOT HOLD"),
    };
    let runs = evidence.runs.values().flatten().count();
    let bad = evidence.runs.values().flatten().filter(|run| !run.is_good()).count();
    let good = match bad {
        0 => "all valid, with clean ledgers".to_owned(),
        _ => format!("{bad} of them NOT GOOD"),
    };
    format!(
        "{} of faults: {held}. Of {} that were sent meanwhile, and of {} on phones, none was lost, doubled, out of order \
         or shown to somebody else where the test held. {} of load: {good}.",
        words::several(all as u64, "test"),
        words::several(sum(CHATS), "chat"),
        words::several(sum(SHOWN), "showing"),
        words::several(runs as u64, "run"),
    )
}

/// When, of what, where.
fn about(evidence: &Evidence) -> Vec<String> {
    let mut lines = vec![format!("{}, commit {}", evidence.at, evidence.commit)];
    lines.extend(evidence.facts.iter().cloned());
    lines.push("What was measured of load is the median of its runs.".to_owned());
    lines.extend(evidence.runs.values().flatten().next().map(words::machine));
    lines
}

fn grids(evidence: &Evidence) -> Vec<Grid> {
    let faults = evidence.faults.iter().map(fault).collect();
    let runs = evidence.runs.iter().map(|(name, runs)| load(name, runs)).collect();
    let grids = [
        Grid {
            title: "Faults",
            names: &["test", "result", "chats", "showings", "all chat again after"],
            rows: faults,
        },
        Grid {
            title: "Load",
            names: &[
                "plan",
                "runs",
                "chats/s",
                "p50",
                "p99",
                "last phone, p99",
                "µs of CPU a chat: replicas",
                "Postgres",
                "Redis",
                "all",
                "memory a connection",
                "ledger",
            ],
            rows: runs,
        },
    ];
    grids.into_iter().filter(|grid| !grid.rows.is_empty()).collect()
}

fn fault(fault: &FaultTest) -> Vec<String> {
    vec![
        fault.name.replace('_', " "),
        fault.module.clone(),
        if fault.held { "held" } else { "FAILED" }.to_owned(),
        or_dash(fault.count(CHATS), words::count),
        or_dash(fault.count(SHOWN), words::count),
        or_dash(fault.most(BACK), words::millis),
    ]
}

/// Medians of its runs.
fn load(name: &str, runs: &[Outcome]) -> Vec<String> {
    let memory = median(runs, |run| run.figures.get("rssPerConnectionBytes").copied());
    let good = if runs.iter().all(Outcome::is_good) { "clean" } else { "NOT GOOD" };
    vec![
        name.to_owned(),
        runs.first().map(words::load).unwrap_or_default(),
        runs.len().to_string(),
        or_dash(median(runs, |run| Some(run.per_second(run.reached()))), words::number),
        millis(runs, "delivery", Part::P50),
        millis(runs, "delivery", Part::P99),
        millis(runs, "lastDelivery", Part::P99),
        cost(runs, &[Role::Server]),
        cost(runs, &[Role::Postgres]),
        cost(runs, &[Role::Redis]),
        cost(runs, &Role::SERVICE),
        or_dash(memory, words::bytes),
        good.to_owned(),
    ]
}

#[derive(Clone, Copy)]
enum Part {
    P50,
    P99,
}

fn millis(runs: &[Outcome], kind: &str, part: Part) -> String {
    let of = |run: &Outcome| {
        let latency = run.latencies.get(kind).filter(|latency| latency.count > 0)?;
        Some(match part {
            Part::P50 => latency.p50,
            Part::P99 => latency.p99,
        })
    };
    or_dash(median(runs, of), words::millis)
}

/// In µs a chat.
fn cost(runs: &[Outcome], roles: &[Role]) -> String {
    let of = |run: &Outcome| Some(run.cpu_per_thousand(roles)? * 1_000.0);
    or_dash(median(runs, of), words::number)
}

fn median(runs: &[Outcome], of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
    Spread::of(runs.iter().filter_map(of)).map(|spread| spread.median)
}
