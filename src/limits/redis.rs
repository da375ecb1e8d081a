//! The limiter that replicas share: each question is one call of a script, which takes the time from Redis.
//!
//! If Redis does not answer in time, this replica decides alone, by a [`LocalLimiter`] that has noted all
//! answers of Redis. Each question also tells Redis what this replica knows of the key. So nobody gets a
//! fresh burst when Redis goes away, nor when it comes back empty.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::Pipeline;
use tokio::sync::Semaphore;

use super::{Answer, Key, Limiter, Rate, local::LocalLimiter};
use crate::redis::{Instances, Link, Part, Trouble, place};

/// How long a question waits for its answer.
pub const ANSWER_WAIT: Duration = Duration::from_millis(300);

/// The most questions under way; more are decided locally.
const UNDER_WAY: usize = 8_192;

const SCRIPT: &str = include_str!("gcra.lua");

/// One replica's share in the limiter.
#[derive(Debug)]
pub struct RedisLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    links: Vec<Link>,
    local: LocalLimiter,
    under_way: Semaphore,
    namespace: String,
    answer_wait: Duration,
}

impl RedisLimiter {
    /// A limiter on these instances, over which the keys are spread. All keys begin with `namespace`.
    /// Connects when it is first asked.
    pub fn new(instances: &Instances, namespace: &str) -> Self {
        Self::with_wait(instances, namespace, ANSWER_WAIT)
    }

    /// The same with another time to wait for an answer.
    pub fn with_wait(instances: &Instances, namespace: &str, answer_wait: Duration) -> Self {
        Self(Arc::new(Inner {
            links: instances.iter().map(|instance| Link::new(instance, Part::Limits)).collect(),
            local: LocalLimiter::default(),
            under_way: Semaphore::new(UNDER_WAY),
            namespace: namespace.to_owned(),
            answer_wait,
        }))
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(&self, key: Key, rate: Rate) -> Answer {
        let inner = Arc::clone(&self.0);
        // In a task of its own: a client that goes away is counted all the same.
        let counting = tokio::spawn(async move { inner.decide(key, rate, true).await });
        counting.await.expect("the runtime runs, and counting does not panic")
    }

    async fn look(&self, key: Key, rate: Rate) -> Answer {
        self.0.decide(key, rate, false).await
    }
}

impl Inner {
    async fn decide(&self, key: Key, rate: Rate, takes: bool) -> Answer {
        match self.together(key, rate, takes).await {
            Ok(wait) => Answer { wait, is_shared: true },
            Err(why) => {
                metrics::counter!("imserver_limit_fallbacks_total", "why" => why).increment(1);
                Answer { wait: self.local.decide(key, rate, 1, takes), is_shared: false }
            }
        }
    }

    /// Decides with the other replicas, or says why not.
    async fn together(
        &self,
        key: Key,
        rate: Rate,
        takes: bool,
    ) -> Result<Option<Duration>, &'static str> {
        let link = &self.links[place(key.subject.number(), self.links.len())];
        if !link.is_worth_trying() {
            return Err("link");
        }
        let _place = self.under_way.try_acquire().map_err(|_| "queue")?;
        let wait = self.ask(link, key, rate, takes).await.map_err(|trouble| {
            link.down(trouble);
            "late"
        })?;
        link.up();
        Ok(wait)
    }

    /// Asks Redis. `Some`: the key must not be used for that long.
    async fn ask(
        &self,
        link: &Link,
        key: Key,
        rate: Rate,
        takes: bool,
    ) -> Result<Option<Duration>, Trouble> {
        let name = format!("{}:limit:{}:{}", self.namespace, key.limit.as_str(), key.subject);
        let writable = format!("{}:limit:writable", self.namespace);
        let known = micros(self.local.recovers_in(key));
        let mut question = Pipeline::new();
        question.cmd("EVAL").arg(SCRIPT).arg(2).arg(name).arg(writable);
        question.arg(rate.interval).arg(micros(rate.depth())).arg(known).arg(u8::from(takes));
        let (answer,): (i64,) =
            link.instance.ask(Part::Limits, &question, self.answer_wait).await?;

        let time = Duration::from_micros(answer.unsigned_abs());
        let wait = (answer < 0).then_some(time);
        // An exhausted key has to recover its burst but for the one use that it waits for.
        let recovers_in =
            wait.map_or(time, |wait| (wait + rate.depth()).saturating_sub(rate.interval()));
        if !recovers_in.is_zero() {
            self.local.note(key, recovers_in);
        }
        Ok(wait)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
