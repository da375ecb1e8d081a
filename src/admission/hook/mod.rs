//! The hook before a send: a company's own back end decides whether a chat may be sent, and as what.

mod breaker;
mod client;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::Rule;
use crate::{
    clock::Timestamp,
    coalescer::{CallLimits, Coalescer},
    domain::{ChatKind, Content, OnFailure},
    media::MediaLinks,
    protocol::fault::{ApiError, ErrorCode},
    store::{AllowedKey, KeyState, NewChat, Preview, Refusal, Store, StoreError, WantedKey},
};
use client::Answer;
pub use client::HookClient;

/// How long a key is at the replica that asks about it. Longer than any send may take, so that nobody else asks
/// as long as this one may still be committed.
const LEASE: Duration = Duration::from_secs(10);

/// How long a chat waits whose key another one with the same key asks about: a little less than the door waits.
const PATIENCE: Duration = Duration::from_millis(2_300);

/// The pause between two looks at such a key.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How long a chat that may be sent has time to be committed before its verdict is noted: nearly all are by then,
/// and their keys need no row any more. Less than a repeat waits.
const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// The most Unicode scalar values of what a sender is told.
const MAX_DETAIL_CHARS: usize = 200;

/// What is told where the back end says nothing.
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

/// Asks a company's own back end about each chat, once for each key.
///
/// The key is claimed in the database first, so that of several replicas one asks. The verdict is remembered there,
/// unless the chat itself is by then. If the back end fails, `on_failure` decides.
pub struct BeforeSend(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    hook: HookClient,
    links: MediaLinks,
    claims: Coalescer<WantedKey, KeyState, StoreError>,
    verdicts: Coalescer<AllowedKey, (), StoreError>,
    on_failure: OnFailure,
    max_content_chars: usize,
}

/// What is to be done with a chat.
#[derive(Clone)]
enum Verdict {
    Pass,
    Hold,
    Replace(Content),
}

impl BeforeSend {
    /// The rule. `max_content_chars`: of what the back end puts in place of a content.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(
        store: Arc<dyn Store>,
        hook: HookClient,
        links: MediaLinks,
        on_failure: OnFailure,
        max_content_chars: usize,
    ) -> Self {
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
        Self(Arc::new(Inner {
            store,
            hook,
            links,
            claims,
            verdicts,
            on_failure,
            max_content_chars,
        }))
    }
}

#[async_trait]
impl Rule for BeforeSend {
    fn name(&self) -> &'static str {
        "before_send"
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
            Verdict::Hold => chat.hold = true,
            Verdict::Replace(content) => {
                chat.asked = Some(chat.digest());
                chat.content = content;
                (chat.kind, chat.body, chat.media) = (ChatKind::Text, None, None);
            }
        }
        Ok(())
    }
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
                KeyState::Commit | KeyState::Allowed(None) => return Ok(Verdict::Pass),
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
        let answer = self.hook.ask(self.describe(key.chat, preview)).await;
        match answer {
            Ok(Answer::Allow) => Ok(Verdict::Pass),
            Ok(Answer::Hold) => Ok(Verdict::Hold),
            Ok(Answer::Deny(detail)) => {
                let detail = detail.filter(|detail| !detail.trim().is_empty());
                let words = detail.as_deref().unwrap_or(REFUSED).chars();
                let detail: String =
                    words.filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect();
                let code = ErrorCode::ContentRejected.as_str().to_owned();
                let refusal = Refusal { code, detail };
                let NewChat { sender, client_msg_id, .. } = key.chat;
                self.store.refuse_key(*sender, client_msg_id, key.until, &refusal).await?;
                Err(refusal.into())
            }
            Ok(Answer::Replace(content)) => {
                match Content::parse(&content, self.max_content_chars) {
                    Ok(content) => Ok(Verdict::Replace(content)),
                    Err(error) => {
                        tracing::warn!(%error, "the hook before a send gave no valid content");
                        self.fail(key).await
                    }
                }
            }
            Err(_) => self.fail(key).await,
        }
    }

    /// Notes what was decided about a chat that was not sent all the same: whoever sent it has gone, or its commit
    /// failed.
    async fn settle(self: Arc<Self>, mut chat: NewChat, verdict: Verdict, until: Timestamp) {
        sleep(SETTLE_AFTER).await;
        let content = match verdict {
            Verdict::Pass => None,
            Verdict::Replace(content) => Some(content),
            Verdict::Hold => {
                chat.hold = true;
                return unnoted(self.store.hold(&chat).await);
            }
        };
        let NewChat { sender, client_msg_id: key, .. } = chat;
        unnoted(self.verdicts.call(AllowedKey { sender, key, until, content }).await);
    }

    /// What the settings say of a chat about which there is no answer.
    async fn fail(&self, key: &Claimed<'_>) -> Result<Verdict, ApiError> {
        match self.on_failure {
            OnFailure::Allow => Ok(Verdict::Pass),
            OnFailure::Hold => Ok(Verdict::Hold),
            OnFailure::Deny => {
                let NewChat { sender, client_msg_id, .. } = key.chat;
                self.store.free_key(*sender, client_msg_id, key.until).await?;
                Err(ApiError::unavailable("whether the chat may be sent could not be found out"))
            }
        }
    }

    /// The chat as it would be.
    fn describe(&self, chat: &NewChat, preview: &Preview) -> Value {
        let mut data = Map::new();
        let mut add = |key: &str, value: Value| data.insert(key.to_owned(), value);
        let (name, external) = &preview.sender;
        add("userId", json!(chat.sender));
        add("externalId", json!(external));
        add("userName", json!(name));
        if let Some((id, name, external)) = &preview.target {
            add("targetUserId", json!(id));
            add("targetExternalId", json!(external));
            add("targetUserName", json!(name));
        }
        if let Some(conversation) = preview.conversation {
            add("conversationId", json!(conversation));
        }
        add("clientMsgId", json!(chat.client_msg_id));
        add("kind", json!(chat.kind.as_str()));
        add("content", json!(chat.content.as_str()));
        if let Some(body) = &chat.body {
            let body = self.links.fill(&chat.kind, body);
            // What is no JSON is no payload.
            add("body", serde_json::from_str(body.as_str()).unwrap_or(Value::Null));
        }
        if let Some(quoted) = chat.reply_to {
            add("replyTo", json!({"id": quoted}));
        }
        if let Some(mentions) = &chat.mentions {
            add("mentions", json!(mentions));
        }
        data.into()
    }
}

/// The back end is asked again about a key whose verdict is nowhere.
fn unnoted<T>(noted: Result<T, StoreError>) {
    if let Err(error) = noted {
        tracing::debug!(%error, "a verdict of the hook before a send is not noted");
    }
}

/// A chat whose key is at this replica.
struct Claimed<'a> {
    chat: &'a NewChat,
    until: Timestamp,
}
