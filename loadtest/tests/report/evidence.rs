//! The page of what tests of faults and runs found, in Markdown and in a browser.

use loadtest::{
    evidence::{Evidence, faults, runs},
    report::{
        evidence::{history, markdown, page},
        read,
    },
};

use crate::{browser::look, sample};

/// Two tests, one of which failed, and four runs.
fn evidence() -> Evidence {
    let folder = tempfile::tempdir().unwrap();
    let (figures, json) = (folder.path().join("figures"), folder.path().join("runs"));
    let (printed, by) = (folder.path().join("printed"), "faults::cluster::a_replica_dies");
    std::fs::create_dir_all(&figures).unwrap();
    std::fs::create_dir_all(&json).unwrap();
    let lines = format!("test {by} ... ok\ntest faults::drain::nobody_waits ... FAILED\n");
    std::fs::write(&printed, lines).unwrap();
    let measured = serde_json::json!({"test": "replica", "by": by, "figures": [
        {"what": "chats", "value": 2483, "unit": ""},
        {"what": "shown", "value": 6230, "unit": ""},
        {"what": "longest until all chat again", "value": 3622.407, "unit": "ms"},
    ]});
    std::fs::write(figures.join("replica.json"), measured.to_string()).unwrap();
    let mut outcome = sample::outcome();
    for (file, p99) in [("chat-1", 9.0), ("chat-2", 11.0), ("chat-3", 90.0), ("group-1", 9.0)] {
        outcome.latencies.get_mut("delivery").unwrap().p99 = p99;
        let text = serde_json::to_string(&outcome).unwrap();
        std::fs::write(json.join(file).with_extension("json"), text).unwrap();
    }
    Evidence {
        at: "2026-11-28T15:00:00Z".into(),
        commit: "25a91292".into(),
        facts: vec!["rustc 1.94.0 | a nightly".into()],
        faults: faults(&printed, &figures).unwrap(),
        runs: runs(&json, |path| Ok(read(path)?)).unwrap(),
    }
}

#[test]
fn page_in_markdown() {
    insta::assert_snapshot!(markdown(&evidence()));
}

#[test]
fn a_test_that_failed_or_a_run_that_was_bad_is_said() {
    let mut evidence = evidence();
    assert!(!evidence.is_good());
    evidence.faults.pop();
    assert!(evidence.is_good());
    assert!(markdown(&evidence).contains("1 test of faults: every one of them held."));
    evidence.runs.get_mut("chat").unwrap()[1].invalid.push("the generator was late".into());
    assert!(!evidence.is_good());
    assert!(markdown(&evidence).contains("4 runs of load: 1 of them NOT GOOD."));
}

#[test]
fn a_row_of_the_history_has_what_its_table_has() {
    let row = history(&evidence());
    assert!(row.starts_with("| 2026-11-28 | 25a91292 | 3.1 ms / 11 ms | "), "{row}");
    let table = include_str!("../../../docs/performance/history.md");
    let head = table.lines().find(|line| line.starts_with("| day |")).unwrap();
    assert_eq!(row.matches('|').count(), head.matches('|').count(), "{row}");
    assert!(table.ends_with("|\n"), "rows are added to the end");
}

#[tokio::test]
async fn page_in_a_browser() {
    let mut evidence = evidence();
    let folder = sample::place("evidence");
    std::fs::write(folder.join("report.html"), page(&evidence)).unwrap();
    evidence.facts.push("</script><script>hacked = 1</script>".into());
    let runs = std::mem::take(&mut evidence.runs).into_values();
    evidence.runs = runs.map(|runs| ("<img src=x onerror='hacked = 1'>".into(), runs)).collect();
    look(&page(&evidence), &folder, 390).await.assert_drawn(&[]);
}
