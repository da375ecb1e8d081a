//! HTTP: the routes, what guards all of them, and their OpenAPI document.

mod chats;
mod conversations;
mod error;
mod events;
pub mod extract;
mod guard;
mod health;
mod login;
mod me;
mod metrics;
mod page;
mod people;
mod seed;
mod serve;
mod views;

use std::sync::Arc;

use axum::{Router, middleware, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    protocol::fault::{Code, Fault},
    service::Service,
};

pub use error::Problem;
pub use metrics::router as metrics_router;
pub use seed::push;
pub use serve::serve;

/// The head of the OpenAPI document; the routes add themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "imserver",
        description = "Real-time chat for WeChat mini programs. The WebSocket and all rules are described in docs/protocol.md."
    ),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The routes that are described, and their description.
fn described() -> (Router<Arc<Service>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(login::wechat))
        .routes(routes!(login::demo))
        .routes(routes!(login::logout))
        .routes(routes!(me::me, me::rename))
        .routes(routes!(me::set_avatar))
        .routes(routes!(people::avatar))
        .routes(routes!(people::search))
        .routes(routes!(people::user))
        .routes(routes!(people::presence))
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::chats))
        .routes(routes!(conversations::read))
        .routes(routes!(chats::send))
        .routes(routes!(events::events))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(seed::push_route))
        .routes(routes!(seed::get_message))
        .routes(routes!(seed::get_online_user))
        .routes(routes!(seed::close))
        .split_for_parts()
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().1
}

/// Everything that is served on the main listener: the routes here and those of the `sockets`, behind
/// the same guards.
pub fn router(service: &Arc<Service>, sockets: Router<Arc<Service>>) -> Router {
    let (api, document) = described();
    let document = document.to_json().unwrap_or_default();
    api.route("/v1/openapi.json", get(move || page::json(document)))
        .merge(sockets)
        .merge(page::router())
        .fallback(|| async { Fault::new(Code::NotFound, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            Fault::new(Code::MethodNotAllowed, "the route does not take this method")
        })
        .layer(guard::cors(service))
        // Around CORS: an origin that is refused is told nothing of what it might do.
        .layer(middleware::from_fn_with_state(Arc::clone(service), guard::origin))
        .layer(middleware::from_fn(guard::no_token_in_url))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(guard::panicked))
        .layer(middleware::from_fn(guard::trace))
        .with_state(Arc::clone(service))
}
