//! The page of a run, in a real browser.

use loadtest::{
    outcome::Outcome,
    report::{self, ReportError, html::page},
};
use serde_json::json;

use crate::{browser::look, sample};

const ALL: [&str; 7] =
    ["latency", "throughput", "percentiles", "connections", "inFlight", "cpu", "memory"];

#[tokio::test]
async fn every_plot_is_drawn() {
    let (page, folder) = (page(&sample::outcome()), sample::place("good"));
    std::fs::write(folder.join("report.html"), &page).unwrap();
    look(&page, &folder, 1280).await.assert_drawn(&ALL);
}

#[tokio::test]
async fn a_page_fits_a_phone() {
    let (page, folder) = (page(&sample::bad()), sample::place("phone"));
    std::fs::write(folder.join("report.html"), &page).unwrap();
    look(&page, &folder, 390).await.assert_drawn(&ALL);
}

#[tokio::test]
async fn connections_alone_have_few_plots() {
    let (page, folder) = (page(&sample::idle()), sample::place("idle"));
    std::fs::write(folder.join("report.html"), &page).unwrap();
    look(&page, &folder, 1280).await.assert_drawn(&["percentiles", "connections", "cpu", "memory"]);
}

#[tokio::test]
async fn three_hours_are_drawn() {
    let (page, folder) = (page(&sample::soak()), sample::place("soak"));
    std::fs::write(folder.join("report.html"), &page).unwrap();
    look(&page, &folder, 1280).await.assert_drawn(&ALL);
}

#[tokio::test]
async fn one_second_is_drawn() {
    let mut outcome = sample::outcome();
    outcome.seconds.truncate(1);
    let (page, folder) = (page(&outcome), sample::place("second"));
    let look = look(&page, &folder, 1280).await;
    assert_eq!((look.errors.len(), look.plots.len()), (0, 6), "{look:?}");
}

#[tokio::test]
async fn no_text_breaks_out() {
    let (page, folder) = (page(&sample::hostile()), sample::place("hostile"));
    look(&page, &folder, 390).await.assert_drawn(&ALL);
}

fn json_of(outcome: &Outcome) -> serde_json::Value {
    serde_json::to_value(outcome).unwrap()
}

#[test]
fn a_page_is_made_again_from_json_and_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = sample::hostile();
    let json = folder.path().join("run.json");
    std::fs::write(&json, json_of(&outcome).to_string()).unwrap();
    let html = report::render(&json).unwrap();
    assert_eq!(html, folder.path().join("run.html"));
    let first = std::fs::read_to_string(&html).unwrap();
    assert_eq!(first, page(&outcome));
    assert_eq!(json_of(&report::read(&html).unwrap()), json_of(&outcome));
    report::render(&html).unwrap();
    assert_eq!(std::fs::read_to_string(&html).unwrap(), first);
}

#[test]
fn what_is_no_outcome_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        report::read(&file).unwrap_err()
    };
    let mut newer = json_of(&sample::outcome());
    newer["version"] = json!(2);
    newer["plan"] = json!("of another shape");
    assert!(matches!(read(&newer.to_string()), ReportError::Version { found: 2, known: 1, .. }));
    assert!(matches!(read("{}"), ReportError::Foreign { .. }));
    assert!(matches!(read(r#"{"version":1}"#), ReportError::Foreign { .. }));
    assert!(matches!(read("<!DOCTYPE html>"), ReportError::NoOutcome { .. }));
    let nowhere = report::render(&folder.path().join("nowhere.json")).unwrap_err();
    assert!(matches!(nowhere, ReportError::Read { .. }));
}
