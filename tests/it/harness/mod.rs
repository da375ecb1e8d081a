//! The tests' vocabulary: a real server process with a database of its own, people who are logged in
//! to it, and their sockets. Everything waits for an event, with a deadline.

pub mod back_end;
pub mod cpu;
pub mod cutter;
pub mod figures;
pub mod here;
pub mod person;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod redis;
pub mod server;
pub mod socket;
pub mod stack;
pub mod start;
pub mod tour;
pub mod wrong_clock;

use std::time::Duration;

use imserver::{
    checks::names::Names,
    domain::{
        GroupRules, WhoMayWrite,
        group::{GroupHistory, WhoMayAdd},
    },
    messaging::Rules,
    store::Acquaintance,
};

pub use back_end::BackEnd;
pub use cutter::Cutter;
pub use figures::Figures;
pub use here::Here;
pub use person::Person;
pub use process::Run;
pub use proxy::Proxy;
pub use receiver::Receiver;
pub use redis::Redis;
pub use server::Server;
pub use socket::{Seen, Socket, handshake};
pub use start::Start;
pub use wrong_clock::WrongClock;

/// How long anything that must happen may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How a replica of a service with a database of its own starts, on this Redis.
pub async fn replica_on(redis: &Redis) -> Box<dyn Fn() -> Start + Send + Sync> {
    let database = postgres::database().await;
    // Databases have names of their own; channels are told apart by theirs.
    let namespace = database.rsplit('/').next().unwrap().to_owned();
    let bus = redis.url();
    Box::new(move || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", &bus)
            .set("bus.namespace", &namespace)
            .set("auth.demo_login", true)
            .set("limits.enabled", false)
            .set("log.filter", "info")
    })
}

/// The rules of conversations, as they are by default but for this.
pub fn rules(visible: Acquaintance) -> Rules {
    let groups = GroupRules {
        max_members: 500,
        who_may_add: WhoMayAdd::Members,
        history: GroupHistory::Joined,
    };
    let (who_may_write, recall_window) = (WhoMayWrite::Anyone, Duration::from_mins(2));
    Rules {
        visible,
        replay_limit: 1_000,
        who_may_write,
        recall_window,
        groups,
        names: Names::default(),
    }
}

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
