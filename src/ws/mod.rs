//! WebSocket: the decision before `101`, and the two kinds of socket.

mod classic;
mod link;
mod outbox;
mod requests;
mod session;
mod upgrade;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::service::Service;

/// The sockets' route.
pub fn router() -> Router<Arc<Service>> {
    Router::new().route("/imserver/{userId}", get(upgrade::upgrade))
}
