//! `/v1/blocks`: of whom one wants to hear nothing.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    extract::{Actor, Params, PathParam, integer},
    views::{PublicUrl, UserView},
};
use crate::{clock::Timestamp, domain::UserId, protocol::fault::ApiError, service::Service};

/// Somebody whom one has blocked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockView {
    user: UserView,
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
}

/// Whom one has blocked, in ascending id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockList {
    blocks: Vec<BlockView>,
    has_more: bool,
}

/// Whom I have blocked, in ascending id
#[utoipa::path(get, path = "/v1/blocks", tag = "people",
    params(
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The id of the last user of the page before; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = BlockList)))]
pub(super) async fn blocked(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    params: Params,
) -> Result<Json<BlockList>, ApiError> {
    service.limits.history(actor.user)?;
    let after = params.after_entry()?;
    let page = service.messaging.blocks(actor.user, after, params.limit()?).await?;
    let view =
        |(user, create_time)| BlockView { user: UserView::of(user, actor.user, &url), create_time };
    let blocks = page.blocks.into_iter().map(view).collect();
    Ok(Json(BlockList { blocks, has_more: page.has_more }))
}

/// Block a user, whose chats to me are refused from now on; may be repeated
#[utoipa::path(put, path = "/v1/blocks/{userId}", tag = "people",
    params(("userId" = UserId, Path)), responses((status = 204)))]
pub(super) async fn block(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(user): PathParam,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    service.messaging.block(actor.user, integer("userId", &user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a block back; may be repeated
#[utoipa::path(delete, path = "/v1/blocks/{userId}", tag = "people",
    params(("userId" = UserId, Path)), responses((status = 204)))]
pub(super) async fn unblock(
    State(service): State<Arc<Service>>,
    actor: Actor,
    PathParam(user): PathParam,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    service.messaging.unblock(actor.user, integer("userId", &user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
