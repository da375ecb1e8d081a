//! The task that hears the transitions of one Redis instance, and the way from there to the observer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{
    self,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    link::{Link, Trouble},
    partition::Partition,
};
use crate::{
    clock::Timestamp,
    domain::UserId,
    instances::{Backoff, Renewal},
    presence::{Transition, outbox::Outbox},
};

/// What was heard and waits for the observer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    outbox: Mutex<Outbox>,
    has_news: Notify,
}

impl Heard {
    fn put(&self, transition: Transition) {
        self.outbox.lock().put(transition);
        self.has_news.notify_one();
    }

    /// Fills the observer's receiver for as long as there is one.
    pub(super) async fn forward(self: Arc<Self>, observer: mpsc::Sender<Transition>) {
        loop {
            if self.outbox.lock().is_empty() {
                self.has_news.notified().await;
                continue;
            }
            let Ok(room) = observer.reserve().await else {
                self.outbox.lock().close();
                return;
            };
            if let Some(transition) = self.outbox.lock().take() {
                room.send(transition);
            }
        }
    }
}

/// One instance's listener.
pub(super) struct Listener {
    link: Link,
    namespace: String,
    /// What this replica calls itself in what it announces.
    replica: String,
    partitions: Vec<Partition>,
    heard: Arc<Heard>,
    /// How often it is asked whether the link still stands.
    probe: Duration,
    /// The newest version that was heard, by channel. In a partition versions rise in the order in
    /// which they are published.
    newest: HashMap<String, i64>,
    /// Whether it hears now.
    is_listening: watch::Sender<bool>,
}

impl Listener {
    pub(super) fn new(
        link: Link,
        namespace: &str,
        replica: &str,
        partitions: Vec<Partition>,
        heard: Arc<Heard>,
        probe: Duration,
    ) -> Self {
        let (namespace, replica) = (namespace.to_owned(), replica.to_owned());
        let (newest, is_listening) = (HashMap::new(), watch::Sender::new(false));
        Self { link, namespace, replica, partitions, heard, probe, newest, is_listening }
    }

    /// Whether it hears now, to wait for.
    pub(super) fn is_listening(&self) -> watch::Receiver<bool> {
        self.is_listening.subscribe()
    }

    /// Listens for good.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut missed = false;
        loop {
            let begun = Instant::now();
            let ended = self.listen(&mut missed, &mut backoff).await;
            self.is_listening.send_replace(false);
            if let Err(error) = ended
                && !backoff.is_failing()
            {
                tracing::warn!(instance = self.link.instance.number, %error, "presence not heard");
            }
            sleep_until(backoff.after(begun)).await;
        }
    }

    /// Listens until the link breaks. `missed` says whether there was one before.
    async fn listen(&mut self, missed: &mut bool, backoff: &mut Backoff) -> Result<(), Trouble> {
        let renewal = self.link.instance.renewal();
        let (mut sink, mut transitions) = self.link.listener().await?.split();
        if !*missed {
            // What was before this replica heard anything is not news to it.
            self.catch_up(|_| ()).await?;
        }
        let channels: Vec<_> = self.partitions.iter().map(|p| p.channel(&self.namespace)).collect();
        self.link.within(sink.subscribe(&channels)).await??;
        *missed = true;
        let heard = Arc::clone(&self.heard);
        self.catch_up(move |transition| heard.put(transition)).await?;
        backoff.reset();
        self.is_listening.send_replace(true);
        self.hear(&mut sink, &mut transitions, renewal).await
    }

    /// Hears until the link breaks, or says nothing when it is asked.
    async fn hear(
        &mut self,
        sink: &mut PubSubSink,
        transitions: &mut PubSubStream,
        mut renewal: Renewal,
    ) -> Result<(), Trouble> {
        let mut probe = tokio::time::interval(self.probe);
        loop {
            tokio::select! {
                message = transitions.next() => {
                    let Some(message) = message else { return Ok(()) };
                    let text: String = message.get_payload().unwrap_or_default();
                    if let Some(transition) = self.note(message.get_channel_name(), &text) {
                        self.heard.put(transition);
                    }
                }
                trouble = renewal.due() => return Err(trouble.into()),
                _ = probe.tick() => {
                    self.link.within(sink.ping::<redis::Value>()).await??;
                }
            }
        }
    }

    /// Takes what was announced while nobody listened here, as far as it is still known.
    async fn catch_up(&mut self, put: impl Fn(Transition)) -> Result<(), Trouble> {
        let mut reader = self.link.reader().await?;
        let mut pipeline = redis::pipe();
        for partition in &self.partitions {
            pipeline.cmd("LRANGE").arg(partition.log(&self.namespace)).arg(0).arg(-1);
        }
        let logs: Vec<Vec<String>> = self.link.within(pipeline.query_async(&mut reader)).await??;
        let partitions = self.partitions.clone();
        for (partition, log) in partitions.iter().zip(logs) {
            let channel = partition.channel(&self.namespace);
            // The last one comes first.
            for text in log.iter().rev() {
                if let Some(transition) = self.note(&channel, text) {
                    put(transition);
                }
            }
        }
        Ok(())
    }

    /// Reads a transition; `None` if it is known already, or is none.
    fn note(&mut self, channel: &str, text: &str) -> Option<Transition> {
        let transition = parse(text, &self.replica)?;
        match self.newest.get_mut(channel) {
            Some(newest) if *newest >= transition.version => return None,
            Some(newest) => *newest = transition.version,
            None => {
                self.newest.insert(channel.to_owned(), transition.version);
            }
        }
        Some(transition)
    }
}

/// Reads what the scripts write.
fn parse(text: &str, replica: &str) -> Option<Transition> {
    let mut words = text.split(' ');
    let mut number = || words.next()?.parse::<i64>().ok();
    Some(Transition {
        user: UserId::new(number()?).ok()?,
        online: number()? == 1,
        at: Timestamp::from_millis(number()?),
        version: number()?,
        is_ours: words.next()? == replica,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_read_as_the_scripts_write_them() {
        let transition = Transition {
            user: UserId::new(7).unwrap(),
            online: true,
            at: Timestamp::from_millis(1_763_804_459_120),
            version: 1_763_804_459_120_001,
            is_ours: true,
        };
        let text = "7 1 1763804459120 1763804459120001 a";
        assert_eq!(parse(text, "a"), Some(transition));
        assert_eq!(parse(text, "b"), Some(Transition { is_ours: false, ..transition }));
        for strange in ["", "7", "7 1 x 2 a", "0 1 2 3 a", "7 1 2 a", "7 1 2 3"] {
            assert_eq!(parse(strange, "a"), None, "{strange}");
        }
    }
}
