//! The clock of a replica, and that of Postgres, jump by an hour.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use imserver::clock::Clock;
use phone::ledger::Verdict;
use reqwest::Method;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::task::block_in_place;

use super::{Cluster, Load, Size, replica};
use crate::harness::{Person, Redis, Server, WrongClock, eventually, postgres};

/// Somebody and whoever blocks them, seen from each replica.
struct Quarrel {
    writer: Person,
    blocker: Person,
    sent: AtomicU32,
}

impl Quarrel {
    /// Each replica learns of a block, and of its end. A change holds everywhere within some two seconds, by
    /// what the database says has changed, and when.
    async fn is_heard_of(&self, cluster: &Cluster) {
        for (method, refused) in [(Method::PUT, true), (Method::DELETE, false)] {
            let path = format!("/v1/blocks/{}", self.writer.id);
            let block = self.blocker.request(method, &path).send().await.unwrap();
            assert!(block.status().is_success(), "{block:?}");
            for server in &cluster.replicas {
                let writer = self.writer.at(server);
                let what = format!("at {}: refused is {refused}", server.addr);
                eventually(&what, async || {
                    let key = format!("quarrel {}", self.sent.fetch_add(1, Relaxed));
                    let (id, content) = (self.blocker.id, "x");
                    let chat = json!({"clientMsgId": key, "targetUserId": id, "content": content});
                    let status = writer.post("/v1/chats", &chat).await.status();
                    if refused { status == 403 } else { status == 201 }
                })
                .await;
            }
        }
    }
}

/// By how many hours this time is off, in seconds since 1970.
fn hours_off(time: i64) -> i64 {
    let now = Clock::default().now().as_millis() / 1_000;
    (time - now + 1_800).div_euclid(3_600)
}

/// By how many hours the clock of Postgres is off.
async fn off_by_of_postgres(database: &str) -> i64 {
    let mut connection = postgres::connect(database).await;
    let time = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::bigint");
    hours_off(time.fetch_one(&mut connection).await.unwrap())
}

/// By how many hours the clock of a replica is off, as it dates the last line of its log.
fn off_by(server: &Server) -> i64 {
    let log = server.log();
    let mut dates = log.lines().rev().filter_map(|line| line.split_whitespace().next());
    let last = dates.find_map(|date| OffsetDateTime::parse(date, &Rfc3339).ok());
    hours_off(last.expect("a chat is a line").unix_timestamp())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_by_an_hour_cost_nothing() {
    let (of_postgres, of_replica) = (WrongClock::new(), WrongClock::new());
    let (postgres, redis) =
        block_in_place(|| (postgres::Cluster::with(&[], &of_postgres.env()), Redis::start()));
    let database = postgres.database().await;
    let starts = [0, 1, 2].map(|number| {
        // The line of a chat shows the time.
        let start = replica(&database, redis.url().as_str())
            .set("log.filter", "info,imserver::delivery=debug")
            .set("log.format", "text");
        let env = if number == 0 { of_replica.env() } else { Vec::new() };
        env.iter().fold(start, |start, (name, value)| start.env(name, value))
    });
    let mut cluster = Cluster::of(starts).await;
    let mut load = Load::start(&cluster, Size::default(), "clocks").await;
    let (writer, blocker) =
        (cluster.replicas[1].person("张三").await, cluster.replicas[0].person("李四").await);
    let quarrel = Quarrel { writer, blocker, sent: AtomicU32::new(0) };
    quarrel.is_heard_of(&cluster).await;
    for (clock, whose) in [(&of_replica, "a replica"), (&of_postgres, "Postgres")] {
        for (offset, hours) in [("+1h", 1), ("+0", 0), ("-1h", -1), ("+0", 0)] {
            clock.set(offset).await;
            eventually("the clock has jumped", async || {
                let off = if whose == "Postgres" {
                    off_by_of_postgres(&database).await
                } else {
                    off_by(&cluster.replicas[0])
                };
                off == hours
            })
            .await;
            let flows = load.flows(Instant::now()).await;
            load.figures.time(format!("all flows with {whose} at {offset}"), flows);
            assert!(flows < Duration::from_secs(10), "{whose} at {offset}: {flows:?}");
            quarrel.is_heard_of(&cluster).await;
            for server in &mut cluster.replicas {
                assert!(server.is_running());
                eventually("ready", async || server.get("/readyz").await.status() == 200).await;
            }
        }
    }
    let verdict: Verdict = load.settle().await;
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.chats > 300, "{verdict}");
}
