//! `/v1/me`: one's own face.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    extract::{Actor, JsonBody, picture},
    views::{PublicUrl, UserView},
};
use crate::{
    protocol::{fault::ApiError, fields::Words},
    service::Service,
};

/// Who I am
#[utoipa::path(get, path = "/v1/me", tag = "me",
    responses((status = 200, body = UserView)))]
pub(super) async fn me(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
) -> Result<Json<UserView>, ApiError> {
    service.limits.history(actor.user)?;
    Ok(Json(UserView::whole(service.messaging.user(actor.user).await?, &url)))
}

/// What to change about oneself.
#[derive(Deserialize, ToSchema)]
pub(super) struct Change {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 32)]
    name: Option<Words>,
}

/// Change my name
#[utoipa::path(patch, path = "/v1/me", tag = "me", request_body = Change,
    responses((status = 200, body = UserView)))]
pub(super) async fn rename(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<UserView>, ApiError> {
    service.limits.write(actor.user)?;
    let Change { name } = body.read_as(actor.user)?;
    let user = match name {
        Some(name) => service.messaging.rename(actor.user, &name.user_name("name")?).await?,
        None => service.messaging.user(actor.user).await?,
    };
    Ok(Json(UserView::whole(user, &url)))
}

/// Change my name, for clients that know no PATCH
#[utoipa::path(put, path = "/v1/me", tag = "me", request_body = Change,
    responses((status = 200, body = UserView)))]
pub(super) async fn put(
    service: State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<UserView>, ApiError> {
    rename(service, actor, url, body).await
}

/// Change my picture: a PNG, JPEG or WebP of at most 256 KB
#[utoipa::path(put, path = "/v1/me/avatar", tag = "me",
    request_body(content_type = "image/*"),
    responses((status = 200, body = UserView)))]
pub(super) async fn set_avatar(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    request: Request,
) -> Result<Json<UserView>, ApiError> {
    // Before the body is read: what waits in memory is bounded.
    let place = service.accounts.upload_place(actor.user)?;
    let upload = picture(request).await?;
    let user = service.accounts.set_avatar(actor.user, upload, place).await?;
    Ok(Json(UserView::whole(user, &url)))
}
