//! What goes over the wire: fields of requests, frames of sockets, error codes and close codes.
//!
//! `docs/protocol.md` is the contract in prose.

pub mod client;
pub mod close;
pub mod event;
pub mod fault;
pub mod fields;
pub mod server;

/// An encoded text frame; clones share the bytes.
///
/// The framework's own type, so that a frame is encoded once, checked once, and written from where
/// it lies to every socket that gets it.
pub type Text = axum::extract::ws::Utf8Bytes;

/// The subprotocol of the WebSocket, version 1.
pub const SUBPROTOCOL: &str = "imserver.v1";

/// What a session token is prefixed with where it is offered as a subprotocol.
pub const BEARER_SUBPROTOCOL: &str = "bearer.";

/// The longest body and the longest frame, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The longest picture that is taken, in bytes.
pub const MAX_AVATAR_BYTES: usize = 256 * 1024;

/// The longest list of users that the server API takes, in bytes.
pub const MAX_USER_LIST_BYTES: usize = 4 * 1024 * 1024;

/// The most users that one `watch`, or one question for presence, may name.
pub const MAX_WATCHED: usize = 100;
