//! `/v1/admin/status`: how the service does, in a few figures.

use std::sync::{Arc, atomic::Ordering};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{super::health::health, Key};
use crate::{clock::Timestamp, domain::Scope, protocol::fault::ApiError, service::Service};

/// Up to which number it is counted what waits.
const MOST: u32 = 1_000;

/// How the service does. What is of one replica is of that which answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusView {
    /// That of the program.
    version: &'static str,
    /// As `/readyz` has it.
    #[schema(example = "ok")]
    status: &'static str,
    /// As `/readyz` has them.
    reasons: Vec<&'static str>,
    /// Since when this replica runs.
    #[schema(value_type = String, format = DateTime)]
    start_time: Timestamp,
    /// Sockets that are open at this replica.
    sockets: u64,
    /// Chats that this replica has committed since then.
    sends: u64,
    /// Chats that are held back, counted to 1,000.
    #[schema(maximum = 1_000)]
    held: u32,
    /// Reports about which nothing was done, counted to 1,000.
    #[schema(maximum = 1_000)]
    reports: u32,
    /// Deliveries of webhooks that wait to be tried again.
    webhooks_waiting: u64,
    /// Deliveries of webhooks that were given up.
    webhooks_dead: u64,
    /// Age of the oldest event of which some endpoint has not been told once, in milliseconds; null without
    /// endpoints.
    #[schema(required = true, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    outbox_lag_ms: Option<u64>,
}

async fn view(service: &Service) -> Result<Json<StatusView>, ApiError> {
    let (_, health) = health(service).await;
    let waiting = service.store.waiting(MOST).await?;
    let endpoints = service.webhooks.states().await?;
    let lag = service.webhooks.lag().await?;
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        status: health.status,
        reasons: health.reasons,
        start_time: service.started_at,
        sockets: service.sockets.len() as u64,
        sends: service.sends.load(Ordering::Relaxed),
        held: waiting.held,
        reports: waiting.reports,
        webhooks_waiting: endpoints.iter().map(|endpoint| endpoint.parked.due).sum(),
        webhooks_dead: endpoints.iter().map(|endpoint| endpoint.parked.dead).sum(),
        outbox_lag_ms: lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
    }))
}

/// How the service does, in a few figures
#[utoipa::path(get, path = "/v1/admin/status", tag = "admin", security(("apiKey" = [])),
    responses((status = 200, body = StatusView)))]
pub(super) async fn status(
    State(service): State<Arc<Service>>,
    key: Key,
) -> Result<Json<StatusView>, ApiError> {
    let act = key.begin_poll(&service, Scope::Status, "status.read").await?;
    let done = view(&service).await;
    act.end(done).await
}
