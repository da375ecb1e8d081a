//! The page of a run: one file that needs nothing else, with the outcome in it.
//!
//! Texts are escaped by the template language. The plots are drawn in the browser, from the outcome that is
//! embedded, by `assets/report.js` with uPlot; ADR 0020 says why.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::{
    grid::{self, Grid},
    to_json,
    words::{self, or_dash},
};
use phone::ledger::Class;

use crate::{
    outcome::{Outcome, Role},
    plan::Scenario,
};

const STYLE: &str = concat!(
    include_str!("../../assets/uplot/uPlot.min.css"),
    "\n",
    include_str!("../../assets/report.css")
);
const UPLOT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_LICENCE: &str = include_str!("../../assets/uplot/LICENSE");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// Nothing is loaded from anywhere, whatever the texts of a run may hold.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const JSON_BEGIN: &str = r#"<script type="application/json" id="outcome">"#;
const JSON_END: &str = "</script>";

/// The page of a run.
pub fn page(outcome: &Outcome) -> String {
    let title = format!("{} · {}", outcome.server, words::name(outcome.plan.scenario));
    let body = html! {
        (header(outcome))
        (warnings(outcome))
        (cards(outcome))
        @if !outcome.seconds.is_empty() { (plots(outcome)) }
        (tables(outcome))
        (details(outcome))
    };
    frame(&title, &body, outcome, true)
}

/// A page around a body, with what it was made of embedded.
pub(super) fn frame(
    title: &str,
    body: &Markup,
    source: &impl Serialize,
    has_plots: bool,
) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                (PreEscaped(JSON_BEGIN)) (PreEscaped(embeddable(source))) (PreEscaped(JSON_END))
                @if has_plots { script { "/*\n" (PreEscaped(UPLOT_LICENCE)) "*/\n" (PreEscaped(UPLOT)) } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// JSON in which nothing ends a script.
fn embeddable(source: &impl Serialize) -> String {
    to_json(source).replace('<', "\\u003c")
}

/// The JSON in a page.
pub(super) fn embedded(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(JSON_BEGIN)?;
    rest.split_once(JSON_END).map(|(json, _)| json)
}

fn header(outcome: &Outcome) -> Markup {
    let is_clean = outcome.ledger.is_clean();
    let is_valid = outcome.invalid.is_empty();
    html! {
        header {
            p.kicker { "Load test · " (outcome.server) " · scenario " (words::name(outcome.plan.scenario)) }
            h1 { (headline(outcome)) }
            p.badges {
                @if !is_clean || outcome.ledger.chats > 0 {
                    (badge(is_clean, if is_clean { "Ledger clean" } else { "Ledger not clean" }))
                }
                (badge(is_valid, if is_valid { "Run valid" } else { "Run invalid" }))
            }
            p.quiet { (words::plan(outcome)) }
            p.quiet { (words::machine(outcome)) " · " time { (outcome.begun_at) } }
        }
    }
}

fn badge(is_good: bool, text: &str) -> Markup {
    html! {
        span.badge.good[is_good].bad[!is_good] {
            span aria-hidden="true" { @if is_good { "✓" } @else { "✗" } } " " (text)
        }
    }
}

/// The run in one sentence.
fn headline(outcome: &Outcome) -> String {
    let delivered = words::number(outcome.per_second(outcome.reached()));
    let wrong: Vec<_> = outcome.ledger.problems.iter().collect();
    let proof = match wrong.as_slice() {
        [] if outcome.ledger.chats == 0 => String::new(),
        [] => ", nothing lost".to_owned(),
        [(class, problem), ..] => {
            format!(", {} {}", words::count(problem.count), words::name(class))
        }
    };
    let p99 = match outcome.latencies.get("delivery") {
        Some(latency) => format!(" at a p99 of {}", words::millis(latency.p99)),
        None => String::new(),
    };
    let connected = outcome.seconds.iter().map(|second| second.connected).max().unwrap_or(0);
    match outcome.plan.scenario {
        Scenario::Idle => format!("{} held open", words::several(connected, "connection")),
        _ => format!("{delivered} chats/s{p99}{proof}"),
    }
}

/// What makes the rest worth nothing comes first.
fn warnings(outcome: &Outcome) -> Markup {
    let problems = &outcome.ledger.problems;
    html! {
        @if !outcome.invalid.is_empty() {
            section.warning {
                h2 { "This run says nothing about the server" }
                ul { @for reason in &outcome.invalid { li { (reason) } } }
            }
        }
        @if !problems.is_empty() {
            section.warning {
                h2 { "What the ledger found" }
                @for (class, problem) in problems {
                    h3 { (words::count(problem.count)) " " (words::name(class)) }
                    ul.cases {
                        @for case in &problem.cases { li { (case) } }
                        @let more = problem.count.saturating_sub(problem.cases.len() as u64);
                        @if more > 0 { li { "and " (words::count(more)) " more" } }
                    }
                }
            }
        }
    }
}

fn cards(outcome: &Outcome) -> Markup {
    let totals = &outcome.totals;
    let lost = outcome.ledger.count(Class::Lost);
    let wrong: u64 = outcome.ledger.problems.values().map(|problem| problem.count).sum();
    html! {
        section.cards {
            @if totals.due > 0 {
                (card("Chats a second", &words::number(outcome.per_second(outcome.reached())), "", &format!(
                    "delivered, of {} due; {} in all",
                    words::number(outcome.per_second(totals.due)),
                    words::several(outcome.reached(), "chat"),
                )))
            }
            @if let Some(kind) = words::kinds(outcome).first() {
                @let latency = &outcome.latencies[*kind];
                @for (name, value, note) in [
                    ("p50", latency.p50, format!("mean {}", words::millis(latency.mean))),
                    ("p99", latency.p99, format!(
                        "p99.9 {}, max {}", words::millis(latency.p999), words::millis(latency.max)
                    )),
                ] {
                    @let said = words::millis(value);
                    @let (figure, unit) = said.split_once(' ').unwrap_or((&said, ""));
                    (card(&format!("{} {name}", capital(&words::spaced(kind))), figure, unit, &note))
                }
            }
            @if outcome.ledger.chats > 0 {
                (tinted_card(wrong > 0, "Lost", &words::count(lost), if lost == 1 { "chat" } else { "chats" }, &format!(
                    "{} checked, {} wrong in any way", words::several(outcome.ledger.chats, "chat"), words::count(wrong)
                )))
            }
            @if let Some(cost) = outcome.cpu_per_thousand(&Role::SERVICE) {
                (card("CPU per 1,000 chats", &words::number(cost), "s", &format!(
                    "servers {} s, Postgres {} s",
                    or_dash(outcome.cpu_per_thousand(&[Role::Server]), words::number),
                    or_dash(outcome.cpu_per_thousand(&[Role::Postgres]), words::number),
                )))
            }
            @for (name, value) in &outcome.figures {
                @let (name, said) = words::figure(name, *value);
                @let (figure, unit) = said.split_once(' ').unwrap_or((&said, ""));
                (card(&capital(&name), figure, unit, ""))
            }
        }
    }
}

fn card(name: &str, figure: &str, unit: &str, note: &str) -> Markup {
    tinted_card(false, name, figure, unit, note)
}

fn tinted_card(is_bad: bool, name: &str, figure: &str, unit: &str, note: &str) -> Markup {
    html! {
        div.card.bad[is_bad] {
            div.name { (name) }
            div.figure { (figure) @if !unit.is_empty() { " " span.unit { (unit) } } }
            div.note { (note) }
        }
    }
}

/// Where the plots will be drawn, by the names that the script knows them by.
fn plots(outcome: &Outcome) -> Markup {
    let has_processes = outcome.processes.iter().any(|process| !process.samples.is_empty());
    let has_latencies = outcome.seconds.iter().any(|second| second.p50.is_some());
    let has_chats = outcome.totals.due > 0;
    html! {
        section.plots {
            noscript { p { "The plots need JavaScript. The tables below do not." } }
            @if has_latencies {
                (plot("latency", true, "Delivery latency", "from the moment at which a chat was due, in each second"))
            }
            @if has_chats {
                (plot("throughput", false, "Throughput", "chats in each second"))
            }
            @if outcome.latencies.values().any(|latency| latency.percentiles.len() > 1) {
                (plot("percentiles", false, "Latency by percentile", "over the whole load"))
            }
            (plot("connections", false, "Connections", "sockets open at the end of each second"))
            @if has_chats {
                (plot("inFlight", false, "In flight", "sent and not acknowledged at the end of each second"))
            }
            @if has_processes {
                (plot("cpu", false, "CPU", "cores in use, one process upon the other"))
                (plot("memory", false, "Memory", "resident, shared pages counted for each process"))
            }
        }
        @if !outcome.faults.is_empty() {
            ol.faults {
                @for fault in &outcome.faults {
                    li { b { (fault.what) } " at " (words::secs(fault.at)) (recovery(fault)) }
                }
            }
        }
        p.hint { "Drag to zoom in, double-click to zoom out, click a name to hide it." }
    }
}

fn recovery(fault: &crate::outcome::Fault) -> String {
    match fault.sending_after_secs.zip(fault.delivering_after_secs) {
        Some((sending, delivering)) => {
            format!(": back for everybody after {}", words::secs(sending.max(delivering)))
        }
        None => ": not back for everybody".to_owned(),
    }
}

fn plot(name: &str, is_wide: bool, title: &str, note: &str) -> Markup {
    html! {
        figure.wide[is_wide] {
            figcaption { b { (title) } " " span.quiet { (note) } }
            div.plot data-plot=(name) role="group" aria-label=(format!("{title}, {note}")) {}
        }
    }
}

fn tables(outcome: &Outcome) -> Markup {
    html! {
        section.tables {
            @for grid in grid::grids(outcome) { (table(&grid)) }
            @if outcome.ledger.chats > 0 { (table(&grid::ledger(outcome))) }
            @if !outcome.remarks.is_empty() {
                div { h2 { "Remarks" } ul { @for remark in &outcome.remarks { li { (remark) } } } }
            }
        }
    }
}

pub(super) fn table(grid: &Grid) -> Markup {
    html! {
        div.wide[grid.names.len() > 3] {
            h2 { (grid.title) }
            div.scroll {
                table {
                    thead { tr { th {} @for name in grid.names { th scope="col" { (name) } } } }
                    tbody {
                        @for row in &grid.rows {
                            @let (first, cells) = row.split_first().expect("a row says what it is of");
                            tr { th scope="row" { (first) } @for cell in cells { td { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}

fn details(outcome: &Outcome) -> Markup {
    let plan = serde_json::to_string_pretty(&outcome.plan).unwrap_or_default();
    html! {
        details { summary { "Plan" } pre { (plan) } }
        footer.quiet {
            "This page needs no network. Its JSON is in it: "
            button type="button" id="save" data-name=(format!("{}-{}.json", outcome.server, words::name(outcome.plan.scenario))) {
                "save as a file"
            }
        }
    }
}

/// With a capital letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
