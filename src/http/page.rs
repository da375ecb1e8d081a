//! The page at `/`, and other things that are served as they are.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::error::Problem;
use crate::service::Service;

/// Nothing from elsewhere, and no scripts.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

/// The page's routes.
pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route(
            "/",
            get(async || asset("text/html; charset=utf-8", include_str!("page/index.html"))),
        )
        .route(
            "/page.css",
            get(async || asset("text/css; charset=utf-8", include_str!("page/page.css"))),
        )
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, body = Object), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| super::openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
