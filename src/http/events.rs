//! `/v1/events`: a timeline over HTTP.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::extract::{Actor, Params};
use crate::{
    domain::{Epoch, Seq},
    protocol::{
        client::ClientEpoch,
        fault::{ApiError, ErrorCode},
    },
    service::Service,
};

/// A stretch of one's timeline.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventList {
    /// Each event as its frame.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Box<RawValue>>,
    last_seq: Seq,
    epoch: Epoch,
    has_more: bool,
}

/// My events after a number; `timeline_reset` where a socket would get `reset`
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(
        ("since" = Option<Seq>, Query, description = "Exclusive; without it, from now on"),
        ("epoch" = Option<String>, Query, description = "The history in which `since` counts"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = EventList)))]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    actor: Actor,
    params: Params,
) -> Result<Json<EventList>, ApiError> {
    service.limits.history(actor.user)?;
    let (since, limit) = (params.integer("since")?, params.limit()?);
    let epoch = params.get("epoch").filter(|epoch| !epoch.is_empty()).map(ClientEpoch::parse);
    let found = service.messaging.events(actor.user, since, epoch.as_ref(), limit).await?;
    let found = found.ok_or_else(|| {
        ApiError::new(
            ErrorCode::TimelineReset,
            "this place in the timeline means nothing here any more",
        )
    })?;
    let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(|_| ApiError::internal());
    Ok(Json(EventList {
        events: found.frames.iter().map(|frame| raw(&frame.text())).collect::<Result<_, _>>()?,
        last_seq: found.last,
        epoch: found.epoch,
        has_more: found.has_more,
    }))
}
