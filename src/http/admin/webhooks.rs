//! `/v1/admin/webhooks`: how endpoints do, and what is to be delivered once more.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::extract::{JsonBody, Params, PathParam},
    Key,
};
use crate::{
    clock::Timestamp,
    domain::Scope,
    outbox::webhooks::{EndpointState, EventId},
    protocol::fault::ApiError,
    service::Service,
    store::{Delivery, Parked},
};

/// The most events that are named in one request.
const MAX_IDS: usize = 100;

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    name: String,
    /// Its host: the rest of the URL may hold a secret.
    #[schema(example = "crm.example.com")]
    host: String,
    /// What it is told of; empty: all.
    kinds: Vec<String>,
    /// Since when it is off because it answered 410; null: it is on.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    off_since: Option<Timestamp>,
    /// Deliveries that wait to be tried again, or for others of their conversation.
    waiting: u64,
    /// Deliveries that were given up.
    dead: u64,
}

impl From<EndpointState> for EndpointView {
    fn from(state: EndpointState) -> Self {
        let EndpointState { endpoint, off_since, parked: Parked { due, dead } } = state;
        let host = endpoint.url.host_str().unwrap_or_default().to_owned();
        let (name, kinds) = (endpoint.name, endpoint.kinds);
        Self { name, host, kinds, off_since, waiting: due, dead }
    }
}

/// All endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndpointList {
    endpoints: Vec<EndpointView>,
}

/// A delivery that did not succeed at once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryView {
    /// That of the event.
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `due`, or `dead` once it was given up.
    #[schema(example = "due")]
    state: &'static str,
    attempts: i64,
    /// When it is tried next, once those before it in its conversation are done; absent when it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    next_time: Option<Timestamp>,
    /// What came of the last attempt.
    #[schema(required = true, example = "status 500")]
    last_failure: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let Delivery { entry, is_dead, attempts, next_at, failure, .. } = delivery;
        Self {
            id: EventId::of(&entry).to_string(),
            kind: entry.kind,
            timestamp: entry.created_at,
            state: if is_dead { "dead" } else { "due" },
            attempts,
            next_time: (!is_dead).then_some(next_at),
            last_failure: failure,
        }
    }
}

/// Deliveries, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    has_more: bool,
}

/// What is to be delivered once more: these events, or all since a time.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Replay {
    #[schema(min_items = 1, max_items = 100, nullable = false)]
    ids: Option<Vec<String>>,
    #[schema(format = DateTime, nullable = false)]
    since: Option<String>,
}

/// What is delivered once more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// How many of the events were found; null: all since a time are read again.
    #[schema(required = true)]
    count: Option<u64>,
}

fn event_id(text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| ApiError::invalid("an id of an event looks like evt_17_1795772459120"))
}

/// All endpoints of webhooks, and how they do
#[utoipa::path(get, path = "/v1/admin/webhooks", tag = "admin", security(("apiKey" = [])),
    responses((status = 200, body = EndpointList)))]
pub(super) async fn endpoints(
    State(service): State<Arc<Service>>,
    key: Key,
) -> Result<Json<EndpointList>, ApiError> {
    let done = async {
        let states = service.webhooks.states().await?;
        Ok(Json(EndpointList { endpoints: states.into_iter().map(Into::into).collect() }))
    };
    key.act(&service, Scope::Webhooks, "webhooks.list", done).await
}

/// Deliveries to an endpoint that did not succeed at once: those that are tried again, and those that were given up
#[utoipa::path(get, path = "/v1/admin/webhooks/{endpoint}/deliveries", tag = "admin", security(("apiKey" = [])),
    params(
        ("endpoint" = String, Path, pattern = "^[a-z0-9_-]+$", min_length = 1, max_length = 32),
        ("after" = Option<String>, Query, description = "The id of the last entry of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = DeliveryList)))]
pub(super) async fn deliveries(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(endpoint): PathParam,
    params: Params,
) -> Result<Json<DeliveryList>, ApiError> {
    let done = async {
        service.webhooks.check(&endpoint)?;
        let after = params.get("after").filter(|after| !matches!(*after, "" | "0"));
        let (after, limit) = (after.map(event_id).transpose()?, params.limit()?);
        let mut found = service.webhooks.deliveries(&endpoint, after, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let deliveries = found.into_iter().map(Into::into).collect();
        Ok(Json(DeliveryList { deliveries, has_more }))
    };
    key.act(&service, Scope::Webhooks, "webhooks.deliveries", done).await
}

/// Delivers events once more, and switches an endpoint on that was off
#[utoipa::path(post, path = "/v1/admin/webhooks/{endpoint}/replay", tag = "admin", security(("apiKey" = [])),
    params(("endpoint" = String, Path, pattern = "^[a-z0-9_-]+$", min_length = 1, max_length = 32)),
    request_body = Replay,
    responses((status = 200, body = Replayed)))]
pub(super) async fn replay(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(endpoint): PathParam,
    body: JsonBody,
) -> Result<Json<Replayed>, ApiError> {
    let done = async {
        let webhooks = &service.webhooks;
        webhooks.check(&endpoint)?;
        let count = match body.fields()?.read::<Replay>()? {
            Replay { ids: Some(ids), since: None } if (1..=MAX_IDS).contains(&ids.len()) => {
                let ids: Vec<_> = ids.iter().map(|id| event_id(id)).collect::<Result<_, _>>()?;
                Some(webhooks.repeat(&endpoint, &ids).await?)
            }
            Replay { ids: None, since: Some(since) } => {
                let since = Timestamp::parse(&since).ok_or_else(|| {
                    ApiError::invalid("`since` must be a time as RFC 3339 has it")
                })?;
                webhooks.repeat_since(&endpoint, since).await?;
                None
            }
            _ => {
                let detail = format!("either `ids`, 1 to {MAX_IDS} of them, or `since` is needed");
                return Err(ApiError::invalid(detail));
            }
        };
        Ok(Json(Replayed { count }))
    };
    key.act(&service, Scope::Webhooks, "webhooks.replay", done).await
}
