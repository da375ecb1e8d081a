//! What every request passes before its route.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::{Instrument, field};

use super::extract::{Params, bearer, offered};
use crate::{
    auth::host::HostPolicy,
    protocol::{
        BEARER_SUBPROTOCOL,
        fault::{ApiError, ErrorCode},
    },
    service::Service,
};

/// Query keys under which a token would reach logs and histories.
const TOKEN_KEYS: [&str; 3] = ["token", "access_token", "bearer"];

/// Routes that give away nothing that a page could not read by itself: any page may show them.
const PUBLIC: [&str; 9] = [
    "/",
    "/demo",
    "/page/{file}",
    "/healthz",
    "/readyz",
    "/v1/service",
    "/v1/openapi.json",
    "/v1/avatars/{hash}",
    "/v1/media/{id}/{variant}",
];

/// Refuses a token in the URL, on any route, valid or not.
pub(super) async fn no_token_in_url(request: Request, next: Next) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or(""));
    if params.keys().any(|key| TOKEN_KEYS.iter().any(|token| key.eq_ignore_ascii_case(token))) {
        let detail = "send the token in the Authorization header, or as a subprotocol";
        return ApiError::new(ErrorCode::TokenInUrl, detail).into_response();
    }
    next.run(request).await
}

/// Refuses requests by a name that is not the service's.
pub(super) async fn host(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return ApiError::invalid("a request of HTTP/1.1 has a `Host`").into_response();
    }
    if service.hosts.admits(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    // The route of an anonymous request says why in its own word.
    let code = if is_anonymous(&service, &request) {
        ErrorCode::AnonymousNotLocal
    } else {
        ErrorCode::HostNotAllowed
    };
    refused_host(code).into_response()
}

/// The same on a listener of its own: that of metrics, and that of the server API.
pub(super) async fn own_host(
    State(hosts): State<HostPolicy>,
    request: Request,
    next: Next,
) -> Response {
    if hosts.admits(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    refused_host(ErrorCode::HostNotAllowed).into_response()
}

fn refused_host(code: ErrorCode) -> ApiError {
    let detail = "on a loopback address the service is reached by a `Host` of this machine, or by that \
                  of the setting server.public_url; behind a proxy, set it";
    ApiError::new(code, detail)
}

/// Whether a request is one of anonymous mode.
fn is_anonymous(service: &Service, request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    path.is_some_and(|path| !path.starts_with("/v1/") && !path.starts_with("/console"))
        && path.is_some_and(|path| !PUBLIC.contains(&path))
        && service.settings.auth.anonymous
        && !has_token(request.headers())
}

fn has_token(headers: &HeaderMap) -> bool {
    bearer(headers).is_some()
        || offered(headers).iter().any(|offer| offer.starts_with(BEARER_SUBPROTOCOL))
}

/// Refuses pages of origins that are not allowed.
pub(super) async fn origin(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_public = path.is_some_and(|path| PUBLIC.contains(&path));
    if !is_public && !service.origins.admits(headers, has_token(headers)) {
        // The route of an anonymous request says why in its own word.
        let code = if is_anonymous(&service, &request) {
            ErrorCode::AnonymousNotLocal
        } else {
            ErrorCode::OriginNotAllowed
        };
        let detail = "pages of this origin may not use the service; see server.allowed_origins";
        return ApiError::new(code, detail).into_response();
    }
    next.run(request).await
}

/// Answers browsers that ask whether a page may use the service.
pub(super) fn cors(service: &Arc<Service>) -> CorsLayer {
    let origins = service.origins.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            origin.to_str().is_ok_and(|origin| origins.allows(origin, &parts.headers))
        }))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}

/// Carries an act of the server API out to its end, though whoever asked for it may be gone: it has several steps, and the
/// audit says how it ended.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let carried_out = tokio::spawn(next.run(request).in_current_span());
    carried_out.await.unwrap_or_else(|_| ApiError::internal().into_response())
}

/// The answer where a handler panicked. The hook that `telemetry` sets has logged it.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::internal().into_response()
}

/// Gives each request an id, logs it by its route (a path may hold ids, a query anything), and sends
/// the headers that every answer has.
pub(super) async fn trace(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.as_deref().unwrap_or("unmatched");
    // Its extractor fills in the user, or the API key.
    let span =
        tracing::info_span!("request", id, %method, route, user = field::Empty, key = field::Empty);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status, micros, "answered"));
    metrics::counter!("imserver_http_requests_total", "route" => route.to_owned(), "status" => status.to_string())
        .increment(1);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    // Whoever may see an answer is decided by its token: no cache may keep it. What is for everybody
    // says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
