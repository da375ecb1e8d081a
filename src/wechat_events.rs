//! What becomes of what WeChat pushes: it is kept at once, and handled afterwards by one replica at a time. What
//! nobody here wants goes on to a company's own back end.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use url::Url;

use crate::{
    clock::Clock,
    jobs::Job,
    store::{EventKept, Store, StoreError, WechatEvent},
    wechat::push::{Event, PushError, PushKeys, PushQuery, Pushed, pushed, read_event},
};

/// How many events may wait. With more of them WeChat is not told that an event was taken, and sends it again.
const MAX_WAITING: u32 = 10_000;

/// How many events are handled at once.
const PAGE: u32 = 50;

/// How often it is looked whether events wait.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long the key of an event is known: WeChat repeats one for some 20 s.
const KEYS_KEPT: Duration = Duration::from_hours(1);

/// How long a handler, or a company's back end, may take.
const HANDLING: Duration = Duration::from_secs(5);

/// The pauses between attempts. One attempt more than that, and an event is given up.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
];

/// Whether an event was a handler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was, and all is done.
    Taken,
    /// It was not.
    NotMine,
}

/// Why an event could not be handled now. It is logged.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Takes events of some kinds.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Takes an event that came so long ago, if it is of its kinds. It comes again after an error, and when the
    /// replica dies before it has noted that it is handled.
    async fn handle(&self, event: &Event, age: Duration) -> Result<Handled, HandlerError>;
}

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It is not WeChat's, or cannot be read.
    #[error(transparent)]
    Push(#[from] PushError),
    /// There is no way in for pushes.
    #[error("there is no message push; set wechat.push_token")]
    Off,
    /// Too many events wait.
    #[error("too many events of WeChat wait")]
    Full,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way in for pushes.
pub struct WechatPush {
    store: Arc<dyn Store>,
    /// `None`: WeChat pushes nothing here.
    keys: Option<PushKeys>,
    /// Whether anybody is told of what nobody here wants.
    forwards: bool,
}

impl WechatPush {
    /// Keeps pushes in this store.
    pub fn new(store: Arc<dyn Store>, keys: Option<PushKeys>, forwards: bool) -> Self {
        Self { store, keys, forwards }
    }

    fn keys(&self) -> Result<&PushKeys, TakeError> {
        self.keys.as_ref().ok_or(TakeError::Off)
    }

    /// Answers WeChat's question whether this is the address of somebody who knows the token.
    pub fn echo<'a>(&self, query: &PushQuery, echo: &'a str) -> Result<&'a str, TakeError> {
        Ok(self.keys()?.echo(query, echo)?)
    }

    /// Keeps what WeChat pushes. A repeat changes nothing.
    pub async fn take(&self, query: &PushQuery, body: &[u8]) -> Result<(), TakeError> {
        self.keep(&self.keys()?.open(query, body)?).await
    }

    /// Keeps a push that a company's own back end has got from WeChat, for this mini program.
    pub async fn take_forwarded(&self, appid: Option<&str>, body: &[u8]) -> Result<(), TakeError> {
        self.keep(&pushed(appid.map(Into::into), body.to_vec())?).await
    }

    async fn keep(&self, pushed: &Pushed) -> Result<(), TakeError> {
        let (key, event) = read_event(pushed)?;
        if event == Event::Other && !self.forwards {
            return Ok(());
        }
        let appid = pushed.appid.as_deref();
        match self.store.keep_wechat_event(&key, appid, &pushed.json, MAX_WAITING).await? {
            EventKept::New | EventKept::Repeat => Ok(()),
            EventKept::Full => Err(TakeError::Full),
        }
    }
}

/// Where events go on to.
pub struct Forward {
    /// Asks it.
    pub http: reqwest::Client,
    /// The company's address.
    pub url: Url,
    /// Signs as WeChat signs a push that is not encrypted.
    pub keys: PushKeys,
    /// The time of signatures.
    pub clock: Clock,
}

/// Handles events.
pub struct WechatWork {
    /// Where they wait.
    pub store: Arc<dyn Store>,
    /// Who takes them, asked one after another.
    pub handlers: Vec<Arc<dyn EventHandler>>,
    /// Who is told of those that none of them takes.
    pub forward: Option<Forward>,
    /// Tells how old they are.
    pub clock: Clock,
}

/// What became of an event, as the metric says it.
#[derive(Clone, Copy)]
enum Outcome {
    Handled,
    Forwarded,
    /// Nobody wants it.
    Ignored,
    /// It failed too often.
    GivenUp,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Forwarded => "forwarded",
            Self::Ignored => "ignored",
            Self::GivenUp => "given_up",
        }
    }
}

impl WechatWork {
    /// Handles what waits, for ever, on one replica at a time.
    pub async fn run(self, mut job: Job) {
        let (mut is_failing, mut is_ours) = (false, false);
        loop {
            let round = self.round(&mut job, &mut is_ours).await;
            if let Err(error) = &round
                && !is_failing
            {
                tracing::warn!(%error, "events of WeChat are not handled, later again");
            }
            is_failing = round.is_err();
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn round(&self, job: &mut Job, is_ours: &mut bool) -> Result<(), StoreError> {
        *is_ours = if *is_ours { job.keep("").await? } else { job.take().await?.is_some() };
        if !*is_ours {
            return Ok(());
        }
        loop {
            let events = self.store.due_wechat_events(PAGE).await?;
            let mut unwanted = Vec::new();
            for event in &events {
                // A handler's time, and that of all who are told at once.
                if !job.keep_for("", 3 * HANDLING).await? {
                    return Ok(());
                }
                if let Some(event) = self.handle(event).await? {
                    unwanted.push(event);
                }
            }
            let forwarded = join_all(unwanted.into_iter().map(|event| self.forward(event))).await;
            forwarded.into_iter().collect::<Result<(), _>>()?;
            if events.len() < PAGE as usize {
                break;
            }
        }
        while self.store.forget_wechat_events(KEYS_KEPT, 1_000).await? == 1_000 {}
        Ok(())
    }

    /// Has the handlers take an event. Returns one that none of them takes.
    async fn handle<'a>(
        &self,
        kept: &'a WechatEvent,
    ) -> Result<Option<&'a WechatEvent>, StoreError> {
        let appid = kept.appid.as_deref().map(Into::into);
        let Ok((_, event)) = read_event(&Pushed { appid, json: kept.payload.clone() }) else {
            // It could be read when it came.
            return self.end(kept, Outcome::GivenUp).await.map(|()| None);
        };
        let age = kept.received_at.until(self.clock.now());
        for handler in &self.handlers {
            let handled = tokio::time::timeout(HANDLING, handler.handle(&event, age)).await;
            match handled.unwrap_or_else(|_| Err("it took too long".into())) {
                Ok(Handled::Taken) => {
                    return self.end(kept, Outcome::Handled).await.map(|()| None);
                }
                Ok(Handled::NotMine) => {}
                Err(error) => return self.failed(kept, &*error).await.map(|()| None),
            }
        }
        Ok(Some(kept))
    }

    async fn forward(&self, kept: &WechatEvent) -> Result<(), StoreError> {
        let Some(forward) = &self.forward else { return self.end(kept, Outcome::Ignored).await };
        match forward.send(&kept.payload).await {
            Ok(()) => self.end(kept, Outcome::Forwarded).await,
            Err(error) => self.failed(kept, &error).await,
        }
    }

    async fn failed(
        &self,
        kept: &WechatEvent,
        error: &(dyn std::error::Error + Send + Sync),
    ) -> Result<(), StoreError> {
        let (event, attempts) = (kept.id, kept.attempts + 1);
        let pause = usize::try_from(kept.attempts).ok().and_then(|made| PAUSES.get(made));
        let Some(pause) = pause else {
            tracing::error!(event, attempts, %error, "an event of WeChat is given up");
            return self.end(kept, Outcome::GivenUp).await;
        };
        tracing::debug!(event, attempts, %error, "an event of WeChat is tried again");
        self.store.postpone_wechat_event(event, *pause).await
    }

    async fn end(&self, kept: &WechatEvent, outcome: Outcome) -> Result<(), StoreError> {
        let outcome = outcome.as_str();
        metrics::counter!("imserver_wechat_events_total", "outcome" => outcome).increment(1);
        self.store.wechat_event_handled(kept.id).await
    }
}

/// Why somebody did not take an event. Holds nothing of the URL, in which there is a signature.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error("the company's address could not be reached in time")]
    Exchange,
    #[error("the company's address answered {0}")]
    Status(u16),
}

impl Forward {
    async fn send(&self, json: &str) -> Result<(), ForwardError> {
        let timestamp = (self.clock.now().as_millis() / 1_000).to_string();
        let nonce = rand::random_range(100_000_000..1_000_000_000_u32).to_string();
        let signature = self.keys.sign(&timestamp, &nonce);
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("signature", &signature)
            .append_pair("timestamp", &timestamp)
            .append_pair("nonce", &nonce);
        let request = self.http.post(url).header("content-type", "application/json");
        let request = request.body(json.to_owned()).timeout(HANDLING);
        let answer = request.send().await.map_err(|_| ForwardError::Exchange)?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(ForwardError::Status(status.as_u16())) }
    }
}
