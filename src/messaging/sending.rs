//! Sending: a chat is admitted, then committed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::Either;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::Messaging;
use crate::{
    admission::{ADMISSION_WAIT, Admitted},
    delivery::Delivery,
    domain::{Chat, Destination, Epoch, ExternalId, HeldId, Seq, UserId, UserName, UserRef},
    protocol::{
        client::{Addressee, Contents, Send},
        fault::{ApiError, ErrorCode},
    },
    store::{
        Appended, Committed, KeyState, NewChat, Origin, Refusal, Store, WantedKey,
        batcher::{AppendError, Ticket},
    },
};

/// How long a sender waits for an answer, from the beginning of admission. Clients are promised 5 s.
const ANSWER_WAIT: Duration = Duration::from_millis(4_800);

/// The least of it that is left for the commit, when admission took its whole time, or when a client that does
/// not read held up the socket in between.
const COMMIT_WAIT: Duration = ANSWER_WAIT.saturating_sub(ADMISSION_WAIT);

/// How long the database may take to say who has an external id: less than the door waits for all rules.
const LOOK_WAIT: Duration = Duration::from_secs(2);

/// The answer to a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The chat.
    pub chat: Arc<Chat>,
    /// Its number in the sender's timeline; `None` if the sender has none.
    pub seq: Option<Seq>,
    /// Whether it is a duplicate: the chat had been committed before.
    pub is_repeat: bool,
}

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The chat is committed.
    Sent(Sent),
    /// It is held back until somebody decides about it. Its event tells of a release, and an event of its own
    /// of a refusal.
    Held,
}

/// A send that waits for its commit, or for being held back.
pub struct Sending {
    waiting: Waiting,
    answer_by: Instant,
    delivery: Arc<Delivery>,
    store: Arc<dyn Store>,
    asked: NewChat,
}

enum Waiting {
    Commit(Ticket),
    Hold(JoinHandle<Result<Holding, ApiError>>),
}

/// What became of a chat that was to be held back.
enum Holding {
    Held,
    /// A commit tells how it ended before, or why it cannot be sent.
    Commit(Ticket),
}

impl Sending {
    /// Waits for the commit, until 4.8 s after the beginning of admission. Then the answer is an error, though
    /// the chat may be committed later.
    pub async fn done(self) -> Result<SendOutcome, ApiError> {
        let ticket = match self.waiting {
            Waiting::Commit(ticket) => ticket,
            Waiting::Hold(holding) => {
                let held = timeout_at(self.answer_by, holding).await;
                let held = held.map_err(|_| ApiError::from(AppendError::Unavailable))?;
                match held.map_err(|_| ApiError::internal())?? {
                    Holding::Held => return Ok(SendOutcome::Held),
                    Holding::Commit(ticket) => ticket,
                }
            }
        };
        let appended = timeout_at(self.answer_by, ticket.wait()).await;
        let appended = appended.unwrap_or(Err(AppendError::Unavailable))?;
        if matches!(appended, Appended::TargetNotFound | Appended::ConversationNotFound) {
            // It may be held since a time when it could be sent.
            let wanted = [WantedKey::of(&self.asked)];
            match self.store.key_states(&wanted).await?.pop() {
                Some(KeyState::Held) => return Ok(SendOutcome::Held),
                Some(KeyState::Refused(refusal)) => return Err(refusal.into()),
                _ => {}
            }
        }
        let (committed, is_repeat) = match appended {
            Appended::Committed(committed) => (committed, false),
            Appended::Repeat(committed) => (committed, true),
            Appended::KeyReused => return Err(ApiError::client_msg_id_reused()),
            Appended::TargetNotFound => return Err(ApiError::user_not_found()),
            Appended::ConversationNotFound => return Err(ApiError::conversation_not_found()),
            Appended::QuoteNotFound => {
                let detail = "there is no such chat in this conversation to reply to";
                return Err(ApiError::new(ErrorCode::ChatNotFound, detail));
            }
            Appended::MediaNotFound => {
                let detail = "you have no upload with this id, and no chat that shows it";
                return Err(ApiError::new(ErrorCode::NotFound, detail));
            }
            Appended::MentionInvalid => {
                let detail = "`mentions` must name members, and all only in a group";
                return Err(ApiError::invalid(detail));
            }
            Appended::MentionForbidden => {
                let detail = "only the owner and admins of a group mention all";
                return Err(ApiError::new(ErrorCode::Forbidden, detail));
            }
            Appended::SenderNotFound => {
                return Err(ApiError::new(ErrorCode::UserNotFound, "the sender does not exist"));
            }
        };
        let seq = committed.sender_seq();
        let Committed { mut chat, .. } = committed;
        if chat.body.is_some() {
            self.delivery.links().show(Arc::make_mut(&mut chat));
        }
        tracing::debug!(chat = chat.id.get(), is_repeat, "send ended");
        if let Some(seq) = seq.filter(|_| is_repeat) {
            // Whoever repeats may have lost the answer, and with it what told the sockets.
            self.delivery.reached(chat.user_id, seq);
        }
        Ok(SendOutcome::Sent(Sent { chat, seq, is_repeat }))
    }
}

/// What a client wants committed, as a chat of this sender to there.
pub fn new_chat(sender: UserId, destination: Destination, contents: Contents) -> NewChat {
    let Contents { client_msg_id, kind, content, body, reply_to, mentions, media } = contents;
    NewChat {
        origin: Origin::Client,
        sender,
        destination,
        client_msg_id,
        kind,
        content,
        body,
        reply_to,
        mentions,
        media,
        asked: None,
        hold: false,
        awaits_check: false,
        must_be_repeat: false,
    }
}

impl Messaging {
    /// Asks the rules of the door whether a chat may be sent, as [`Door::admit`] does.
    ///
    /// [`Door::admit`]: crate::admission::Door::admit
    pub fn admit(
        &self,
        chat: NewChat,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + std::marker::Send + use<> {
        self.door.admit(chat)
    }

    /// As [`Messaging::admit`], for what a client asks. Whoever is named by an external id is looked up first,
    /// within the time of admission.
    pub fn admit_send(
        &self,
        sender: UserId,
        send: Send,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + std::marker::Send + use<> {
        let Send { to, contents } = send;
        match to {
            Addressee::Known(destination) => {
                Either::Left(self.admit(new_chat(sender, destination, contents)))
            }
            Addressee::External(id) => {
                let (asked_at, door) = (Instant::now(), self.door.clone());
                let target = self.look_up(id, asked_at + LOOK_WAIT);
                Either::Right(async move {
                    let chat = new_chat(sender, Destination::Direct(target.await?), contents);
                    door.admit_since(chat, asked_at).await
                })
            }
        }
    }

    /// The user whom a company's own back end calls so.
    fn look_up(
        &self,
        id: ExternalId,
        until: Instant,
    ) -> impl Future<Output = Result<UserId, ApiError>> + std::marker::Send + use<> {
        let (store, name) = (Arc::clone(&self.store), UserRef::External(id));
        async move {
            // To its end, whether or not the sender waits.
            let look = tokio::spawn(async move { store.named_users(&[name]).await });
            let late = |_| ApiError::unavailable("the database did not answer in time");
            let found = timeout_at(until, look).await.map_err(late)?;
            let found = found.map_err(|_| ApiError::internal())??;
            found.into_values().next().ok_or_else(ApiError::user_not_found)
        }
    }

    /// Queues a chat that has passed admission, and returns at once. Chats that one task queues are committed
    /// in that order. One that is to be held back is held back instead.
    pub fn commit(&self, admitted: Admitted) -> Result<Sending, ApiError> {
        let (chat, asked_at) = admitted.into_parts();
        let (store, asked) = (Arc::clone(&self.store), chat.clone());
        let waiting = if chat.hold {
            Waiting::Hold(tokio::spawn(self.clone().hold(chat)))
        } else {
            Waiting::Commit(self.batcher.enqueue(chat)?)
        };
        let answer_by = (asked_at + ANSWER_WAIT).max(Instant::now() + COMMIT_WAIT);
        Ok(Sending { waiting, answer_by, delivery: Arc::clone(&self.delivery), store, asked })
    }

    async fn hold(self, chat: NewChat) -> Result<Holding, ApiError> {
        match self.store.hold(&chat).await? {
            KeyState::Held => Ok(Holding::Held),
            KeyState::Commit => {
                let must_be_repeat = chat.origin == Origin::Client;
                let chat = NewChat { must_be_repeat, ..chat };
                Ok(Holding::Commit(self.batcher.enqueue(chat)?))
            }
            KeyState::Refused(refusal) => Err(refusal.into()),
            KeyState::Reused => Err(ApiError::client_msg_id_reused()),
            // Another request with this key is being decided about.
            KeyState::Asked | KeyState::Taken(..) | KeyState::Allowed(_) => {
                Err(ApiError::unavailable("this clientMsgId is being decided about"))
            }
        }
    }

    /// Admits a chat, commits it and waits for that.
    pub async fn send(&self, chat: NewChat) -> Result<SendOutcome, ApiError> {
        let admitted = self.admit(chat).await?;
        self.commit(admitted)?.done().await
    }

    /// As [`Messaging::send`], for what a client asks.
    pub async fn send_as(&self, sender: UserId, send: Send) -> Result<SendOutcome, ApiError> {
        let admitted = self.admit_send(sender, send).await?;
        self.commit(admitted)?.done().await
    }

    /// Commits a chat that was held back, if its sender may write there now.
    pub async fn release(&self, chat: NewChat) -> Result<SendOutcome, ApiError> {
        let admitted = self.door.readmit(chat).await?;
        self.commit(admitted)?.done().await
    }

    /// Refuses a chat that is held back, and tells its sender; `is_releasing`: one whose release has failed.
    /// `false`: there is none.
    pub async fn refuse(
        &self,
        id: HeldId,
        is_releasing: bool,
        refusal: &Refusal,
    ) -> Result<bool, ApiError> {
        let told = self.store.refuse_held(id, is_releasing, refusal).await?;
        if let Some(told) = &told {
            self.tell(told);
        }
        Ok(told.is_some())
    }

    /// Whether the last write to the database failed.
    pub fn is_failing(&self) -> bool {
        self.batcher.is_failing()
    }

    /// Makes the users of an anonymous chat that do not exist, under these ids and names. Asks the database
    /// once for each user and epoch: anonymous clients name both users with every chat.
    pub async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), ApiError> {
        let epoch = self.delivery.epoch();
        if self.ensured.lock().has_all(epoch, users) {
            return Ok(());
        }
        let named: Vec<_> = users
            .iter()
            .map(|(id, name)| {
                let is_listed = self.rules.names.has_listed_word(name);
                (*id, if is_listed { UserName::placeholder(id.get()) } else { name.clone() })
            })
            .collect();
        self.store.ensure_users(&named).await?;
        self.ensured.lock().add(epoch, users);
        Ok(())
    }
}

/// The most users that are remembered; with one more, all are forgotten.
const MAX_ENSURED: usize = 65_536;

/// Users that this replica knows to exist, in one epoch of the database.
#[derive(Default)]
pub(super) struct Ensured {
    epoch: Option<Epoch>,
    users: HashSet<UserId>,
}

impl Ensured {
    fn has_all(&self, epoch: Epoch, users: &[(UserId, UserName)]) -> bool {
        self.epoch == Some(epoch) && users.iter().all(|(id, _)| self.users.contains(id))
    }

    fn add(&mut self, epoch: Epoch, users: &[(UserId, UserName)]) {
        if self.epoch != Some(epoch) || self.users.len() >= MAX_ENSURED {
            *self = Self { epoch: Some(epoch), users: HashSet::new() };
        }
        self.users.extend(users.iter().map(|(id, _)| *id));
    }
}
