//! The operators' page at `/console`: a front end of the server API, on its listener.

use std::sync::{Arc, LazyLock};

use axum::{Router, extract::RawQuery, http::HeaderMap, response::Response, routing::get};

use super::{
    assets::{Assets, Built, built},
    extract::PathParam,
};
use crate::{protocol::fault::ApiError, service::Service};

/// Nothing from elsewhere, no code but its own, and in no frame: nobody can lay anything over it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static PAGE: LazyLock<Built> = LazyLock::new(|| built("console.html"));

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::new(POLICY, is_own));

/// Whether a file of the build is the console's, which is served by its own rules alone.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with("console.")
}

/// The page and its files; nothing where it is off.
pub(super) fn router(service: &Service) -> Router<Arc<Service>> {
    if !service.settings.console.enabled {
        return Router::new();
    }
    Router::new()
        .route("/console", get(async |asked: HeaderMap| ASSETS.page(&asked, &PAGE)))
        .route("/console/{file}", get(asset))
}

async fn asset(
    PathParam(file): PathParam,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    ASSETS.file(&asked, &file, query.as_deref())
}
