//! Replicas that start on an empty database.

use std::time::{Duration, Instant};

use super::replica;
use crate::harness::{Figures, Redis, eventually, postgres, start::Starting};

/// Roles, so that sessions can be told apart.
const ROLES: [&str; 3] = ["first", "second", "third"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_while_it_migrates_holds_nobody_up() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let name = database.rsplit_once('/').unwrap().1.to_owned();
    let mut observer = postgres::connect(&database).await;
    for role in ROLES {
        let create = format!("CREATE ROLE {name}_{role} SUPERUSER LOGIN");
        postgres::execute(&database, &create).await;
    }
    // Whoever migrates comes as far as this table, and waits for what becomes of it here.
    let mut holder = postgres::connect(&database).await;
    sqlx::raw_sql("BEGIN; CREATE TABLE users ()").execute(&mut holder).await.unwrap();

    let mut starting: Vec<Option<Starting>> = ROLES
        .iter()
        .map(|role| {
            let url = database.replace("postgres@", &format!("{name}_{role}@"));
            Some(replica(&url, redis.url().as_str()).begin())
        })
        .collect();
    // The one that migrates, and how many wait for their turn. Each tries for a moment, then lets others.
    let migrating = "SELECT usename FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND wait_event_type = 'Lock'
             AND datname = current_database() AND query LIKE '%CREATE TABLE users%'";
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE application_name = 'imserver' AND state = 'idle' AND datname = current_database()";
    let observer = &mut observer;
    let place = async |observer: &mut sqlx::PgConnection| -> Option<usize> {
        let role: Option<String> =
            sqlx::query_scalar(migrating).fetch_optional(observer).await.unwrap();
        ROLES.iter().position(|known| role.as_deref() == Some(&format!("{name}_{known}")))
    };
    let begun = Instant::now();
    let first = loop {
        let others: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *observer).await.unwrap();
        if others == 2
            && let Some(place) = place(observer).await
        {
            break place;
        }
        assert!(begun.elapsed() < crate::harness::DEADLINE, "nobody migrates");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let killed = Instant::now();
    starting[first].take().unwrap().kill();
    // Another one takes over while the table still stands in the way.
    let second = loop {
        match place(observer).await {
            Some(place) if place != first => break place,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(killed.elapsed() < Duration::from_secs(10), "nobody takes over");
    };
    assert_ne!(first, second);
    let taken_over = killed.elapsed();
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    let again = database.replace("postgres@", &format!("{name}_{}@", ROLES[first]));
    starting[first] = Some(replica(&again, redis.url().as_str()).begin());
    let servers: Vec<_> = tokio::task::block_in_place(|| {
        starting.into_iter().map(|starting| starting.unwrap().ready()).collect()
    });
    for server in &servers {
        eventually("ready", async || server.get("/readyz").await.status() == 200).await;
    }
    let up = killed.elapsed();
    Figures::of("killed_while_it_migrates")
        .time("taken over after", taken_over)
        .time("all up after", up);
    assert!(up < Duration::from_secs(10), "{up:?}");

    let applied: (i64, bool) =
        sqlx::query_as("SELECT count(*), bool_and(success) FROM _sqlx_migrations")
            .fetch_one(observer)
            .await
            .unwrap();
    let all =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres")).unwrap();
    assert_eq!(applied, (i64::try_from(all.count()).unwrap(), true));
    let (zhang, li) = (servers[0].person("张三").await, servers[2].person("李四").await);
    zhang.at(&servers[1]).send(li.id, "key", "你好").await;
    let there = li.get_json("/v1/events?since=0").await;
    assert_eq!(there["events"][0]["chat"]["content"], "你好");
}
