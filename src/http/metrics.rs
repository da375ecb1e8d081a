//! `/metrics`, on a listener of its own.

use axum::{
    Router, http::header, middleware::from_fn_with_state, response::IntoResponse, routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;

use super::{middleware, no_such_method, no_such_route};
use crate::auth::host::HostPolicy;

/// The routes of the metrics' listener.
pub fn router(handle: PrometheusHandle, hosts: HostPolicy) -> Router {
    let render = move || {
        let text = handle.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    Router::new()
        .route("/metrics", get(render))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(hosts, middleware::own_host))
}
