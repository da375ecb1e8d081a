//! The chat at `/`, two of it at `/demo`, and other things that are served as they are.
//!
//! The files are the mini program, compiled for browsers by `miniprogram/web`.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    assets::{ASK_AGAIN, Assets, Built, built},
    console, document,
    extract::PathParam,
};
use crate::{
    domain::TemplateId,
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

/// Nothing from elsewhere, and no code but the files of [`ASSETS`]. The demo frames the chat.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' blob:; frame-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

static INDEX: LazyLock<Built> = LazyLock::new(|| built("index.html"));
static DEMO: LazyLock<Built> = LazyLock::new(|| built("demo.html"));

/// The files that the pages refer to, and those that these load in their turn.
static ASSETS: LazyLock<Assets> =
    LazyLock::new(|| Assets::new(POLICY, |name| !console::is_own(name)));

/// The pages' routes.
pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(async |asked: HeaderMap| ASSETS.page(&asked, &INDEX)))
        .route("/demo", get(demo))
        .route("/page/{file}", get(asset))
}

/// Two phones, which sign in by their names.
async fn demo(State(service): State<Arc<Service>>, asked: HeaderMap) -> Result<Response, ApiError> {
    if service.settings.auth.demo_login {
        Ok(ASSETS.page(&asked, &DEMO))
    } else {
        Err(ApiError::new(ErrorCode::NotFound, "demo login is off"))
    }
}

async fn asset(
    PathParam(file): PathParam,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    ASSETS.file(&asked, &file, query.as_deref())
}

/// What the service offers to somebody who has not logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceView {
    /// Whether a name is enough to log in: `/v1/login/demo`.
    demo_login: bool,
    /// Whether there is a login by WeChat: `/v1/login/wechat`.
    wechat_login: bool,
    /// Whether people can be found by name: `/v1/users`.
    directory: bool,
    /// The templates of subscribe messages that a mini program asks its user for; what it is answered goes to
    /// `/v1/wechat/subscriptions`.
    #[schema(value_type = Vec<String>)]
    subscribe_templates: Vec<TemplateId>,
}

/// What the service offers
#[utoipa::path(get, path = "/v1/service", tag = "document", security(()),
    responses((status = 200, body = ServiceView)))]
pub(super) async fn service(State(service): State<Arc<Service>>) -> Json<ServiceView> {
    let settings = &service.settings;
    Json(ServiceView {
        demo_login: settings.auth.demo_login,
        wechat_login: settings.wechat_login(),
        directory: settings.users.directory,
        subscribe_templates: settings.wechat.subscribe.template_id.iter().cloned().collect(),
    })
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, body = Object)))]
pub(super) async fn openapi(Extension(text): Extension<document::Text>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, ASK_AGAIN)];
    (headers, text.0.to_string()).into_response()
}
