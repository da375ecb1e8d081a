//! Sending: the one write that everything else is about. A chat is admitted, then committed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{Error, Messaging, conversation_not_found, user_not_found};
use crate::{
    admission::{ADMISSION_WAIT, Admitted},
    delivery::Delivery,
    domain::{Chat, Epoch, Seq, UserId, UserName},
    protocol::fault::{Code, Fault},
    store::{
        Appended, Committed, NewChat,
        batcher::{AppendError, Ticket},
    },
};

/// How long a sender waits for an answer, from the moment its chat was to be admitted. A client is
/// promised 5 s.
const ANSWER_WAIT: Duration = Duration::from_millis(4_800);

/// What a commit has of that at least, when admission took as long as it may, or when the socket was held
/// up in between by a client that does not read.
const COMMIT_WAIT: Duration = ANSWER_WAIT.saturating_sub(ADMISSION_WAIT);

/// A committed chat, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The chat.
    pub chat: Arc<Chat>,
    /// Its number in the sender's timeline; `None` if the sender has none.
    pub seq: Option<Seq>,
    /// Whether it had been committed before.
    pub is_repeat: bool,
}

/// A send that is being committed.
pub struct Sending {
    ticket: Ticket,
    answer_by: Instant,
    delivery: Arc<Delivery>,
}

impl Sending {
    /// Waits for the commit. A chat whose admission and commit take 4.8 s together is answered then,
    /// and it is not known whether it will be committed.
    pub async fn done(self) -> Result<Sent, Error> {
        let appended = timeout_at(self.answer_by, self.ticket.wait()).await;
        let appended = appended.unwrap_or(Err(AppendError::Unavailable))?;
        let (committed, is_repeat) = match appended {
            Appended::Committed(committed) => (committed, false),
            Appended::Repeat(committed) => (committed, true),
            Appended::KeyReused => {
                let detail = "this clientMsgId was used for another target or content";
                return Err(Fault::new(Code::ClientMsgIdReused, detail).into());
            }
            Appended::TargetNotFound => return Err(user_not_found().into()),
            Appended::ConversationNotFound => return Err(conversation_not_found().into()),
            Appended::QuoteNotFound => {
                let detail = "there is no such chat in this conversation to reply to";
                return Err(Fault::new(Code::ChatNotFound, detail).into());
            }
            Appended::SenderNotFound => {
                return Err(Fault::new(Code::UserNotFound, "the sender does not exist").into());
            }
        };
        let seq = committed.sender_seq();
        let Committed { chat, .. } = committed;
        if let Some(seq) = seq.filter(|_| is_repeat) {
            // Whoever repeats may have lost the answer, and with it what told the sockets.
            self.delivery.reached(chat.user_id, seq);
        }
        Ok(Sent { chat, seq, is_repeat })
    }
}

impl Messaging {
    /// Asks the rules of the door whether a chat may be sent: [`Door::admit`] says when each is asked,
    /// and how long it takes at most.
    ///
    /// [`Door::admit`]: crate::admission::Door::admit
    pub fn admit(
        &self,
        chat: NewChat,
    ) -> impl Future<Output = Result<Admitted, Error>> + Send + use<> {
        let admitted = self.door.admit(chat);
        async move { Ok(admitted.await?) }
    }

    /// Queues a chat that was admitted, and returns at once. Chats that one task queues are committed
    /// in that order.
    pub fn commit(&self, admitted: Admitted) -> Result<Sending, Error> {
        let (chat, asked_at) = admitted.into_parts();
        let ticket = self.batcher.enqueue(chat)?;
        let answer_by = (asked_at + ANSWER_WAIT).max(Instant::now() + COMMIT_WAIT);
        Ok(Sending { ticket, answer_by, delivery: Arc::clone(&self.delivery) })
    }

    /// Admits a chat, commits it and waits for that.
    pub async fn send(&self, chat: NewChat) -> Result<Sent, Error> {
        let admitted = self.admit(chat).await?;
        self.commit(admitted)?.done().await
    }

    /// Whether the database took nothing the last time that something was to be written.
    pub fn is_failing(&self) -> bool {
        self.batcher.is_failing()
    }

    /// Makes the users of an anonymous chat, under the ids and, if they are new, the names given. Asks the
    /// database once for each user and history: anonymous clients name theirs with every chat.
    pub async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), Error> {
        let epoch = self.delivery.epoch();
        if self.ensured.lock().has_all(epoch, users) {
            return Ok(());
        }
        self.store.ensure_users(users).await?;
        self.ensured.lock().add(epoch, users);
        Ok(())
    }
}

/// How many users are remembered as made; one more, and all are forgotten.
const MAX_ENSURED: usize = 65_536;

/// The users who exist in a history of the database, as far as this replica has made sure.
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
