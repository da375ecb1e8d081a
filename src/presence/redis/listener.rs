//! The task that hears the transitions of one Redis instance.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{sync::oneshot, time::timeout};

use super::script::Script;
use crate::{
    clock::Timestamp,
    domain::UserId,
    presence::{Transition, outbox::Outbox},
    redis::{Link, Renewal, Trouble},
};

/// One instance's listener.
pub(super) struct Listener {
    pub(super) link: Link,
    /// How long Redis may take to accept a connection, or to answer.
    pub(super) answer: Duration,
    pub(super) script: Arc<Script>,
    /// The name of this replica in what it announces.
    pub(super) replica: String,
    pub(super) outbox: Arc<Outbox>,
    /// How often to ask whether the link still stands.
    pub(super) probe: Duration,
    /// The newest version that was heard. Versions rise in the order in which they are published.
    pub(super) newest: Option<i64>,
    /// Told when it hears for the first time.
    pub(super) ready: Option<oneshot::Sender<()>>,
}

impl Listener {
    /// Listens for good.
    pub(super) async fn run(mut self) {
        loop {
            let renewal = self.link.attempt().await;
            let Err(trouble) = self.listen(renewal).await;
            self.link.down(trouble);
        }
    }

    /// Listens until the link breaks, or a ping gets no answer.
    async fn listen(&mut self, mut renewal: Renewal) -> Result<Infallible, Trouble> {
        let (mut sink, mut messages) = self.link.instance.listener(self.answer).await?.split();
        if self.newest.is_none() {
            // What was before this replica heard anything is not news to it.
            let known = self.log().await?;
            self.newest = Some(known.last().map_or(0, |transition| transition.version));
        }
        timeout(self.answer, sink.subscribe(self.script.key("transitions"))).await??;
        // What was announced while nobody listened here.
        for transition in self.log().await? {
            self.note(transition);
        }
        self.link.up();
        if let Some(ready) = self.ready.take() {
            // Nobody waits any more: no harm.
            let _ = ready.send(());
        }
        let mut probe = tokio::time::interval(self.probe);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return Err("connection lost".into()) };
                    let text: String = message.get_payload().unwrap_or_default();
                    if let Some(transition) = parse(&text, &self.replica) {
                        self.note(transition);
                    }
                }
                trouble = renewal.due() => return Err(trouble),
                _ = probe.tick() => {
                    timeout(self.answer, sink.ping::<redis::Value>()).await??;
                }
            }
        }
    }

    /// The last transitions, in order.
    async fn log(&self) -> Result<Vec<Transition>, Trouble> {
        let mut reader = self.link.instance.reader(self.answer).await?;
        let mut read = redis::cmd("LRANGE");
        read.arg(self.script.key("log")).arg(0).arg(-1);
        let log: Vec<String> = timeout(self.answer, read.query_async(&mut reader)).await??;
        // The last one comes first.
        Ok(log.iter().rev().filter_map(|text| parse(text, &self.replica)).collect())
    }

    /// Passes on a transition that was not heard yet.
    fn note(&mut self, transition: Transition) {
        if self.newest.is_none_or(|newest| newest < transition.version) {
            self.newest = Some(transition.version);
            self.outbox.put(transition);
        }
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
        is_ours: words.next()?.split('.').next() == Some(replica),
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
        let text = "7 1 1763804459120 1763804459120001 a.12";
        assert_eq!(parse(text, "a"), Some(transition));
        assert_eq!(parse(text, "b"), Some(Transition { is_ours: false, ..transition }));
        for strange in ["", "7", "7 1 x 2 a", "0 1 2 3 a", "7 1 2 a", "7 1 2 3"] {
            assert_eq!(parse(strange, "a"), None, "{strange}");
        }
    }
}
