//! Looks at the replicas and at Redis every ten seconds: memory, file descriptors, series of metrics.

use std::time::Duration;

use phone::{clock::Clock, reading};
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
    time::{MissedTickBehavior, interval},
};
use url::Url;

use crate::{
    growth::Look,
    measure::{fds_of, rss_of},
    stack::Stack,
};

const EVERY: Duration = Duration::from_secs(10);

/// A task that looks at the processes every ten seconds, until [`Looking::end`].
pub(super) struct Looking {
    task: JoinHandle<Vec<(String, Vec<Look>)>>,
    stop: oneshot::Sender<()>,
}

impl Looking {
    pub(super) fn start(stack: Stack) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { task: tokio::spawn(look_on(stack, stopped)), stop }
    }

    /// By process, in the order of time.
    pub(super) async fn end(self) -> Result<Vec<(String, Vec<Look>)>, JoinError> {
        // It ends by itself only by a panic, which the task then tells.
        let _ = self.stop.send(());
        self.task.await
    }
}

async fn look_on(stack: Stack, mut stopped: oneshot::Receiver<()>) -> Vec<(String, Vec<Look>)> {
    let (clock, http) = (Clock::start(), reading::http());
    let begun = clock.now();
    let names =
        stack.names().iter().filter(|name| *name == "redis" || name.starts_with("imserver-"));
    let mut all: Vec<_> = names.map(|name| (name.clone(), Vec::new())).collect();
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => return all,
            _ = times.tick() => {}
        }
        let at = clock.now().since(begun).as_secs_f64();
        for (name, looks) in &mut all {
            // None of one that is away.
            let Ok(pid) = stack.pid(name).await else { continue };
            let (Some(rss_bytes), Some(fds)) = (rss_of(pid), fds_of(pid)) else { continue };
            let series = match stack.metrics(name) {
                Some(url) => series(&http, url).await,
                None => None,
            };
            looks.push(Look { at, pid, rss_bytes, fds, series });
        }
    }
}

/// How many series a replica shows; none if it does not answer.
async fn series(http: &reqwest::Client, url: Url) -> Option<u64> {
    let text = http.get(url).send().await.ok()?.text().await.ok()?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    u64::try_from(lines.count()).ok()
}
