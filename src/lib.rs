//! Real-time chat for WeChat mini programs. `docs/architecture.md` is the way in.

pub mod accounts;
pub mod app;
pub mod auth;
pub mod avatar;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod descriptors;
pub mod domain;
pub mod drain;
pub mod healthcheck;
pub mod http;
pub mod hub;
pub mod instances;
pub mod limits;
pub mod messaging;
pub mod presence;
pub mod protocol;
pub mod secret;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod wechat;
pub mod ws;
