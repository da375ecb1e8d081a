//! Real-time chat for WeChat mini programs. `docs/architecture.md` is the way in.

pub mod auth;
pub mod avatar;
pub mod bus;
pub mod clock;
pub mod delivery;
pub mod domain;
pub mod presence;
pub mod protocol;
pub mod secret;
pub mod store;
pub mod wechat;
