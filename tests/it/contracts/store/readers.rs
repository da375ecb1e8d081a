//! Readers of the outbox that are killed again and again, and those who write meanwhile.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use imserver::{
    clock::Clock,
    domain::{ChatId, ConversationId},
    outbox::{Handler, HandlerError, Pace, Reader},
    store::{OutboxEntry, Store, batcher::Batcher},
};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;

use super::{chat, committed};
use crate::harness::Figures;

/// Of the chats that somebody wrote, and where.
pub(super) type Sent = HashSet<(ConversationId, ChatId)>;

/// A reader's pace at which it matters that it dies: another takes over within a moment.
pub(super) const PACE: Pace = Pace {
    lease: Duration::from_millis(200),
    interval: Duration::from_millis(5),
    handling: Duration::from_secs(5),
    page: 200,
};

/// What readers were handed, over all their lives. Of nine pages it refuses one, and hangs over another.
#[derive(Default)]
pub(super) struct Seen(Mutex<Handed>);

#[derive(Default)]
struct Handed {
    calls: u32,
    entries: Vec<(ConversationId, ChatId)>,
    different: Sent,
}

#[async_trait]
impl Handler for Seen {
    async fn handle(&self, entries: &[OutboxEntry]) -> Result<(), HandlerError> {
        // What a webhook takes.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!entries.is_empty());
        let call = {
            let mut handed = self.0.lock();
            handed.calls += 1;
            let call = handed.calls;
            if call % 9 != 1 {
                let chats =
                    entries.iter().filter_map(|entry| Some((entry.conversation?, entry.chat?)));
                handed.entries.extend(chats.clone());
                handed.different.extend(chats);
            }
            call
        };
        match call % 9 {
            1 => Err("busy".into()),
            // It has taken them, and its replica dies before that is noted.
            2 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

impl Seen {
    /// How many different chats there are.
    pub(super) fn len(&self) -> usize {
        self.0.lock().different.len()
    }

    /// These are the chats, and those of each conversation came in their order.
    pub(super) fn check(&self, sent: &Sent) {
        let handed = self.0.lock();
        let missed: Vec<_> = sent.difference(&handed.different).collect();
        assert!(missed.is_empty(), "{} were missed: {missed:?}", missed.len());
        assert_eq!(handed.different.len(), sent.len(), "more than were sent");
        let (mut newest, mut known) = (HashMap::new(), HashSet::new());
        for (conversation, chat) in &handed.entries {
            if known.insert(*chat) {
                let before: Option<ChatId> = newest.insert(*conversation, *chat);
                assert!(before < Some(*chat), "{chat} after {before:?} in {conversation}");
            }
        }
    }

    /// Adds what was handed over to a test's figures, the chats that came again included.
    pub(super) fn note(&self, figures: &Figures) {
        let handed = self.0.lock();
        figures.count("chats handed over", handed.entries.len()).count("pages", handed.calls);
    }
}

/// One reader after the other, each of them killed after a moment, wherever it is then.
pub(super) async fn readers_that_die(stores: Vec<Arc<dyn Store>>, seen: Arc<Seen>) {
    let mut random = SmallRng::seed_from_u64(3);
    for store in stores.iter().cycle() {
        let reader = Reader::new(store.clone(), seen.clone(), Clock::system(), "mortal", PACE);
        let life = Duration::from_millis(random.random_range(50..600));
        let _ = tokio::time::timeout(life, reader.run()).await;
    }
}

/// Sixteen writers among twenty users, with so many chats each, of which so many are under way at a time.
pub(super) async fn write(replicas: &[Batcher], each: i64, at_once: i64) -> Sent {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let batcher = replicas[usize::try_from(writer).unwrap() % replicas.len()].clone();
        writers.spawn(async move {
            let mut sent = Vec::new();
            for first in (0..each).step_by(usize::try_from(at_once).unwrap()) {
                let chats = (first..each.min(first + at_once)).map(|i| {
                    let (sender, target) =
                        ((writer * 7 + i * 3) % 20 + 1, (writer + i * i) % 20 + 1);
                    batcher.append(chat(sender, target, &format!("{writer}-{i}"), "x"))
                });
                for answer in join_all(chats).await {
                    let chat = committed(answer.unwrap()).chat;
                    sent.push((chat.conversation_id, chat.id));
                }
            }
            sent
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}
