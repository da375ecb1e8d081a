//! `/healthz`, `/readyz`: whether the process is up, and whether traffic is welcome.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{service::Service, store::Access};

/// How long the database may take to answer.
const PING_WAIT: Duration = Duration::from_secs(2);

/// How it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, `degraded` or `unavailable`.
    pub(super) status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<&'static str>,
}

/// Whether the process is up
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", reasons: Vec::new() })
}

/// Whether traffic is welcome
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> (StatusCode, Json<Health>) {
    let (status, health) = health(&service).await;
    (status, Json(health))
}

/// How this replica is, and the status that says it.
pub(super) async fn health(service: &Service) -> (StatusCode, Health) {
    let unavailable = |reason| {
        let health = Health { status: "unavailable", reasons: vec![reason] };
        (StatusCode::SERVICE_UNAVAILABLE, health)
    };
    if service.stopping.is_cancelled() {
        return unavailable("draining");
    }
    if !service.is_open() {
        return unavailable("starting");
    }
    let Ok(Ok(access)) = tokio::time::timeout(PING_WAIT, service.store.ping()).await else {
        return unavailable("database");
    };
    let mut reasons = Vec::new();
    // Nearly always the same for all replicas: without any, nobody could read either.
    if access == Access::Reads || service.messaging.is_failing() {
        reasons.push("database_writes");
    }
    if service.bus.health().is_err() {
        reasons.push("bus");
    }
    reasons.extend(service.instances.refusals());
    if service.delivery.is_split() {
        reasons.push("bus_split");
    }
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    (StatusCode::OK, Health { status, reasons })
}
