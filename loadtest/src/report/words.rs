//! Figures as people read them: three digits that matter, thousands apart, units said.

use crate::{
    outcome::{Outcome, Role},
    plan::Scenario,
};

/// Kinds of latency, in the order in which they matter.
const KINDS: [&str; 9] = [
    "picture",
    "lastDelivery",
    "delivery",
    "upload",
    "acknowledgement",
    "connect",
    "resume",
    "history",
    "conversations",
];

type Say = fn(f64) -> String;

/// What the names of figures end with.
const UNITS: [(&str, Say); 4] =
    [("Bytes", bytes), ("Secs", secs), ("Millis", millis), ("Ms", millis)];

/// Three digits that matter, and thousands apart: `0.0471`, `2.14`, `44.1`, `20,013`.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        small if small < 0.0005 => 0,
        small if small < 0.0995 => 4,
        small if small < 0.9995 => 3,
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    let mut grouped = grouped.collect::<Vec<_>>().join(",");
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    if grouped == "0" { grouped } else { format!("{sign}{grouped}") }
}

/// Two digits that matter: `0.083`, `1.4`, `12`.
pub(super) fn ratio(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 0.0995 => 3,
        small if small < 0.995 => 2,
        small if small < 9.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn count(value: u64) -> String {
    number(value as f64)
}

/// Of milliseconds: `2.14 ms`, `12.3 s`.
pub(super) fn millis(value: f64) -> String {
    if value < 10_000.0 { format!("{} ms", number(value)) } else { secs(value / 1000.0) }
}

/// Of seconds: `2.1 s`, `12 min`, `4 h`.
pub(super) fn secs(value: f64) -> String {
    match value {
        short if short < 600.0 => format!("{} s", number(short)),
        middling if middling < 7200.0 => format!("{} min", number(middling / 60.0)),
        long => format!("{} h", number(long / 3600.0)),
    }
}

/// Of bytes: `5.4 KiB`, `112 MiB`.
pub(super) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value.abs() < 1024.0 {
            return format!("{} {unit}", number(value));
        }
        value /= 1024.0;
    }
    format!("{} TiB", number(value))
}

#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
pub(super) fn size(value: u64) -> String {
    bytes(value as f64)
}

/// What may be absent.
pub(super) fn or_dash<T>(value: Option<T>, say: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), say)
}

/// A name in camel case that ends with its unit, and its value: `rssPerConnectionBytes` 5530 is `RSS per
/// connection`, `5.4 KiB`.
pub(super) fn figure(name: &str, value: f64) -> (String, String) {
    let (name, say) = UNITS
        .iter()
        .find_map(|(unit, say)| Some((name.strip_suffix(unit)?, *say)))
        .unwrap_or((name, number));
    (spaced(name).replace("rss ", "RSS ").replace("cpu ", "CPU "), say(value))
}

/// A name in camel case as words.
pub(super) fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A text that does not end its cell of a table in Markdown.
pub(super) fn in_cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value of an enum as it is in the JSON, and as people say it.
pub(super) fn name(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// Several and one: `1 chat`, `1,204 chats`.
pub(super) fn several(value: u64, one: &str) -> String {
    format!("{} {one}{}", count(value), if value == 1 { "" } else { "s" })
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Postgres => "Postgres",
        Role::Redis => "Redis",
        Role::Balancer => "balancer",
        Role::Generator => "generator",
    }
}

/// The roles that a run has processes of.
pub(super) fn roles(outcome: &Outcome) -> Vec<Role> {
    let mut roles: Vec<Role> = outcome.processes.iter().map(|process| process.role).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// The kinds of latency that a run has, those that matter most first.
pub(super) fn kinds(outcome: &Outcome) -> Vec<&str> {
    let mut kinds: Vec<&str> = outcome.latencies.keys().map(String::as_str).collect();
    kinds.sort_by_key(|kind| KINDS.iter().position(|known| known == kind).unwrap_or(KINDS.len()));
    kinds
}

/// What was to be done.
pub(super) fn load(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut parts = vec![several(plan.all_phones().into(), "phone")];
    if plan.scenario == Scenario::Group {
        let changes = number(plan.rate * plan.changes);
        parts.push(format!("groups of {}, {changes} changes/s", plan.group_size));
    }
    if plan.scenario == Scenario::Media {
        parts.push(format!(
            "{} pictures/s of {}",
            number(plan.rate),
            several(plan.picture_size as u64, "byte")
        ));
    } else if plan.rate > 0.0 {
        parts.push(format!("{} chats/s of {} bytes", number(plan.rate), plan.size));
    }
    parts.push(format!("for {}", secs(plan.duration_secs)));
    parts.join(", ")
}

/// What was to be done, in two lines of a plan.
pub(super) fn plan(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    format!(
        "{} (ramp {}, warm-up {}), window {}, {}, seed {}",
        load(outcome),
        secs(plan.ramp_secs),
        secs(plan.warm_up_secs),
        plan.window,
        several(plan.threads as u64, "generator thread"),
        plan.seed,
    )
}

/// Where it ran, and what others took of it.
pub(super) fn machine(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    if machine.cores == 0 {
        return "an unknown machine".to_owned();
    }
    let noise = match outcome.load_secs {
        some if some > 0.0 => format!("; others took {}", others(outcome)),
        _ => String::new(),
    };
    format!(
        "{}, {}, {}, {}{noise}",
        machine.cpu,
        several(machine.cores.into(), "core"),
        size(machine.memory_bytes),
        machine.kernel
    )
}

/// What others took of the machine, in cores.
pub(super) fn others(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let cores = |secs: f64| if outcome.load_secs > 0.0 { secs / outcome.load_secs } else { 0.0 };
    format!(
        "{} of {} ({} stolen by the host)",
        number(cores(machine.others_cpu_secs)),
        several(machine.cores.into(), "core"),
        number(cores(machine.stolen_cpu_secs)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let said =
            [0.0, -0.0, 0.04712, 0.5, 2.139, 9.996, 44.06, 999.6, 20_013.0, 1_234_567.8, -3.25];
        let said = said.map(number).join(" ");
        assert_eq!(said, "0 0 0.0471 0.5 2.14 10 44.1 1,000 20,013 1,234,568 -3.25");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(
            (secs(59.0), secs(3600.0), millis(12_340.0)),
            ("59 s".into(), "60 min".into(), "12.3 s".into())
        );
        assert_eq!(
            figure("rssPerConnectionBytes", 5530.0),
            ("RSS per connection".into(), "5.4 KiB".into())
        );
        assert_eq!(figure("pagesPerSecond", 12.0), ("pages per second".into(), "12".into()));
    }
}
