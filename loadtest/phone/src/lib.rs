//! A [`Phone`], which follows its timeline and keeps an outbox, and the [`ledger`] of what phones sent and were
//! shown. The load test uses it, and so do the service's tests of replicas that fail.
//!
//! Imports go down only: `socket`; `life`, `reading`; `world`, `outbox`, `observer`; `content`; `ledger`;
//! `wire`, `target`, `clock`. In `ledger`: `judge`; `shown`, `stored`; `order`, `load`, `listing`; `book`; `verdict`.

#![allow(missing_docs, reason = "what a name says is not said twice in a library for tests")]

pub mod clock;
pub mod content;
pub mod ledger;
mod life;
mod observer;
mod outbox;
pub mod reading;
mod socket;
pub mod target;
pub mod wire;
mod world;

pub use life::{Order, Orders, Phone};
pub use observer::{Observer, Passage, Ready};
pub use world::{Mark, Timing, World};
