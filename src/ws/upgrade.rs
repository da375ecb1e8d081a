//! Decides whether a socket opens, and which kind it is, before `101`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Extension, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use rand::Rng;
use tracing::{Instrument, Span};

use super::{connection::Connection, legacy::Legacy, session};
use crate::{
    domain::UserId,
    http::{
        extract::{Caller, Params, PathParam, bearer, integer, offered, unauthorized},
        peer::ClientAddress,
        progress::Progress,
    },
    protocol::{
        BEARER_SUBPROTOCOL, MAX_MESSAGE_BYTES, SUBPROTOCOL,
        fault::{ApiError, ErrorCode},
    },
    service::Service,
};

/// The framework's default of 128 KiB would dominate idle memory.
const READ_BUFFER: usize = 512;

/// Frames are gathered up to this size before they are written. Allocated on use.
const WRITE_BUFFER: usize = 4 * 1024;

/// The range of `Retry-After`, in seconds.
const COME_BACK_SECS: std::ops::RangeInclusive<u64> = 1..=4;

/// `GET /imserver/{userId}`.
pub(super) async fn upgrade(
    State(service): State<Arc<Service>>,
    PathParam(user): PathParam,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    params: Params,
    Extension(progress): Extension<Progress>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| {
        ApiError::new(
            ErrorCode::UpgradeRequired,
            "open a WebSocket here: HTTP/1.1, Upgrade: websocket",
        )
    })?;
    let answer = match service.handshakes.enter().await {
        Some(_permit) => decide(&service, user, &headers, &params, progress, upgrade).await,
        None => Err(full()),
    };
    // Only whoever fails is counted by address: behind it may be thousands who do not.
    let answer = match answer {
        Err(fault) if matches!(fault.code, ErrorCode::Unauthorized | ErrorCode::Forbidden) => {
            Err(service
                .limits
                .failed_handshake(address)
                .await
                .map_or_else(ApiError::from, |()| fault))
        }
        answer => answer,
    };
    let outcome = answer.as_ref().map_or_else(|fault| fault.code.as_str(), |_| "opened");
    metrics::counter!("imserver_handshakes_total", "outcome" => outcome).increment(1);
    answer
}

/// Too many handshakes are under way. The time to retry is random, so that clients that come together do not
/// come back together.
fn full() -> ApiError {
    let wait = Duration::from_secs(rand::rng().random_range(COME_BACK_SECS));
    ApiError {
        retry_after: Some(wait),
        ..ApiError::unavailable("too many sockets are being opened at this moment")
    }
}

/// Opens the socket, or refuses it.
async fn decide(
    service: &Arc<Service>,
    user: String,
    headers: &HeaderMap,
    params: &Params,
    progress: Progress,
    mut upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let user: UserId = integer("userId", &user)?;
    let named: Option<UserId> = params.integer("userId")?;
    if !service.is_open() {
        return Err(ApiError::unavailable("the replica is stopping"));
    }
    let offers = offered(headers);
    let offered_token = offers.iter().find_map(|offer| offer.strip_prefix(BEARER_SUBPROTOCOL));
    let token = bearer(headers).or(offered_token);
    let is_v1 = offers.contains(&SUBPROTOCOL);
    let caller = match (is_v1, token) {
        // Legacy sockets alone may be anonymous.
        (true, None) => return Err(unauthorized()),
        _ if headers.contains_key(header::AUTHORIZATION) && token.is_none() => {
            return Err(unauthorized());
        }
        _ => Caller::of(service, headers, token).await?,
    };
    caller.act_as(user)?;
    if let Some(named) = named {
        caller.act_as(named)?;
    }
    let selected = match (is_v1, offers.as_slice()) {
        (true, _) => Some(SUBPROTOCOL.to_owned()),
        (false, []) => None,
        // A client that offers only its token must see it selected, or browsers close.
        (false, [only]) if only.starts_with(BEARER_SUBPROTOCOL) => Some((*only).to_owned()),
        (false, _) => {
            let detail = format!("offer `{SUBPROTOCOL}`, or none for a legacy socket");
            return Err(ApiError::new(ErrorCode::UnsupportedSubprotocol, detail));
        }
    };
    service.limits.handshake(user)?;
    if let Some(selected) = selected.and_then(|name| HeaderValue::from_str(&name).ok()) {
        upgrade.set_selected_protocol(selected);
    }
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        // No bound on what waits for the kernel: that is one frame, since the next one is taken when
        // the kernel has it, and a frame is as large as it is.
        // A little more than the contract takes, so that what is just over it is read to its end
        // and the client gets to see why it is closed.
        .max_message_size(2 * MAX_MESSAGE_BYTES)
        .max_frame_size(2 * MAX_MESSAGE_BYTES);
    let id = service.store.next_connection().await?;
    // Not within the span of the handshake's request, which ends long before.
    let span = tracing::debug_span!(parent: None, "socket", %user, connection = %id);
    Ok(match caller {
        Caller::User(actor) if is_v1 => {
            open(upgrade, service, progress, span, move |service, connection| {
                session::run(service, connection, actor, id)
            })
        }
        caller => {
            let socket = Legacy::open(service, caller, user, id).await?;
            open(upgrade, service, progress, span, move |_, connection| socket.run(connection))
        }
    })
}

fn open<F, Fut>(
    upgrade: WebSocketUpgrade,
    service: &Arc<Service>,
    progress: Progress,
    span: Span,
    run: F,
) -> Response
where
    F: FnOnce(Arc<Service>, Box<Connection>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    // Counted from here on, so that a stopping replica waits for it.
    let token = service.sockets.token();
    let service = Arc::clone(service);
    upgrade.on_upgrade(async move |socket| {
        let limits = &service.settings.limits;
        let flood_limit = limits.enabled.then_some(limits.frames_per_sec);
        let connection = Box::new(Connection::new(socket, progress, flood_limit));
        // A task of its own: the one of the upgrade keeps what the handshake needed.
        service.sockets.spawn(run(Arc::clone(&service), connection).instrument(span));
        drop(token);
    })
}
