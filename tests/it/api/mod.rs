//! The service as those meet it who use it and who run it: HTTP, sockets, the command line, what it says of
//! itself, and what is delivered with it.

mod access;
mod admin;
mod bad_input;
mod blocks;
mod cli;
mod deploy;
mod docs;
mod door;
mod holds;
mod hook;
pub mod http;
mod integrate;
mod legacy;
mod limits;
mod login;
mod logs;
mod media;
mod metrics;
mod nginx;
mod online;
mod origins;
mod outbox;
mod readme;
mod smoke;
mod stack;
mod subscribe;
mod text_checks;
mod tokens;
mod trimming;
mod webhooks;
mod wechat;
mod words;
mod ws;
