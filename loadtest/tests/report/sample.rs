//! An outcome as a run might write it: two replicas, of which one is killed, and a Redis that stands still.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use loadtest::{
    outcome::{
        Fault, Latency, Machine, Outcome, ProcessUse, Role, Sample, Second, Totals, VERSION,
    },
    plan::{Plan, Scenario},
};
use phone::ledger::{Class, Verdict};

const RATE: f64 = 8000.0;
const LOAD_SECS: f64 = 60.0;
/// When a replica is killed, when it is back; the same of Redis that stands still.
const KILLED: (f64, f64) = (20.0, 22.0);
const FROZEN: (f64, f64) = (40.0, 43.0);

/// A clean run with faults.
pub fn outcome() -> Outcome {
    let mut noise = Noise(7);
    let seconds: Vec<Second> = (-10..66).map(|at| second(f64::from(at), &mut noise)).collect();
    let during = || seconds.iter().filter(|second| (0.0..LOAD_SECS).contains(&second.at));
    let sum = |of: fn(&Second) -> u64| during().map(of).sum::<u64>();
    let due = sum(|second| second.due);
    Outcome {
        version: VERSION,
        plan: plan(),
        server: "imserver".into(),
        begun_at: "2026-11-23T04:00:12Z".into(),
        load_secs: LOAD_SECS,
        totals: Totals {
            due,
            sent: due,
            acknowledged: due,
            delivered: due,
            errors: 212,
            connects: 3004,
            failed_connects: 17,
            requests: 4000,
        },
        latencies: BTreeMap::from([
            ("delivery".into(), latency(due, 3.1, 1.0)),
            ("acknowledgement".into(), latency(due, 2.4, 0.97)),
            ("connect".into(), latency(3004, 6.2, 0.6)),
            ("resume".into(), latency(1004, 9.8, 0.7)),
        ]),
        seconds,
        processes: processes(&mut noise),
        machine: Machine {
            cores: 8,
            cpu: "AMD EPYC 7B13".into(),
            memory_bytes: 32 << 30,
            kernel: "Linux 6.1.0-28-amd64".into(),
            others_cpu_secs: 9.3,
            stolen_cpu_secs: 0.4,
        },
        faults: vec![
            Fault {
                what: "kill imserver-2".into(),
                at: KILLED.0,
                until: KILLED.1,
                sending_after_secs: Some(2.9),
                delivering_after_secs: Some(3.2),
            },
            Fault {
                what: "freeze redis".into(),
                at: FROZEN.0,
                until: FROZEN.1,
                sending_after_secs: Some(0.4),
                delivering_after_secs: Some(4.1),
            },
        ],
        figures: BTreeMap::from([("rssPerConnectionBytes".into(), 11_340.0)]),
        ledger: Verdict { chats: due, shown: 2 * due, problems: BTreeMap::new() },
        invalid: Vec::new(),
        remarks: vec!["Rate limits were off.".into(), "负载发生器与服务在同一台机器上。".into()],
    }
}

/// A run that lost chats on a machine that was too small for it.
pub fn bad() -> Outcome {
    let mut outcome = outcome();
    for number in 0..14 {
        let case = || format!("c0ffee-17-{number}: acknowledged to 1018 and never shown to 1019");
        outcome.ledger.add(Class::Lost, case);
    }
    outcome.ledger.add(Class::Gap, || "user 1019: 4411 came after 4409".into());
    outcome.invalid = vec!["generator thread 2 was late by more than 10 ms for 4.2 s".into()];
    outcome.faults[1].delivering_after_secs = None;
    outcome
}

/// Connections alone: nothing was due.
pub fn idle() -> Outcome {
    let mut outcome = outcome();
    outcome.plan.scenario = Scenario::Idle;
    outcome.plan.rate = 0.0;
    outcome.totals = Totals { connects: 2000, ..Totals::default() };
    outcome.latencies.retain(|kind, _| kind == "connect");
    for second in &mut outcome.seconds {
        *second = Second { at: second.at, connected: second.connected, ..Second::default() };
    }
    outcome.faults.clear();
    outcome.ledger = Verdict::default();
    outcome
}

/// A clean run of three hours.
pub fn soak() -> Outcome {
    let mut outcome = outcome();
    let mut noise = Noise(9);
    outcome.plan.scenario = Scenario::Chat;
    outcome.plan.duration_secs = 10_800.0;
    outcome.load_secs = 10_800.0;
    let again = |at: i32| Second { at: f64::from(at), ..second(f64::from(at % 20), &mut noise) };
    outcome.seconds = (0..10_800).map(again).collect();
    for process in &mut outcome.processes {
        let looks: Vec<Sample> = process.samples[10..30].to_vec();
        let looks = (0..10_800).step_by(5).zip(looks.into_iter().cycle());
        process.samples = looks.map(|(at, look)| Sample { at: f64::from(at), ..look }).collect();
    }
    outcome.faults.truncate(1);
    outcome
}

/// Texts that break out of a page if they can.
pub fn hostile() -> Outcome {
    const TEXT: &str =
        "</script><script>hacked = 1</script><img src=x onerror='hacked = 1'>\"'&<!--";
    let mut outcome = bad();
    for text in [
        &mut outcome.server,
        &mut outcome.begun_at,
        &mut outcome.machine.cpu,
        &mut outcome.machine.kernel,
        &mut outcome.processes[0].name,
        &mut outcome.faults[0].what,
        &mut outcome.invalid[0],
        &mut outcome.remarks[0],
    ] {
        TEXT.clone_into(text);
    }
    outcome.plan.tokens = Some(TEXT.into());
    outcome.figures.insert(TEXT.into(), 1.0);
    outcome.latencies.insert(TEXT.into(), latency(100, 5.0, 0.5));
    outcome.ledger.add(Class::Foreign, || TEXT.into());
    outcome
}

/// A new place for what a test writes.
pub fn place(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(test);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn plan() -> Plan {
    Plan {
        scenario: Scenario::Chat,
        targets: ["http://127.0.0.1:8081", "http://127.0.0.1:8082"]
            .map(|url| url.parse().unwrap())
            .into(),
        users: 2000,
        phones: 1,
        rate: RATE,
        duration_secs: LOAD_SECS,
        ramp_secs: 4.0,
        warm_up_secs: 5.0,
        size: 100,
        window: 8,
        think_secs: 10.0,
        every_secs: 10.0,
        group_size: 50,
        changes: 0.1,
        picture_size: 4_000_000,
        seed: 1,
        threads: 2,
        settle_secs: 30.0,
        tokens: None,
    }
}

/// Numbers from 0 to 1 that look random and are the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 40).unwrap()) / f64::from(1 << 24)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// To so many decimals, so that JSON holds it exactly.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10.0_f64.powi(decimals);
    (value * scale).round() / scale
}

fn second(at: f64, noise: &mut Noise) -> Second {
    let is_load = (-5.0..LOAD_SECS).contains(&at);
    let due = if is_load { RATE * (0.97 + 0.06 * noise.next()) } else { 0.0 };
    let (mut sent, mut shown, mut stalled) = (due, due, 0.0);
    let mut connected = 2000.0 * ((at + 10.0) / 4.0).min(1.0);
    let since = at - KILLED.0;
    if (0.0..3.0).contains(&since) {
        (sent, shown, stalled) = (due * 0.52, due * 0.5, 2200.0 - since * 500.0);
        connected = 1000.0 + since * 480.0;
    } else if (3.0..4.0).contains(&since) {
        (sent, shown, stalled) = (due * 2.44, due * 2.5, 1900.0);
    }
    let since = at - FROZEN.0;
    if (0.0..3.0).contains(&since) {
        (shown, stalled) = (due * 0.5, 3.0 + since * 900.0);
    } else if (3.0..4.0).contains(&since) {
        (shown, stalled) = (due * 2.5, 3400.0);
    }
    let p50 = 2.8 + noise.next() * 0.6 + stalled / 4.0;
    let p99 = 7.5 + noise.next() * 3.0 + stalled;
    let some = |value: f64| (shown > 0.0).then_some(rounded(value, 3));
    Second {
        at,
        due: whole(due),
        sent: whole(due),
        acknowledged: whole(sent),
        delivered: whole(shown),
        errors: if stalled > 0.0 { whole(stalled / 40.0) } else { 0 },
        connected: whole(connected),
        in_flight: whole(sent * 0.003 * (0.8 + 0.4 * noise.next()) + (due - sent).max(0.0) / 4.0),
        p50: some(p50),
        p99: some(p99),
        max: some(p99 * (1.4 + noise.next())),
    }
}

/// As an HDR histogram says it: the shares come closer to one by half, ten steps for each half.
#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn latency(count: u64, p50: f64, tail: f64) -> Latency {
    let value = |share: f64| {
        let nines = -(1.0 - share).max(1.0 / count as f64).log10();
        let body = p50 * (0.62 + 0.38 * (nines / 0.301).min(1.0)) + 2.0 * (nines - 0.301).max(0.0);
        rounded((body + (nines - 2.0).max(0.0).powi(3) * 60.0 * tail).min(2950.0 * tail), 3)
    };
    let mut percentiles = vec![(0.0, value(0.0))];
    let mut left = 1.0_f64;
    while left > 1.0 / count as f64 {
        percentiles.extend(
            (1..=5)
                .map(|step| 1.0 - left * (1.0 - 0.1 * f64::from(step)))
                .map(|share| (rounded(share, 9), value(share))),
        );
        left /= 2.0;
    }
    percentiles.push((1.0, value(1.0)));
    Latency {
        count,
        mean: value(0.6),
        p50: value(0.5),
        p90: value(0.9),
        p99: value(0.99),
        p999: value(0.999),
        max: value(1.0),
        percentiles,
    }
}

fn processes(noise: &mut Noise) -> Vec<ProcessUse> {
    [
        ("imserver-1", Role::Server, 0.62, 61.0),
        ("imserver-2", Role::Server, 0.6, 60.0),
        ("postgres", Role::Postgres, 1.21, 412.0),
        ("redis", Role::Redis, 0.09, 14.0),
        ("nginx", Role::Balancer, 0.34, 22.0),
        ("loadtest", Role::Generator, 1.7, 148.0),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (name, role, cores, mebibytes))| {
        let samples: Vec<Sample> = (-10..66)
            .map(|at| f64::from(at) + 0.004 * f64::from(u32::try_from(index).unwrap()))
            // One that is killed is away for as long.
            .filter(|at| name != "imserver-2" || !(KILLED.0..KILLED.1).contains(at))
            .map(|at| {
                let is_load = (-5.0..LOAD_SECS).contains(&at);
                let is_frozen = name == "redis" && (FROZEN.0..FROZEN.1).contains(&at);
                let load = if is_load && !is_frozen { 0.9 + 0.2 * noise.next() } else { 0.02 };
                let grown = if at < -6.0 { 0.4 + (at + 10.0) * 0.15 } else { 1.0 + at / 900.0 };
                let rss_bytes = whole(mebibytes * grown * 1024.0 * 1024.0);
                Sample { at: rounded(at, 3), cores: rounded(cores * load, 3), rss_bytes }
            })
            .collect();
        ProcessUse {
            name: name.into(),
            role,
            cpu_secs: rounded(cores * LOAD_SECS, 2),
            first_rss_bytes: samples[10].rss_bytes,
            last_rss_bytes: samples.last().unwrap().rss_bytes,
            max_rss_bytes: samples.iter().map(|sample| sample.rss_bytes).max().unwrap(),
            samples,
        }
    })
    .collect()
}
