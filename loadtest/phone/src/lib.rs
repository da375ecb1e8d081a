//! A [`Phone`], which follows its timeline and keeps an outbox, and the [`ledger`] of what phones sent and were
//! shown. The load test uses it, and so do the service's tests of replicas that fail.
//!
//! Imports go down only: `socket`; `life`; `reading`, `asking`; `world`, `outbox`, `observer`; `content`; `ledger`;
//! `wire`, `target`, `clock`; `address`. In `ledger`: `judge`; `groups`, `shown`; `stored`; `order`, `listing`,
//! `load`; `members`; `timeline`; `book`, `changes`; `verdict`.

#![allow(missing_docs, reason = "what a name says is not said twice in a library for tests")]

pub mod address;
mod asking;
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

pub use asking::{Form, make_group};
pub use life::{Order, Orders, Phone, Upload};
pub use observer::{Observer, Passage, Ready};
pub use world::{Mark, Timing, World};
