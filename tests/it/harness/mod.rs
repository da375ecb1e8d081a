//! The tests' vocabulary: a real server process with a database of its own, people who are logged in
//! to it, and their sockets. Everything waits for an event, with a deadline.

pub mod cutter;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod server;
pub mod socket;
pub mod stack;

use std::time::Duration;

pub use cutter::Cutter;
pub use process::Run;
pub use proxy::Proxy;
pub use redis::Redis;
pub use server::{Person, Server, Start};
pub use socket::{Seen, Socket, handshake};

/// How long anything that must happen may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again and again until it is so.
pub async fn eventually<F, Fut>(what: &str, mut check: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let begun = std::time::Instant::now();
    while !check().await {
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
