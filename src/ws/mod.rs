//! WebSocket: the decision before `101`, and the two kinds of socket.

mod classic;
mod link;
mod outbox;
mod requests;
mod session;
mod upgrade;

pub use upgrade::{offered, upgrade};
