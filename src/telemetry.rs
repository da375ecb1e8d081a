//! Logs and metrics: set up once for the process.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry,
    util::SubscriberInitExt,
};

use crate::config::{ConfigError, Log, LogFormat};

/// Seconds; from a commit on a fast disk to a timeout.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Chats in a batch.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// Sends logs to standard error, as the settings say.
pub fn init_logs(log: &Log) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| ConfigError::new("log.filter", format!("{error}")))?;
    let logs = fmt::layer().with_writer(std::io::stderr);
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

/// Whether no body of a message can be in it. The WebSocket library shows whole frames, whatever the
/// filter in the settings is for.
fn is_discreet(of: &Metadata<'_>) -> bool {
    !of.target().starts_with("tungstenite") || *of.level() <= Level::INFO
}

/// Collects metrics from now on; the handle renders them.
pub fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), SIZES)?
        .install_recorder()?)
}
