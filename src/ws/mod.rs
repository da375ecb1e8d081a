//! WebSocket: the decision before `101`, and the two kinds of socket.

mod connection;
mod hello;
mod legacy;
mod requests;
mod send_tracker;
mod session;
mod upgrade;

use std::sync::Arc;

use axum::{Router, routing::get};
use tokio::task::JoinHandle;

use crate::{protocol::close::CloseCode, service::Service};
use connection::End;

/// The sockets' route.
pub fn router() -> Router<Arc<Service>> {
    // A replica without sockets shows that it has none: an absent gauge is no answer.
    for kind in [V1, LEGACY] {
        metrics::gauge!("imserver_sockets", "kind" => kind).increment(0);
    }
    Router::new().route("/imserver/{userId}", get(upgrade::upgrade))
}

/// The kinds of socket, as metrics name them. Dashboards know a legacy one as `classic`.
const V1: &str = "v1";
const LEGACY: &str = "classic";

/// Counts a socket for as long as it is open.
struct Counted(&'static str);

impl Counted {
    fn new(kind: &'static str) -> Self {
        metrics::gauge!("imserver_sockets", "kind" => kind).increment(1);
        Self(kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("imserver_sockets", "kind" => self.0).decrement(1);
    }
}

/// Counts how a socket ended.
fn count_end(end: End) {
    let code = match end {
        End::Close(code) => code.code().to_string(),
        End::WriteTimeout => CloseCode::TooSlow.code().to_string(),
        End::Gone => "gone".to_owned(),
    };
    metrics::counter!("imserver_socket_ends_total", "code" => code).increment(1);
}

/// Waits for a task; `None` if there is none, or it panicked.
async fn joined<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    task.as_mut()?.await.ok()
}
