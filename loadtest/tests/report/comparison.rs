//! A comparison of servers, in Markdown and in a browser.

use std::collections::BTreeMap;

use loadtest::{
    comparison::{Compared, Comparison, Measure, Measured, Quantity, Repeat, VERSION},
    report::{
        compare::{markdown, page},
        read_comparison, save_comparison,
    },
};

use crate::{browser::look, sample};

const MEASURES: [(Quantity, Option<f64>); 8] = [
    (Quantity::MaxRate, None),
    (Quantity::CpuOfAll, Some(1000.0)),
    (Quantity::CpuOfServers, Some(1000.0)),
    (Quantity::CpuOfAll, Some(8000.0)),
    (Quantity::CpuOfServers, Some(8000.0)),
    (Quantity::P50, Some(1000.0)),
    (Quantity::P99, Some(1000.0)),
    (Quantity::RssPerConnection, None),
];

fn compared(server: &str, title: &str, versions: &[(&str, &str)], medians: [f64; 8]) -> Compared {
    let measured = MEASURES.iter().zip(medians).map(|(&(quantity, rate), median)| {
        let measure = Measure { quantity, rate };
        if median == 0.0 {
            let failures = vec!["p99 was 4,102 ms".to_owned(); 3];
            return Measured::new(measure, Vec::new(), failures);
        }
        let repeats = [(0.94, 0.05), (1.07, 0.31), (1.0, 0.08)];
        let repeats =
            repeats.map(|(share, others_cores)| Repeat { value: median * share, others_cores });
        Measured::new(measure, repeats.into(), Vec::new())
    });
    let versions =
        versions.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
    Compared {
        server: server.to_owned(),
        title: title.to_owned(),
        versions: versions.collect(),
        measured: measured.collect(),
    }
}

fn comparison() -> Comparison {
    Comparison {
        version: VERSION,
        begun_at: "2026-11-23T04:00:12Z".into(),
        machine: sample::outcome().machine,
        conditions: vec![
            "1,000 people in pairs, the two on different processes of two".into(),
            "Chats of 100 bytes, stored in Postgres before the acknowledgement".into(),
        ],
        servers: vec![
            compared(
                "imserver",
                "this one",
                &[("imserver", "0.1.0")],
                [18_000.0, 0.14, 0.052, 0.118, 0.045, 2.9, 8.8, 6100.0],
            ),
            compared(
                "ws-batch",
                "Node ws, the same batches and rows",
                &[("node", "20.20.2"), ("ws", "8.23.0")],
                [9500.0, 0.31, 0.2, 0.22, 0.14, 3.9, 12.1, 24_000.0],
            ),
            compared(
                "ws-insert",
                "Node ws, an INSERT each",
                &[("node", "20.20.2"), ("ws", "8.23.0")],
                [3400.0, 0.49, 0.27, 0.0, 0.0, 3.5, 13.0, 24_500.0],
            ),
            compared(
                "socketio",
                "Socket.IO | its Redis adapter",
                &[("node", "20.20.2"), ("socket.io", "4.8.1")],
                [1500.0, 0.85, 0.6, 0.0, 0.0, 3.5, 44.0, 71_000.0],
            ),
            compared(
                "centrifugo",
                "Centrifugo and a small backend",
                &[("centrifugo", "6.2.0")],
                [4100.0, 0.44, 0.3, 0.0, 0.0, 4.4, 15.2, 38_000.0],
            ),
        ],
        remarks: vec!["Rate limits were off.".into()],
    }
}

#[test]
fn table_in_markdown() {
    insta::assert_snapshot!(markdown(&comparison()));
}

#[test]
fn nothing_to_compare_is_no_error() {
    let empty = Comparison { servers: Vec::new(), ..comparison() };
    assert!(markdown(&empty).starts_with("| server |\n|---|\n"));
    assert!(page(&empty).contains("no repeats"));
}

#[tokio::test]
async fn bars_in_a_browser() {
    let mut comparison = comparison();
    let folder = sample::place("comparison");
    std::fs::write(folder.join("report.html"), page(&comparison)).unwrap();
    comparison.servers[1].versions =
        BTreeMap::from([("<img src=x onerror='hacked = 1'>".into(), "1".into())]);
    comparison.remarks.push("</script><script>hacked = 1</script>".into());
    let page = page(&comparison);
    look(&page, &folder, 390).await.assert_drawn(&[]);
    let file = folder.join("hostile.html");
    save_comparison(&comparison, &file.with_extension("json")).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), page);
    assert_eq!(read_comparison(&file).unwrap().remarks, comparison.remarks);
}
