//! `/v1/users`, `/v1/presence`, `/v1/avatars`: other people.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::{
    extract::{Actor, Params, PathParam, integer},
    views::{PresenceView, PublicUrl, UserView},
};
use crate::{
    domain::{AvatarHash, UserId},
    protocol::{
        MAX_WATCHED,
        fault::{ApiError, ErrorCode},
    },
    service::Service,
};

/// Some users.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserList {
    users: Vec<UserView>,
}

/// Find people by the beginning of their name, where the directory is on
#[utoipa::path(get, path = "/v1/users", tag = "people",
    params(("query" = String, Query, min_length = 1), ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100")),
    responses((status = 200, body = UserList)))]
pub(super) async fn search(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    params: Params,
) -> Result<Json<UserList>, ApiError> {
    if !service.settings.users.directory {
        return Err(ApiError::new(ErrorCode::NotFound, "the directory is off"));
    }
    service.limits.history(actor.user)?;
    let limit = params.limit()?;
    // Names are in NFC, whatever a keyboard makes.
    let prefix: String = params.required("query")?.nfc().collect();
    let found = service.messaging.search_users(actor.user, &prefix, limit).await?;
    Ok(Json(UserList {
        users: found.into_iter().map(|user| UserView::of(user, actor.user, &url)).collect(),
    }))
}

/// A user's public face; with the directory off, only of oneself and of people with whom I share a conversation
#[utoipa::path(get, path = "/v1/users/{id}", tag = "people", params(("id" = UserId, Path)),
    responses((status = 200, body = UserView)))]
pub(super) async fn user(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    PathParam(id): PathParam,
) -> Result<Json<UserView>, ApiError> {
    service.limits.history(actor.user)?;
    let id = integer("id", &id)?;
    let user = if service.settings.users.directory {
        service.messaging.user(id).await?
    } else {
        service.messaging.acquaintance(actor.user, id).await?
    };
    Ok(Json(UserView::of(user, actor.user, &url)))
}

/// Who of some people is online.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PresenceList {
    presence: Vec<PresenceView>,
}

/// Whether people with whom I share a conversation are online; others are left out
#[utoipa::path(get, path = "/v1/presence", tag = "people",
    params(("userIds" = Vec<UserId>, Query, style = Form, explode = false, min_items = 1, max_items = 100, description = "Ids, separated by commas", example = json!([1, 2]))),
    responses((status = 200, body = PresenceList)))]
pub(super) async fn presence(
    State(service): State<Arc<Service>>,
    actor: Actor,
    params: Params,
) -> Result<Json<PresenceList>, ApiError> {
    let ids = params.required("userIds")?.split(',').take(MAX_WATCHED + 1);
    let ids = ids.map(|id| integer("userIds", id)).collect::<Result<Vec<UserId>, _>>()?;
    if ids.len() > MAX_WATCHED {
        return Err(ApiError::invalid(format!("`userIds` must name at most {MAX_WATCHED} users")));
    }
    service.limits.presence(actor.user)?;
    let presence = service.messaging.presence(actor.user, &ids).await?;
    Ok(Json(PresenceList { presence: presence.into_iter().map(Into::into).collect() }))
}

/// A picture, which never changes under its name
#[utoipa::path(get, path = "/v1/avatars/{hash}", tag = "people", security(()), params(("hash" = String, Path, pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, content_type = "image/*")))]
pub(super) async fn avatar(
    State(service): State<Arc<Service>>,
    PathParam(hash): PathParam,
) -> Result<Response, ApiError> {
    let none = || ApiError::new(ErrorCode::NotFound, "there is no such picture");
    let hash = AvatarHash::parse(&hash).ok_or_else(none)?;
    let (content_type, bytes) = service.accounts.avatar(&hash).await?.ok_or_else(none)?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}
