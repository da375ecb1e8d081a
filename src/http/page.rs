//! The chat at `/`, two of it at `/demo`, and other things that are served as they are.
//!
//! The files are the mini program, compiled for browsers by `miniprogram/web`.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Json, Router,
    extract::{Path, RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::document;
use crate::{
    domain::TemplateId,
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

/// Nothing from elsewhere, and no code but the files of `ASSETS`. The demo frames the chat.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self' blob:; frame-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// A text that the mini program's build made.
macro_rules! built {
    ($name:literal) => {
        include_str!(concat!("../../miniprogram/web/dist/", $name))
    };
}

const INDEX: &str = built!("index.html");
const DEMO: &str = built!("demo.html");

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files that a page refers to: name, type and text.
const ASSETS: [(&str, &str, &str); 4] = [
    ("app.css", STYLE, built!("app.css")),
    ("app.js", SCRIPT, built!("app.js")),
    ("demo.css", STYLE, built!("demo.css")),
    ("demo.js", SCRIPT, built!("demo.js")),
];

/// The query under which a page asks for each of `ASSETS`: its version, by its content.
static VERSIONS: LazyLock<[String; ASSETS.len()]> = LazyLock::new(|| {
    ASSETS.map(|(_, _, text)| {
        let digest = Sha256::digest(text);
        let bytes = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        format!("v={}", bytes.collect::<String>())
    })
});

/// The pages' routes.
pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(async || html(INDEX)))
        .route("/demo", get(demo))
        .route("/page/{file}", get(asset))
}

/// Two phones, which sign in by their names.
async fn demo(State(service): State<Arc<Service>>) -> Result<Response, ApiError> {
    if service.settings.auth.demo_login {
        Ok(html(DEMO))
    } else {
        Err(ApiError::new(ErrorCode::NotFound, "demo login is off"))
    }
}

fn html(text: &'static str) -> Response {
    served("text/html; charset=utf-8", ASK_AGAIN, text)
}

/// A file of the pages. Under the version that it has it may be kept for ever; while replicas differ in
/// their version, an answer for another one may not.
async fn asset(Path(file): Path<String>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let found = ASSETS.iter().zip(VERSIONS.iter()).find(|((name, _, _), _)| *name == file);
    let ((_, content_type, text), version) =
        found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such file"))?;
    let caching = if query.as_ref() == Some(version) { FOR_EVER } else { ASK_AGAIN };
    Ok(served(content_type, caching, text))
}

fn served(content_type: &'static str, caching: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, caching),
    ];
    (headers, text).into_response()
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
