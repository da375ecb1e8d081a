//! HTTP: the routes, the middleware of all of them, and their OpenAPI document.

mod admin;
mod assets;
mod blocks;
mod chats;
mod console;
mod conversations;
mod document;
mod error;
mod events;
pub mod extract;
mod groups;
mod health;
mod idle_connections;
mod legacy;
mod linger;
mod login;
mod me;
mod media;
mod metrics;
mod middleware;
mod page;
pub mod peer;
mod people;
pub mod progress;
mod reports;
mod serve;
mod subscriptions;
mod uploads;
mod views;
mod wechat_push;

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::Uri,
    middleware::{from_fn, from_fn_with_state},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::host::HostPolicy,
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

pub use error::Problem;
pub use legacy::push;
pub use metrics::router as metrics_router;
pub use serve::{listen, serve};

/// The routes that are described, and their description.
fn described() -> (Router<Arc<Service>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(document::head())
        .routes(routes!(login::wechat))
        .routes(routes!(login::token))
        .routes(routes!(login::demo))
        .routes(routes!(login::logout))
        .routes(routes!(me::me, me::rename, me::put))
        .routes(routes!(me::set_avatar))
        .routes(routes!(people::avatar))
        .routes(routes!(people::search))
        .routes(routes!(people::user))
        .routes(routes!(people::presence))
        .routes(routes!(blocks::blocked))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(reports::report))
        .routes(routes!(subscriptions::report_answers))
        .routes(routes!(conversations::list, groups::begin))
        .routes(routes!(conversations::one, groups::change))
        .routes(routes!(groups::members, groups::add_members))
        .routes(routes!(groups::remove_member, groups::give_role))
        .routes(routes!(conversations::settings))
        .routes(routes!(conversations::hide))
        .routes(routes!(conversations::clear))
        .routes(routes!(conversations::chats))
        .routes(routes!(conversations::read))
        .routes(routes!(chats::send))
        .routes(routes!(chats::recall))
        .routes(routes!(chats::delete))
        .routes(routes!(uploads::upload))
        .routes(routes!(media::serve))
        .routes(routes!(events::events))
        .routes(routes!(wechat_push::echo, wechat_push::push))
        .routes(routes!(page::service))
        .routes(routes!(page::openapi))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(legacy::push_route))
        .routes(routes!(legacy::get_message))
        .routes(routes!(legacy::get_online_user))
        .routes(routes!(legacy::close))
        .split_for_parts()
}

async fn no_such_route(uri: Uri) -> ApiError {
    let detail = match uri.path() {
        path if path.ends_with('/') => "there is no such route; none ends with a slash",
        _ => "there is no such route",
    };
    ApiError::new(ErrorCode::NotFound, detail)
}

async fn no_such_method() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "the route does not take this method")
}

/// The server API, and its part of the OpenAPI document.
fn server_api() -> (Router<Arc<Service>>, utoipa::openapi::OpenApi) {
    let (routes, document) = admin::routes().split_for_parts();
    (routes.layer(from_fn(middleware::to_its_end)), document)
}

/// What is served on the listener of the server API, if it has one of its own. `hosts`: by which names.
pub fn admin_router(service: &Arc<Service>, hosts: HostPolicy) -> Router {
    let (admin, _) = server_api();
    admin
        .merge(console::router(service))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(middleware::no_token_in_url))
        .layer(from_fn_with_state(hosts, middleware::own_host))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(middleware::panicked))
        .layer(from_fn(middleware::trace))
        .with_state(Arc::clone(service))
}

/// Everything that is served on the main listener: the routes here and those of the `sockets`, behind
/// the same middleware.
pub fn router(service: &Arc<Service>, sockets: Router<Arc<Service>>) -> Router {
    let (mut api, mut document) = described();
    let (admin, of_admin) = server_api();
    document.merge(of_admin);
    if service.settings.admin.listen.is_none() {
        api = api.merge(admin).merge(console::router(service));
    }
    let text = document::complete(&mut document, service.settings.chat.max_content_chars);
    api.merge(sockets)
        .merge(page::router())
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(Extension(text))
        .layer(middleware::cors(service))
        // Around CORS: an origin that is refused is told nothing of what it might do.
        .layer(from_fn_with_state(Arc::clone(service), middleware::origin))
        .layer(from_fn(middleware::no_token_in_url))
        .layer(from_fn_with_state(Arc::clone(service), middleware::host))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(middleware::panicked))
        .layer(from_fn(middleware::trace))
        .with_state(Arc::clone(service))
}
