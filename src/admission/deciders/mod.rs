//! Whoever decides about chats before they are sent: each is asked once for each key, one after another.

mod client;
mod hook;
mod text;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use super::Rule;
use crate::{
    clock::Timestamp,
    coalescer::{CallLimits, Coalescer},
    domain::{ChatKind, Content},
    protocol::fault::{ApiError, ErrorCode},
    store::{
        AllowedKey, KeyState, NewChat, Origin, Preview, Refusal, Store, StoreError, WantedKey,
    },
};
pub use client::HookClient;
pub use hook::BeforeSend;
pub use text::TextDecider;

/// How long a key is at the replica that asks about it. Longer than any send may take, so that nobody else asks
/// as long as this one may still be committed.
const LEASE: Duration = Duration::from_secs(10);

/// How long a chat waits whose key another one with the same key asks about: a little less than the door waits.
const PATIENCE: Duration = Duration::from_millis(2_300);

/// How long all deciders together have for a chat whose key is taken: less than the door waits, so that there is time
/// for the other rules and to note a refusal.
const DECIDE_WAIT: Duration = Duration::from_millis(2_100);

/// The pause between two looks at such a key.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How long a chat that may be sent has time to be committed before its verdict is noted: nearly all are by then,
/// and their keys need no row any more. Less than a repeat waits.
const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// The most Unicode scalar values of what a sender is told.
const MAX_DETAIL_CHARS: usize = 200;

/// What is told where a decider says nothing.
const REFUSED: &str = "this chat was refused";

/// A batch costs little more than one key does, so that under load some gather.
const CLAIMS: CallLimits = CallLimits {
    at_once: 4,
    apart: Duration::from_millis(20),
    batch: 256,
    queue: 8_192,
    start_within: Duration::from_secs(2),
    answer_within: Duration::from_secs(2),
};

/// Nobody waits for a verdict to be noted.
const VERDICTS: CallLimits =
    CallLimits { apart: Duration::from_millis(100), batch: 1_024, ..CLAIMS };

/// What a decider says of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It may be sent.
    Pass,
    /// Somebody is to decide about it. Nobody else is asked.
    Hold,
    /// It may be sent with this content, and whoever is asked next is asked about that.
    Replace(Content),
    /// It may not be sent; what its sender is told. Nobody else is asked.
    Deny(Option<String>),
    /// Not known, and so it is not sent now. Its key is free: a repeat is asked about anew.
    Unknown,
}

/// Decides about chats.
///
/// - **Once.** It is asked once for each key, over all replicas, unless the answer was [`Opinion::Unknown`], there or of
///   a decider after it, or the replica died meanwhile.
/// - **Time.** An answer is there by `answer_by`. What it says without one is its own affair.
/// - **Concurrency.** It is asked about many chats at once, and bounds what it does at once itself.
#[async_trait]
pub trait Decider: Send + Sync {
    /// What is to be done with a chat that can be sent.
    async fn decide(&self, chat: &NewChat, preview: &Preview, answer_by: Instant) -> Opinion;
}

/// Asks deciders about each chat, in their order.
///
/// The key is claimed in the database first, once for all of them, so that of several replicas one asks. The verdict is
/// remembered there, unless the chat itself is by then.
pub struct Deciders(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    deciders: Vec<Box<dyn Decider>>,
    claims: Coalescer<WantedKey, KeyState, StoreError>,
    verdicts: Coalescer<AllowedKey, (), StoreError>,
}

/// What is to be done with a chat.
#[derive(Clone)]
enum Verdict {
    Pass,
    /// It was committed before, or cannot be sent: nobody is asked, and a commit tells which.
    Repeat,
    Hold,
    Replace(Content),
}

impl Deciders {
    /// The rule that asks these.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(store: Arc<dyn Store>, deciders: Vec<Box<dyn Decider>>) -> Self {
        let claiming = Arc::clone(&store);
        let claims = Coalescer::new(CLAIMS, move |wanted: Vec<WantedKey>| {
            let store = Arc::clone(&claiming);
            async move { store.claim_keys(&wanted, LEASE).await }.boxed()
        });
        let noting = Arc::clone(&store);
        let verdicts = Coalescer::new(VERDICTS, move |allowed: Vec<AllowedKey>| {
            let store = Arc::clone(&noting);
            async move {
                store.allow_keys(&allowed).await?;
                Ok(vec![(); allowed.len()])
            }
            .boxed()
        });
        Self(Arc::new(Inner { store, deciders, claims, verdicts }))
    }
}

#[async_trait]
impl Rule for Deciders {
    fn name(&self) -> &'static str {
        "deciders"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        // Somebody will look at it anyway.
        if chat.hold {
            return Ok(());
        }
        let (inner, asked) = (Arc::clone(&self.0), chat.clone());
        let decided = tokio::spawn(async move { inner.decide(&asked).await });
        match decided.await.map_err(|_| ApiError::internal())?? {
            Verdict::Pass => {}
            // The service itself may write where it is no member.
            Verdict::Repeat => chat.must_be_repeat = chat.origin == Origin::Client,
            Verdict::Hold => chat.hold = true,
            Verdict::Replace(content) => replace(chat, content),
        }
        Ok(())
    }
}

/// Has a chat say something else. It is a text then: a picture would still be shown.
fn replace(chat: &mut NewChat, content: Content) {
    chat.asked = Some(chat.digest());
    chat.content = content;
    (chat.kind, chat.body, chat.media) = (ChatKind::Text, None, None);
}

impl Inner {
    async fn decide(self: &Arc<Self>, chat: &NewChat) -> Result<Verdict, ApiError> {
        // A commit refuses it.
        if chat.lacks_upload() {
            return Ok(Verdict::Pass);
        }
        let begun = Instant::now();
        loop {
            match self.claims.call(WantedKey::of(chat)).await? {
                KeyState::Taken(until, preview) => {
                    let key = Claimed { chat, until };
                    let verdict = self.ask(&key, &preview).await?;
                    tokio::spawn(Arc::clone(self).settle(chat.clone(), verdict.clone(), until));
                    return Ok(verdict);
                }
                KeyState::Commit => return Ok(Verdict::Repeat),
                KeyState::Allowed(None) => return Ok(Verdict::Pass),
                KeyState::Allowed(Some(content)) => return Ok(Verdict::Replace(content)),
                KeyState::Held => return Ok(Verdict::Hold),
                KeyState::Refused(refusal) => return Err(refusal.into()),
                KeyState::Reused => return Err(ApiError::client_msg_id_reused()),
                KeyState::Asked if begun.elapsed() < PATIENCE => sleep(LOOK_PAUSE).await,
                KeyState::Asked => {
                    return Err(ApiError::unavailable("this clientMsgId is being decided about"));
                }
            }
        }
    }

    async fn ask(&self, key: &Claimed<'_>, preview: &Preview) -> Result<Verdict, ApiError> {
        let answer_by = Instant::now() + DECIDE_WAIT;
        let (mut chat, mut verdict) = (key.chat.clone(), Verdict::Pass);
        for decider in &self.deciders {
            match decider.decide(&chat, preview, answer_by).await {
                Opinion::Pass => {}
                Opinion::Hold => return Ok(Verdict::Hold),
                Opinion::Replace(content) => {
                    replace(&mut chat, content.clone());
                    verdict = Verdict::Replace(content);
                }
                Opinion::Deny(detail) => return Err(self.refuse(key, detail).await?.into()),
                Opinion::Unknown => {
                    let NewChat { sender, client_msg_id, .. } = key.chat;
                    self.store.free_key(*sender, client_msg_id, key.until).await?;
                    let detail = "whether the chat may be sent could not be found out";
                    return Err(ApiError::unavailable(detail));
                }
            }
        }
        Ok(verdict)
    }

    async fn refuse(
        &self,
        key: &Claimed<'_>,
        detail: Option<String>,
    ) -> Result<Refusal, StoreError> {
        let detail = detail.filter(|detail| !detail.trim().is_empty());
        let words = detail.as_deref().unwrap_or(REFUSED).chars();
        let detail = words.filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect();
        let refusal = Refusal { code: ErrorCode::ContentRejected.as_str().to_owned(), detail };
        let NewChat { sender, client_msg_id, .. } = key.chat;
        self.store.refuse_key(*sender, client_msg_id, key.until, &refusal).await?;
        Ok(refusal)
    }

    /// Notes what was decided about a chat that was not sent all the same: whoever sent it has gone, or its commit
    /// failed.
    async fn settle(self: Arc<Self>, mut chat: NewChat, verdict: Verdict, until: Timestamp) {
        sleep(SETTLE_AFTER).await;
        let content = match verdict {
            Verdict::Pass => None,
            Verdict::Repeat => return,
            Verdict::Replace(content) => Some(content),
            Verdict::Hold => {
                chat.hold = true;
                return unnoted(self.store.hold(&chat).await);
            }
        };
        let NewChat { sender, client_msg_id: key, .. } = chat;
        unnoted(self.verdicts.call(AllowedKey { sender, key, until, content }).await);
    }
}

/// The deciders are asked again about a key whose verdict is nowhere.
fn unnoted<T>(noted: Result<T, StoreError>) {
    if let Err(error) = noted {
        tracing::debug!(%error, "what was decided about a chat is not noted");
    }
}

/// A chat whose key is at this replica.
struct Claimed<'a> {
    chat: &'a NewChat,
    until: Timestamp,
}
