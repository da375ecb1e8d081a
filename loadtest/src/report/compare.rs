//! A comparison of servers as people read it: a table in Markdown, and a page with bars.

use std::{collections::BTreeMap, fmt::Write};

use maud::{Markup, html};

use super::{html::frame, words};
use crate::comparison::{Compared, Comparison, Measure, Measured, Quantity, Spread};

/// The servers in rows, what was measured in columns: medians, with the lowest and the highest of the
/// repeats, and how many times the first server's it is.
pub fn markdown(comparison: &Comparison) -> String {
    let measures = measures(comparison);
    let mut text = String::from("| server |");
    for measure in &measures {
        let _ = write!(text, " {} |", words::in_cell(&title(*measure)));
    }
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(measures.len()));
    for server in &comparison.servers {
        let _ = write!(
            text,
            "| {} |",
            words::in_cell(&format!("`{}`: {}", server.server, server.title))
        );
        for measure in &measures {
            let cell = find(server, *measure).map_or_else(
                || "–".to_owned(),
                |measured| {
                    let ratio = ratio(comparison, measured).map(|ratio| format!(", {ratio}"));
                    format!("{}{}", value(measured), ratio.unwrap_or_default())
                },
            );
            let _ = write!(text, " {} |", words::in_cell(&cell));
        }
        text.push('\n');
    }
    let _ = write!(text, "\n{}\n\n", legend(comparison));
    for line in facts(comparison) {
        let _ = writeln!(text, "- {}", words::one_line(&line));
    }
    text
}

/// The page: bars for each measure, then the same facts as under the table.
pub fn page(comparison: &Comparison) -> String {
    let names: Vec<&str> = comparison.servers.iter().map(|server| server.server.as_str()).collect();
    let title = match names.first() {
        Some(first) => format!("How {first} compares"),
        None => "A comparison".to_owned(),
    };
    let body = html! {
        header {
            p.kicker { "Load test · comparison" }
            h1 { (title) }
            p.quiet { (names.join(", ")) }
            p.quiet { (legend(comparison)) }
        }
        section.plots { @for measure in measures(comparison) { (bars(comparison, measure)) } }
        section.tables.facts {
            div.wide { h2 { "How" } ul { @for line in facts(comparison) { li { (line) } } } }
        }
        footer.quiet {
            "This page needs no network. Its JSON is in it: "
            button type="button" id="save" data-name="comparison.json" { "save as a file" }
        }
    };
    frame(&title, &body, comparison, false)
}

fn bars(comparison: &Comparison, measure: Measure) -> Markup {
    let rows: Vec<_> =
        comparison.servers.iter().map(|server| (server, find(server, measure))).collect();
    let highest = |(_, measured): &(_, Option<&Measured>)| Some(measured.as_ref()?.spread?.highest);
    let most = rows.iter().filter_map(highest).fold(0.0, f64::max);
    let share =
        |value: f64| if most > 0.0 { (100.0 * value / most).clamp(0.0, 100.0) } else { 0.0 };
    html! {
        figure.measure {
            figcaption { b { (title(measure)) } " " span.quiet { (direction(measure.quantity)) } }
            @for (index, (server, measured)) in rows.iter().enumerate() {
                div.bar.first[index == 0] {
                    div.who { (server.server) " " span.quiet { (server.title) } }
                    @if let Some((measured, spread)) = measured.and_then(|it| Some((it, it.spread?))) {
                        div.track {
                            div.fill style=(format!("width: {:.2}%", share(spread.median))) {}
                            div.spread style=(format!(
                                "left: {:.2}%; width: {:.2}%",
                                share(spread.lowest), share(spread.highest) - share(spread.lowest),
                            )) {}
                            @for repeat in &measured.repeats {
                                i style=(format!("left: {:.2}%", share(repeat.value)))
                                    title=(say(measure.quantity, repeat.value)) {}
                            }
                        }
                        div.value {
                            b { (say(measure.quantity, spread.median)) } " "
                            span.quiet { (ratio(comparison, measured).unwrap_or_default()) }
                        }
                    } @else {
                        div.track {}
                        div.value.quiet { "no value" }
                    }
                }
            }
        }
    }
}

/// All that was measured of anybody, in the order of quantities, then of rates.
fn measures(comparison: &Comparison) -> Vec<Measure> {
    let mut measures: Vec<Measure> = Vec::new();
    for measured in comparison.servers.iter().flat_map(|server| &server.measured) {
        if !measures.contains(&measured.measure) {
            measures.push(measured.measure);
        }
    }
    measures.sort_by(|a, b| {
        let rate = |measure: &Measure| measure.rate.unwrap_or(0.0);
        a.quantity.cmp(&b.quantity).then(rate(a).total_cmp(&rate(b)))
    });
    measures
}

fn find(server: &Compared, measure: Measure) -> Option<&Measured> {
    server.measured.iter().find(|measured| measured.measure == measure)
}

fn title(measure: Measure) -> String {
    let name = match measure.quantity {
        Quantity::MaxRate => "Most chats/s with p99 < 100 ms",
        Quantity::CpuOfAll => "CPU s per 1,000 chats, the service in all",
        Quantity::CpuOfServers => "CPU s per 1,000 chats, servers alone",
        Quantity::P50 => "p50 of delivery",
        Quantity::P99 => "p99 of delivery",
        Quantity::RssPerConnection => "Memory per idle connection",
    };
    let rate = measure.rate.map(|rate| format!(", at {}/s", words::number(rate)));
    format!("{name}{}", rate.unwrap_or_default())
}

fn direction(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::MaxRate => "more is better",
        _ => "less is better",
    }
}

fn say(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::P50 | Quantity::P99 => words::millis(value),
        Quantity::RssPerConnection => words::bytes(value),
        Quantity::MaxRate | Quantity::CpuOfAll | Quantity::CpuOfServers => words::number(value),
    }
}

/// The median, and the ends where they differ from it.
fn value(measured: &Measured) -> String {
    let Some(Spread { lowest, median, highest }) = measured.spread else { return "–".to_owned() };
    let say = |value| say(measured.measure.quantity, value);
    let (low, middle, high) = (say(lowest), say(median), say(highest));
    if low == high {
        return format!("**{middle}**");
    }
    // The unit once, where it is the same.
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    let number = |text: &str| text.split_once(' ').map_or(text, |(number, _)| number).to_owned();
    if unit(&low) == unit(&high) && unit(&low) == unit(&middle) {
        format!("**{middle}** ({} – {})", number(&low), number(&high))
    } else {
        format!("**{middle}** ({low} – {high})")
    }
}

/// How many times the first server's; nothing for the first one itself.
fn ratio(comparison: &Comparison, measured: &Measured) -> Option<String> {
    let first = find(comparison.servers.first()?, measured.measure)?;
    if std::ptr::eq(first, measured) {
        return None;
    }
    let ratio = measured.spread?.median / first.spread?.median;
    ratio.is_finite().then(|| format!("{}×", words::ratio(ratio)))
}

fn legend(comparison: &Comparison) -> String {
    let repeats = comparison.servers.iter().flat_map(|server| &server.measured);
    let counts = repeats.map(|measured| measured.repeats.len() + measured.failures.len());
    let (least, most) = counts.fold((usize::MAX, 0), |(a, b), it| (a.min(it), b.max(it)));
    let repeats = match least {
        usize::MAX => "no repeats".to_owned(),
        _ if least == most => words::several(most as u64, "repeat"),
        _ => format!("{least} to {most} repeats"),
    };
    let first = comparison.servers.first().map_or("the first", |server| &server.server);
    format!("Medians of {repeats}, with the lowest and the highest; × is against {first}.")
}

/// What a reader needs in order to judge or repeat it, a line each.
fn facts(comparison: &Comparison) -> Vec<String> {
    let machine = &comparison.machine;
    let mut lines = comparison.conditions.clone();
    lines.push(format!(
        "Machine: {}, {}, {}, {}; begun {}",
        machine.cpu,
        words::several(machine.cores.into(), "core"),
        words::size(machine.memory_bytes),
        machine.kernel,
        comparison.begun_at,
    ));
    let all = comparison.servers.iter().flat_map(|server| &server.measured);
    let others = all.flat_map(|measured| &measured.repeats).map(|repeat| repeat.others_cores);
    if let Some(Spread { lowest, median, highest }) = Spread::of(others) {
        lines.push(format!(
            "Noise: others took {} cores of it in the middle, {} to {}",
            words::number(median),
            words::number(lowest),
            words::number(highest),
        ));
    }
    for server in &comparison.servers {
        let versions = server.versions.iter().map(|(name, version)| format!("{name} {version}"));
        lines.push(format!("{}: {}", server.server, versions.collect::<Vec<_>>().join(", ")));
    }
    lines.extend(comparison.servers.iter().flat_map(failures));
    lines.extend(comparison.remarks.iter().cloned());
    lines
}

/// Why something has no value. What is measured at one rate is of one run, which fails as a whole.
fn failures(server: &Compared) -> Vec<String> {
    let mut lines = Vec::new();
    for measured in &server.measured {
        let what = match measured.measure {
            Measure { rate: Some(rate), .. } => format!("at {}/s", words::number(rate)),
            measure => title(measure),
        };
        let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
        for why in &measured.failures {
            *failures.entry(why).or_default() += 1;
        }
        for (why, count) in failures {
            let count = words::several(count, "repeat");
            let line = format!("{}, {what}: {count} without a value: {why}", server.server);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}
