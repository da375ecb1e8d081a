//! Metrics: the table in the source, what the source emits, what the paper explains and what a busy
//! replica exposes are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use imserver::{
    domain::{ClientMsgId, Content, Destination, UserId},
    store::{Appends, NewChat, postgres::PgStore},
    telemetry::{Kind, METRICS},
};
use serde_json::json;
use tokio::task::block_in_place;

use crate::harness::{DEADLINE, Redis, Server, Socket, Start, eventually, postgres, replica_on};

const HEARS: &str = r#"imserver_bus_link_up{instance="1",direction="subscriber"}"#;
const REAPED: &str = "imserver_presence_reaped_total";

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

/// Names in quotes, in all files of a folder but the one with the table.
fn emitted(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            emitted(&path, names);
        } else if !path.ends_with("src/telemetry.rs") && path.extension().is_some_and(|e| e == "rs")
        {
            let text = fs::read_to_string(path).unwrap();
            // With two underscores it is the beginning of a variable of the environment.
            let names_of_metrics =
                |text: &&str| text.starts_with("imserver_") && *text != "imserver__";
            let quoted = text.split('"').filter(names_of_metrics);
            names.extend(quoted.map(str::to_owned));
        }
    }
}

#[test]
fn every_metric_is_described_explained_and_emitted() {
    let described: BTreeSet<_> = METRICS.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    assert_eq!(described.len(), METRICS.len(), "one is described twice");
    let rows = OPERATIONS.lines().filter_map(|line| line.strip_prefix("| `imserver_"));
    let explained: BTreeSet<_> =
        rows.map(|row| format!("imserver_{}", row.split_once('`').unwrap().0)).collect();
    assert_eq!(explained, described);
    let mut names = BTreeSet::new();
    emitted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    assert_eq!(names, described);
}

/// The names that are exposed, with their kinds; each must have its help.
fn exposed(text: &str) -> BTreeMap<&str, Kind> {
    let mut names = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let kind = match kind {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            other => panic!("{name} is a {other}"),
        };
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        names.insert(name, kind);
    }
    names
}

#[tokio::test]
async fn a_busy_replica_exposes_what_is_explained() {
    let start = replica_on(Redis::shared()).await;
    let start = || start().set("delivery.reconcile_secs", 1);
    let (a, b) = (start().run(), start().run());
    // Before there is one: an absent gauge says nothing.
    for kind in ["v1", "classic"] {
        let none = format!("imserver_sockets{{kind=\"{kind}\"}} 0\n");
        assert!(a.metrics().await.contains(&none), "{none}");
    }
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let (mut at_zhang, mut at_li) = (zhang.online().await, li.online().await);
    for key in ["one", "two", "two"] {
        at_zhang
            .send(
                &json!({"type": "send", "clientMsgId": key, "targetUserId": li.id, "content": key}),
            )
            .await;
        at_zhang.expect("sent").await;
    }
    at_li.expect("event").await;
    // Back from where it was before, and from where it cannot have been.
    drop(li.at(&a).hello(&json!({"since": 0})).await);
    let (mut lost, _) = li.at(&a).hello(&json!({"since": 1_000})).await;
    lost.expect("reset").await;
    let path = format!("/imserver/{}", zhang.id);
    let offers = [("sec-websocket-protocol", "imserver.v1, bearer.nonsense")];
    assert_eq!(Socket::open(a.addr, &path, &offers).await.err().unwrap().status(), 401);
    lost.send_text("no protocol").await;
    assert_eq!(lost.closed().await, 4400);
    for (series, expected) in [
        (r#"imserver_sockets{kind="v1"}"#, 1.0),
        (r#"imserver_sends_total{outcome="committed"}"#, 2.0),
        (r#"imserver_sends_total{outcome="repeat"}"#, 1.0),
        (r#"imserver_handshakes_total{outcome="opened"}"#, 3.0),
        (r#"imserver_handshakes_total{outcome="unauthorized"}"#, 1.0),
        (r#"imserver_socket_ends_total{code="4400"}"#, 1.0),
        (r#"imserver_bus_link_up{instance="1",direction="publisher"}"#, 1.0),
        (r#"imserver_bus_link_up{instance="1",direction="subscriber"}"#, 1.0),
        (r#"imserver_presence_link_up{instance="1"}"#, 1.0),
        ("imserver_presence_sockets", 1.0),
        ("imserver_resets_total", 1.0),
    ] {
        eventually(series, async || (a.metric(series).await - expected).abs() < 0.5).await;
    }
    // The receiver's replica; and what both have counted by the time that it has compared.
    for series in ["imserver_delivery_seconds_count", "imserver_reconcile_seconds_count"] {
        eventually(series, async || b.metric(series).await > 0.5).await;
    }
    for series in [
        "imserver_commit_batch_size_count",
        "imserver_commit_seconds_count",
        "imserver_publish_seconds_count",
        "imserver_pool_wait_seconds_count",
        "imserver_bus_published_total",
        r#"imserver_commit_seconds_bucket{le="0.5"}"#,
    ] {
        assert!(a.metric(series).await > 0.5, "{series}");
    }
    let table: BTreeMap<_, _> = METRICS.iter().map(|(kind, name, _)| (*name, *kind)).collect();
    for server in [&a, &b] {
        for (name, kind) in exposed(&server.metrics().await) {
            assert_eq!(table.get(name), Some(&kind), "{name}");
        }
    }
}

/// Every line of a metric, whatever its labels, added up.
async fn sum(server: &Server, name: &str) -> f64 {
    let text = server.metrics().await;
    let lines = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

async fn until_counted(server: &Server, name: &str) {
    let begun = Instant::now();
    while sum(server, name).await < 0.5 {
        // The lease of a dead replica is most of the deadline for other things.
        assert!(begun.elapsed() < 2 * DEADLINE, "nothing was counted: {name}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_counted() {
    let mut redis = Redis::start();
    let database = postgres::database().await;
    let start = || {
        let start = Start::default().set("database.url", &database).set("bus.url", redis.url());
        start
            .set("auth.demo_login", true)
            .set("delivery.reconcile_secs", 1)
            .set("log.filter", "info")
    };
    let (a, mut b, c) = block_in_place(|| (start().run(), start().run(), start().run()));
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let mut at_li = li.online().await;
    let _at_c = c.person("王五").await.online().await;
    until_counted(&b, "imserver_handshake_seconds_count").await;

    // What is committed behind the service's back is a hint that was lost.
    let store = PgStore::open(&database).await.unwrap();
    let unheard = |key: &str| {
        let to = Destination::Direct(UserId::new(li.id).unwrap());
        let (key, content) = (ClientMsgId::parse(key).unwrap(), Content::parse(key, 10).unwrap());
        NewChat::text(UserId::new(zhang.id).unwrap(), to, key, content)
    };
    store.append(&[unheard("one")]).await.unwrap();
    assert_eq!(at_li.expect("event").await["seq"], 1);
    until_counted(&b, "imserver_reconcile_repairs_total").await;
    // One that another follows is found by it, unless the comparison happens to come first.
    let mut seq = 1;
    let begun = Instant::now();
    while sum(&b, "imserver_gap_repairs_total").await < 0.5 {
        assert!(begun.elapsed() < DEADLINE, "no gap was counted");
        store.append(&[unheard(&format!("lost {seq}"))]).await.unwrap();
        zhang.send(li.id, &format!("heard {seq}"), "heard").await;
        for _ in 0..2 {
            seq += 1;
            assert_eq!(at_li.expect("event").await["seq"], seq);
        }
    }
    redis.ask(&format!("PUBLISH imserver:user:{} nonsense", li.id)).unwrap();
    until_counted(&b, "imserver_bus_garbage_total").await;
    redis.ask("FLUSHALL").unwrap();
    until_counted(&b, "imserver_presence_fenced_total").await;

    redis.kill();
    eventually("the links are down", async || {
        let down = async |server: &Server| server.metric(HEARS).await < 0.5;
        down(&a).await && down(&b).await
    })
    .await;
    zhang.send(li.id, "dropped", "dropped").await;
    until_counted(&a, "imserver_bus_dropped_total").await;
    redis.start_again();
    for series in
        ["imserver_bus_reconnects_total", "imserver_bus_gaps_total", "imserver_presence_link_up"]
    {
        until_counted(&b, series).await;
    }
    // The other two remove whom a dead one held, once that is known again.
    eventually("Redis knows of the socket again", async || {
        zhang.get_json("/getOnlineUser").await[li.id.to_string()]["connections"] == 1
    })
    .await;
    b.kill();
    let begun = Instant::now();
    while sum(&a, REAPED).await + sum(&c, REAPED).await < 0.5 {
        assert!(begun.elapsed() < 2 * DEADLINE, "nobody was reaped");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
