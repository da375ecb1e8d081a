//! A standby takes over from a Postgres that dies.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::postgres_faults::Field;
use crate::harness::{
    Proxy, eventually,
    postgres::{self, Stop},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_that_takes_over_has_every_acknowledged_chat() {
    let mut field = Field::new("postgres_standby").await;
    let standby = block_in_place(|| field.postgres.standby());
    // From now on a commit waits for the standby.
    let url = field.postgres.url("postgres");
    postgres::execute(&url, "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    postgres::execute(&url, "SELECT pg_reload_conf()").await;
    eventually("the standby follows", async || {
        let mut connection = postgres::connect(&url).await;
        let states: Vec<String> = sqlx::query_scalar("SELECT sync_state FROM pg_stat_replication")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        states == ["sync"]
    })
    .await;
    // Acknowledged by both.
    field.load.flows(Instant::now()).await;
    let begun = Instant::now();
    block_in_place(|| field.postgres.stop(Stop::Kill));
    field.load.run_for(Duration::from_secs(1)).await;
    standby.promote().await;
    for proxy in &field.proxies {
        proxy.lead_to(standby.addr());
    }
    let name = field.database.rsplit_once('/').unwrap().1;
    field.database = standby.url(name);
    let back = Instant::now();
    field.recovers(back).await;
    field.proxies.iter().for_each(Proxy::heal);
    field.load.times().shown(begun..Instant::now()).note(&field.load.figures, "shown");
    let verdict = field.ends().await;
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.chats > 150, "{verdict}");
}
