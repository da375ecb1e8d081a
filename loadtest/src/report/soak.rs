//! The result of a soak as a table in Markdown, and as JSON.

use std::fmt::Write;

use super::{to_json, words};
use crate::growth::{Soaked, What};

/// Ledgers, faults and what grew.
pub fn table(soaked: &Soaked) -> String {
    let verdict = if soaked.is_good() { "nothing lost, nothing grows" } else { "NOT GOOD" };
    let mut text = format!("{} from {}: {verdict}\n\n", words::secs(soaked.secs), soaked.begun_at);
    text.push_str(
        "| people | chats acknowledged | sockets opened | ledger |\n|---|---:|---:|---|\n",
    );
    for part in &soaked.parts {
        let totals = &part.totals;
        let (acknowledged, connects) =
            (words::count(totals.acknowledged), words::count(totals.connects));
        let clean = if part.is_clean { "clean" } else { "NOT CLEAN" };
        let ledger = words::in_cell(&part.ledger);
        let _ =
            writeln!(text, "| {} | {acknowledged} | {connects} | {clean}: {ledger} |", part.name);
    }
    text.push_str("\n| fault | after, s | chats acknowledged within a second again after, s |\n|---|---:|---:|\n");
    for fault in &soaked.faults {
        let again = fault
            .sending_after_secs
            .map_or_else(|| "never".to_owned(), |secs| format!("{secs:.1}"));
        let _ = writeln!(text, "| {} | {:.0} | {again} |", fault.what, fault.at);
    }
    text.push_str("\n| process | what | mean | an hour | |\n|---|---|---:|---:|---|\n");
    for growth in &soaked.growths {
        let mean = match growth.what {
            What::Memory => format!("{:.1} MiB", growth.mean / 1_048_576.0),
            _ => format!("{:.0}", growth.mean),
        };
        let flat = if growth.is_flat() { "flat" } else { "GROWS" };
        let (process, what, an_hour) =
            (&growth.process, growth.what.name(), 100.0 * growth.an_hour);
        let _ = writeln!(text, "| {process} | {what} | {mean} | {an_hour:+.2} % | {flat} |");
    }
    text.push('\n');
    for remark in &soaked.remarks {
        let _ = writeln!(text, "- {remark}");
    }
    text
}

/// All of it, looks included.
pub fn json(soaked: &Soaked) -> String {
    to_json(soaked)
}
