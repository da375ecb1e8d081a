//! `/v1/me`: one's own face.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Request, State},
};
use utoipa::ToSchema;

use super::{
    error::Problem,
    extract::{Actor, JsonBody, PictureBody},
    views::{PublicUrl, UserView},
};
use crate::{protocol::fault::Fault, service::Service};

/// Who I am
#[utoipa::path(get, path = "/v1/me", tag = "me",
    responses((status = 200, body = UserView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn me(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
) -> Result<Json<UserView>, Fault> {
    service.limits.history(actor.user).await?;
    Ok(Json(UserView::of(service.messaging.user(actor.user).await?, &url)))
}

/// What to change about oneself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body whose fields are read one by one")]
pub(super) struct Change {
    #[schema(min_length = 1, max_length = 32)]
    name: Option<String>,
}

/// Change my name
#[utoipa::path(patch, path = "/v1/me", tag = "me", request_body = Change,
    responses((status = 200, body = UserView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rename(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<UserView>, Fault> {
    service.limits.write(actor.user).await?;
    let user = match body.fields_of(actor.user)?.user_name("name")? {
        Some(name) => service.messaging.rename(actor.user, &name).await?,
        None => service.messaging.user(actor.user).await?,
    };
    Ok(Json(UserView::of(user, &url)))
}

/// Change my name, for clients that know no PATCH
#[utoipa::path(put, path = "/v1/me", tag = "me", request_body = Change,
    responses((status = 200, body = UserView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    service: State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<UserView>, Fault> {
    rename(service, actor, url, body).await
}

/// Change my picture: a PNG, JPEG or WebP of at most 256 KB
#[utoipa::path(put, path = "/v1/me/avatar", tag = "me",
    request_body(content_type = "image/*"),
    responses((status = 200, body = UserView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_avatar(
    State(service): State<Arc<Service>>,
    actor: Actor,
    url: PublicUrl,
    request: Request,
) -> Result<Json<UserView>, Fault> {
    // Before the body is read: what waits in memory is bounded.
    let place = service.accounts.upload_place(actor.user).await?;
    let PictureBody(upload) = PictureBody::from_request(request, &()).await?;
    let user = service.accounts.set_avatar(actor.user, upload, place).await?;
    Ok(Json(UserView::of(user, &url)))
}
