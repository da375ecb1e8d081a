//! Redis dies, stays away, freezes, forgets everything, or is cut off without a word: chats are
//! acknowledged as before, and what the bus loses comes by the comparison with the database.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Cluster, Load, RECONCILE_SECS, Size, replica};
use crate::harness::{
    Figures, Proxy, Redis, Server, eventually, postgres, redis::url_of, server::json_of,
};

/// How late a chat may be shown that the bus lost: the interval of the comparison and 2 s.
const LATEST: Duration = Duration::from_secs(RECONCILE_SECS + 2);
/// How much later on a machine that does several other things at once.
const NOISE: Duration = Duration::from_secs(10);
/// How much longer half of the acknowledgements may take while Redis is in trouble than before or
/// after. Nothing should change but what else the machine does; sends that waited for Redis would
/// take more than 2 s.
const LONGER: Duration = Duration::from_millis(1_500);
/// How long after a link is healed chats are live again.
const LIVE: Duration = Duration::from_secs(7);

struct Stage {
    redis: Redis,
    cluster: Cluster,
    load: Load,
    before: Range<Instant>,
}

impl Stage {
    /// A load that has run for a while, for comparison.
    async fn start(name: &str) -> Self {
        let (database, redis) = (postgres::database().await, Redis::start());
        let cluster = Cluster::start(&database, redis.url().as_str()).await;
        Self::of(redis, cluster, name).await
    }

    async fn of(redis: Redis, cluster: Cluster, name: &str) -> Self {
        let mut load = Load::start(&cluster, Size::default(), name).await;
        let begun = Instant::now();
        load.run_for(Duration::from_secs(3)).await;
        Self { redis, cluster, load, before: begun..Instant::now() }
    }

    /// Lets the trouble last, while all replicas stay ready.
    async fn run_for(&mut self, duration: Duration) {
        self.load.run_for(duration).await;
        for server in &self.cluster.replicas {
            eventually("ready", async || server.get("/readyz").await.status() == 200).await;
        }
    }

    /// Lets it run on after the trouble until the bus has had its time, settles, and notes and checks
    /// the figures of what was written within the trouble and after it.
    async fn judge(mut self, trouble: Range<Instant>) {
        self.load.run_for(LIVE + Duration::from_secs(4)).await;
        self.load.settle().await;
        let times = self.load.times();
        let before = times.acknowledged(self.before);
        let meanwhile = times.acknowledged(trouble.clone());
        let after = times.acknowledged(trouble.end..Instant::now());
        let heard = times.heard(trouble.clone());
        let shown = times.shown(trouble.start..Instant::now());
        let live = times.live_after(trouble.end);
        let figures = &self.load.figures;
        figures.time("in trouble for", trouble.end - trouble.start);
        before.note(figures, "acknowledged before");
        meanwhile.note(figures, "acknowledged then");
        after.note(figures, "acknowledged after");
        shown.note(figures, "shown after that");
        heard.note(figures, "shown to listeners");
        let usual = before.median().max(after.median());
        assert!(meanwhile.median() < usual + LONGER, "{meanwhile}");
        assert!(shown.max() < LATEST + NOISE, "{shown}");
        let live = live.expect("live again");
        figures.time("live again after the end of the trouble", live);
        assert!(live < LIVE + NOISE, "{live:?}");
    }
}

/// What a chat that the bus lost waits for is the next one to the same user, or the comparison with
/// the database. Here is neither: the return of Redis alone makes replicas look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_is_back_what_was_lost_is_looked_for() {
    let (database, mut redis) = (postgres::database().await, Redis::start());
    let starts = [redis.url(), redis.url()]
        .map(|bus| replica(&database, bus.as_str()).set("delivery.reconcile_secs", 3_600));
    let cluster = Cluster::of(starts).await;
    let [a, b] = &cluster.replicas[..] else { panic!("two replicas") };
    let (zhang, li) = (a.person("张三").await, b.person("李四").await);
    let mut at_li = li.online().await;
    redis.kill();
    let degraded = async |server| reasons(server).await == ["bus"];
    eventually("both notice", async || degraded(a).await && degraded(b).await).await;
    zhang.send(li.id, "lost", "你好").await;
    redis.start_again();
    let back = Instant::now();
    assert_eq!(at_li.expect("event").await["chat"]["content"], "你好");
    Figures::of("redis_is_back").time("what the bus lost is shown after", back.elapsed());
}

/// What a replica says is wrong.
pub(super) async fn reasons(server: &Server) -> Vec<Value> {
    let health: Value = json_of(server.get("/readyz").await).await;
    health["reasons"].as_array().cloned().unwrap_or_default()
}

async fn killed_for(outage: Duration, name: &str) {
    let mut stage = Stage::start(name).await;
    let begun = Instant::now();
    stage.redis.kill();
    stage.run_for(outage).await;
    stage.redis.start_again();
    stage.judge(begun..Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_is_back_after_3_s() {
    killed_for(Duration::from_secs(3), "redis_away_for_3_s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_is_back_after_30_s() {
    killed_for(Duration::from_secs(30), "redis_away_for_30_s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_stays_away() {
    let mut stage = Stage::start("redis_stays_away").await;
    let begun = Instant::now();
    stage.redis.kill();
    stage.run_for(Duration::from_secs(10)).await;
    let trouble = begun..Instant::now();
    // It is not back when everybody has caught up, either.
    stage.load.settle().await;
    let times = stage.load.times();
    let meanwhile = times.acknowledged(trouble.clone());
    let before = times.acknowledged(stage.before);
    let shown = times.shown(trouble.clone());
    let heard = times.heard(trouble);
    let figures = &stage.load.figures;
    before.note(figures, "acknowledged before");
    meanwhile.note(figures, "acknowledged without");
    shown.note(figures, "shown after that");
    heard.note(figures, "shown to listeners");
    assert!(meanwhile.median() < before.median() + LONGER, "{meanwhile}");
    assert!(shown.max() < LATEST + NOISE, "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_freezes_for_30_s() {
    let mut stage = Stage::start("redis_frozen").await;
    let begun = Instant::now();
    stage.redis.freeze();
    stage.run_for(Duration::from_secs(30)).await;
    stage.redis.thaw();
    stage.judge(begun..Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_forgets_everything() {
    let mut stage = Stage::start("redis_flushed").await;
    stage.load.until_all_are_online().await;
    let begun = Instant::now();
    assert_eq!(stage.redis.ask("FLUSHALL").as_deref(), Some("+OK\r\n+OK\r\n"));
    stage.load.until_all_are_online().await;
    let rebuilt = begun.elapsed();
    stage.load.figures.time("all are online again after", rebuilt);
    // Each replica looks after its own every 5 s; asking for all takes its time, too.
    assert!(rebuilt < Duration::from_secs(10) + 2 * NOISE, "{rebuilt:?}");
    stage.judge(begun..begun + rebuilt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_loses_its_link_without_a_word() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let proxy = Proxy::start(redis.addr()).await;
    let starts = [url_of(proxy.addr()), redis.url(), redis.url()];
    let cluster = Cluster::of(starts.map(|bus| replica(&database, bus.as_str()))).await;
    let mut stage = Stage::of(redis, cluster, "redis_link_silent").await;
    let begun = Instant::now();
    proxy.silence();
    let cut_off = &stage.cluster.replicas[0];
    eventually("the replica notices", async || !reasons(cut_off).await.is_empty()).await;
    let noticed = begun.elapsed();
    stage.load.figures.time("noticed after", noticed);
    assert!(noticed < Duration::from_secs(15) + NOISE, "{noticed:?}");
    stage.run_for(Duration::from_secs(5)).await;
    proxy.heal();
    stage.judge(begun..Instant::now()).await;
}
