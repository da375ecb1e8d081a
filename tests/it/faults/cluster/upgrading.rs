//! A rolling upgrade under load: replicas of the version before give way to those of this one.
//!
//! `IMSERVER_BEFORE=PROGRAM ./dev test -- --ignored a_rolling_upgrade`, where the program is
//! built from the version before.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::{Cluster, Load, Size, replica};
use crate::harness::{Redis, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a program that is built from the version before, named by IMSERVER_BEFORE"]
async fn a_rolling_upgrade_from_the_version_before_loses_nothing() {
    let before = std::env::var("IMSERVER_BEFORE").expect("IMSERVER_BEFORE names a program");
    let (database, redis) = (postgres::database().await, Redis::start());
    let starts = [0, 1, 2].map(|_| replica(&database, redis.url().as_str()).program(&before));
    let mut cluster = Cluster::of(starts).await;
    let zhang = cluster.replicas[0].person("张三").await;
    let mut load = Load::start(&cluster, Size::default(), "rolling_upgrade").await;
    for number in 0..3 {
        load.run_for(Duration::from_secs(2)).await;
        let begun = Instant::now();
        assert!(cluster.replicas[number].terminate().await.success());
        cluster.replicas[number].upgrade();
        cluster.start_again(number);
        let all = load.flows(begun).await;
        load.figures.time(format!("replica {number} upgraded: all send and are shown after"), all);
        // Nobody is logged out, and who is made by either version is one person for both.
        let name = format!("新{number}");
        let mut found = Vec::new();
        for server in &cluster.replicas {
            let me = server.request(Method::GET, "/v1/me").bearer_auth(&zhang.token);
            assert_eq!(me.send().await.unwrap().status(), 200);
            found.push(server.person(&name).await.id);
            assert_eq!(server.person("张三").await.id, zhang.id);
        }
        assert!(found.iter().all(|id| *id == found[0]), "{found:?}");
    }
    load.run_for(Duration::from_secs(2)).await;
    let resets: u32 = load.statuses().iter().map(|status| status.resets).sum();
    assert_eq!(resets, 0, "nobody loads anew");
    let verdict = load.settle().await;
    assert!(verdict.chats > 300, "{verdict}");
}
