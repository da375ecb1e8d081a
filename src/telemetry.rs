//! Logs and metrics: set up once for the process. What each metric tells is in `docs/operations.md`.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal,
    panic,
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry,
    util::SubscriberInitExt,
};

use crate::{
    config::{ConfigError, Log, LogFormat},
    output::Output,
};

/// How often measured values are put into their buckets where nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long a thread that panics waits until its log line is written: the process may be about to end.
const PANIC_WAIT: Duration = Duration::from_millis(100);

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How often which values were seen.
    Histogram,
}

/// Every metric: what it is, its name, and what it counts.
pub const METRICS: &[(Kind, &str, &str)] = &[
    (Kind::Counter, "imserver_bus_dropped_total", "Signals to other replicas that were dropped"),
    (Kind::Counter, "imserver_bus_gaps_total", "Times that signals of others may have been lost"),
    (Kind::Counter, "imserver_bus_garbage_total", "Messages on the bus that are none of ours"),
    (Kind::Gauge, "imserver_bus_link_up", "Whether a link to Redis stands"),
    (Kind::Counter, "imserver_bus_published_total", "Signals published to other replicas"),
    (Kind::Counter, "imserver_bus_reconnects_total", "Links to Redis that were made anew"),
    (Kind::Gauge, "imserver_bus_split", "Whether replicas that live are on another Redis"),
    (Kind::Counter, "imserver_checks_total", "What checkers of texts said, by checker"),
    (Kind::Histogram, "imserver_commit_batch_size", "Chats in a transaction"),
    (Kind::Histogram, "imserver_commit_seconds", "How long a transaction of chats took"),
    (Kind::Counter, "imserver_connections_closed_total", "Connections closed to make room, by why"),
    (Kind::Gauge, "imserver_connections_waiting", "Connections whose client owes a request"),
    (Kind::Histogram, "imserver_delivery_seconds", "How long a frame waited for its socket"),
    (
        Kind::Counter,
        "imserver_fan_out_dropped_total",
        "Events of large conversations that found the queue full",
    ),
    (Kind::Counter, "imserver_gap_repairs_total", "Sockets that read a gap from the database"),
    (Kind::Histogram, "imserver_handshake_seconds", "How long a step of a handshake was worked on"),
    (Kind::Gauge, "imserver_handshakes_in_flight", "Handshakes that are worked on"),
    (Kind::Counter, "imserver_handshakes_total", "Requests for a socket, by how they ended"),
    (Kind::Counter, "imserver_hook_calls_total", "Questions to the hook before a send"),
    (Kind::Histogram, "imserver_hook_seconds", "How long an answer of the hook took"),
    (Kind::Counter, "imserver_http_requests_total", "Requests, by route and status"),
    (Kind::Counter, "imserver_last_seen_dropped_total", "Departures not written down"),
    (Kind::Counter, "imserver_limit_fallbacks_total", "Limits decided without Redis, by why"),
    (Kind::Counter, "imserver_limit_refusals_total", "Refusals, by limit"),
    (Kind::Counter, "imserver_limit_uncounted_total", "Uses that found the table of limits full"),
    (Kind::Counter, "imserver_log_lines_dropped_total", "Log lines that nobody took in time"),
    (Kind::Counter, "imserver_logins_closed_total", "Logins refused because Redis was away"),
    (Kind::Counter, "imserver_machine_acts_dropped_total", "Decisions of machines not noted"),
    (Kind::Counter, "imserver_media_collected_total", "Uploads deleted since no chat showed them"),
    (
        Kind::Counter,
        "imserver_media_refusals_total",
        "Uploads that found no room, by what was full",
    ),
    (
        Kind::Counter,
        "imserver_media_storage_errors_total",
        "Failures of the media storage, by work",
    ),
    (Kind::Counter, "imserver_media_uploads_total", "Uploads, by kind and how they ended"),
    (Kind::Histogram, "imserver_media_work_seconds", "How long an upload was worked on, by kind"),
    (Kind::Counter, "imserver_outbox_dropped_total", "Entries of the outbox dropped by age"),
    (Kind::Gauge, "imserver_outbox_lag_seconds", "How old the entry is that a reader takes"),
    (Kind::Histogram, "imserver_pool_wait_seconds", "How long work waited for Postgres"),
    (Kind::Counter, "imserver_presence_departures_forgotten_total", "Departures not remembered"),
    (Kind::Counter, "imserver_presence_fenced_total", "Leases of this replica that were lost"),
    (Kind::Gauge, "imserver_presence_link_up", "Whether presence has its connection to Redis"),
    (Kind::Counter, "imserver_presence_reaped_total", "Users removed for replicas that died"),
    (Kind::Gauge, "imserver_presence_sockets", "Sockets that presence holds for this replica"),
    (Kind::Histogram, "imserver_publish_seconds", "How long a signal waited to be published"),
    (Kind::Counter, "imserver_reconcile_repairs_total", "Users found behind the database"),
    (Kind::Histogram, "imserver_reconcile_seconds", "How long a comparison with the database took"),
    (Kind::Counter, "imserver_resets_total", "Clients told to load anew"),
    (Kind::Counter, "imserver_reviews_dropped_total", "Openings not looked at again"),
    (Kind::Counter, "imserver_sends_total", "Sends, by how they ended"),
    (Kind::Counter, "imserver_slow_readers_total", "Sockets closed because their queue was full"),
    (Kind::Counter, "imserver_socket_ends_total", "Sockets that ended, by close code"),
    (Kind::Gauge, "imserver_sockets", "Open sockets, by kind"),
    (Kind::Counter, "imserver_subscribe_messages_total", "Subscribe messages, by how they ended"),
    (Kind::Counter, "imserver_timeline_events_trimmed_total", "Events trimmed by age and length"),
    (Kind::Gauge, "imserver_webhook_dead", "Webhooks that were given up and may be repeated"),
    (
        Kind::Counter,
        "imserver_webhook_deliveries_total",
        "Attempts to deliver a webhook, by how they ended",
    ),
    (Kind::Gauge, "imserver_webhook_off", "Whether an endpoint is off since it said it is gone"),
    (Kind::Gauge, "imserver_webhook_waiting", "Webhooks that wait to be tried again"),
    (Kind::Counter, "imserver_wechat_events_total", "Pushes of WeChat, by what became of them"),
];

/// Seconds; from a commit on a fast disk to a timeout.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Chats in a batch.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// Sends logs to `output`, which is standard error, as the settings say.
pub fn init_logs(log: &Log, output: &Output) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| ConfigError::new("log.filter", format!("{error}")))?;
    let output = output.clone();
    // Its own errors would go to standard error directly, and wait there.
    let logs = fmt::layer().with_writer(move || output.clone()).log_internal_errors(false);
    let is_text = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let logs = if is_text {
        logs.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        logs.json().flatten_event(true).boxed()
    };
    let set = registry().with(logs).with(filter).with(filter_fn(is_discreet)).try_init();
    // A second service in one process logs where the first one does.
    if let Err(error) = set {
        tracing::debug!(%error, "logs were set up before");
    }
    Ok(())
}

/// Logs panics. The standard library writes them to standard error itself, where a thread may wait for
/// ever.
pub fn log_panics(output: Output) {
    panic::set_hook(Box::new(move |panic| {
        let backtrace = Backtrace::capture();
        let is_wanted = backtrace.status() == BacktraceStatus::Captured;
        tracing::error!(
            panic = panic.payload_as_str(),
            at = panic.location().map(display),
            thread = std::thread::current().name(),
            backtrace = is_wanted.then(|| display(&backtrace)),
            "panicked"
        );
        output.flush_within(PANIC_WAIT);
    }));
}

/// Whether no body of a message can be in it. The WebSocket library shows whole frames, whatever the
/// filter in the settings is for.
fn is_discreet(of: &Metadata<'_>) -> bool {
    !of.target().starts_with("tungstenite") || *of.level() <= Level::INFO
}

/// Collects metrics from now on; the handle renders them. Without [`keep_up`] they grow.
pub fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), SIZES)?
        .install_recorder()?;
    for &(kind, name, description) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, description),
            Kind::Gauge => metrics::describe_gauge!(name, description),
            Kind::Histogram => metrics::describe_histogram!(name, description),
        }
    }
    Ok(handle)
}

/// Puts measured values into their buckets, for ever: those that nobody reads would pile up.
pub async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        thread,
    };

    use super::*;

    #[test]
    fn a_panic_is_logged_and_not_written_past_the_queue() {
        let (reader, writer) = std::io::pipe().unwrap();
        let output = Output::to(writer).unwrap();
        let before = panic::take_hook();
        log_panics(output.clone());
        let logs = fmt::layer().json().flatten_event(true).with_writer(move || output.clone());
        let panicking = thread::Builder::new().name("the one".to_owned()).spawn(move || {
            tracing::subscriber::with_default(registry().with(logs), || panic!("so it {}", "goes"));
        });
        assert!(panicking.unwrap().join().is_err());
        panic::set_hook(before);
        let line = BufReader::new(reader).lines().next().unwrap().unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["message"], &line["panic"]), (&"panicked".into(), &"so it goes".into()));
        assert_eq!(line["thread"], "the one");
        assert!(line["at"].as_str().unwrap().contains("telemetry.rs"));
    }
}
