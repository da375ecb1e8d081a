//! `/v1/admin/feed`: what happens, for readers that keep their own place.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{super::extract::Params, Key};
use crate::{
    domain::Scope,
    outbox::{
        events::Event,
        feed::{FeedPage, MAX_WAIT},
    },
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeedView {
    events: Vec<Event>,
    /// The place after them, for `after`.
    cursor: String,
    /// Whether there may be more already.
    has_more: bool,
}

/// What has happened after a place, in order for each conversation and each user; `cursor_gone` beyond the 7 days that are kept
#[utoipa::path(get, path = "/v1/admin/feed", tag = "admin", security(("apiKey" = [])),
    params(
        ("after" = Option<String>, Query, description = "The `cursor` of the page before; without it, from the oldest event that will be kept for 20 minutes yet"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
        ("waitSecs" = Option<u32>, Query, minimum = 0, maximum = 30, description = "How long to wait if there is nothing; 0 unless given"),
    ),
    responses((status = 200, body = FeedView)))]
pub(super) async fn feed(
    State(service): State<Arc<Service>>,
    key: Key,
    params: Params,
) -> Result<Json<FeedView>, ApiError> {
    let act = key.begin_poll(&service, Scope::Feed, "feed.read").await?;
    let done = async {
        let feed = service.feed.as_ref().ok_or_else(|| {
            ApiError::new(ErrorCode::NotFound, "there is no feed; set feed.enabled")
        })?;
        let after = params.get("after").filter(|after| !matches!(*after, "" | "0"));
        let (limit, wait) = (params.limit()?, wait(&params)?);
        let page = feed.page(after, limit, wait, &service.stopping).await?;
        let FeedPage { events, cursor, has_more } = page;
        Ok(Json(FeedView { events, cursor, has_more }))
    };
    act.end(done.await).await
}

fn wait(params: &Params) -> Result<Duration, ApiError> {
    let Some(text) = params.get("waitSecs") else { return Ok(Duration::ZERO) };
    let wait = text.parse().ok().map(Duration::from_secs).filter(|wait| *wait <= MAX_WAIT);
    wait.ok_or_else(|| ApiError::invalid("`waitSecs` must be a number from 0 to 30"))
}
