//! Sending: the one write that everything else is about.

use std::sync::Arc;

use super::{Error, Messaging, user_not_found};
use crate::{
    delivery::Delivery,
    domain::{Chat, Seq, UserId, UserName},
    protocol::fault::{Code, Fault},
    store::{Appended, Committed, NewChat, batcher::Ticket},
};

/// A committed chat, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The chat.
    pub chat: Chat,
    /// Its number in the sender's timeline.
    pub seq: Seq,
    /// Whether it had been committed before.
    pub is_repeat: bool,
}

/// A send that is under way.
pub struct Sending {
    ticket: Ticket,
    delivery: Arc<Delivery>,
}

impl Sending {
    /// Waits for the commit: at most 5 s.
    pub async fn done(self) -> Result<Sent, Error> {
        let (Committed { chat, sender_seq, .. }, is_repeat) = match self.ticket.wait().await? {
            Appended::Committed(committed) => (committed, false),
            Appended::Repeat(committed) => (committed, true),
            Appended::KeyReused => {
                let detail = "this clientMsgId was used for another target or content";
                return Err(Fault::new(Code::ClientMsgIdReused, detail).into());
            }
            Appended::TargetNotFound => return Err(user_not_found().into()),
            Appended::SenderNotFound => {
                return Err(Fault::new(Code::UserNotFound, "the sender does not exist").into());
            }
        };
        if is_repeat {
            // Whoever repeats may have lost the answer, and with it what told the sockets.
            self.delivery.reached(chat.user_id, sender_seq);
        }
        Ok(Sent { chat, seq: sender_seq, is_repeat })
    }
}

impl Messaging {
    /// Counts a send of this user to another, and says whether it may be begun. Asked at once: the future
    /// only waits for the answer, so that many may be asked for together.
    pub fn may_send(
        &self,
        sender: UserId,
        target: UserId,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let counted = self.limits.send(sender);
        let strangers = self.strangers.clone();
        async move {
            counted.await?;
            Ok(strangers.may_write(sender, target).await?)
        }
    }

    /// Hands a chat over to be committed, that may be sent. Chats that one task hands over are committed in that order.
    pub fn begin_send(&self, chat: NewChat) -> Result<Sending, Error> {
        let ticket = self.batcher.enqueue(chat)?;
        Ok(Sending { ticket, delivery: Arc::clone(&self.delivery) })
    }

    /// Commits a chat, if its sender may send now.
    pub async fn send(&self, chat: NewChat) -> Result<Sent, Error> {
        self.may_send(chat.sender, chat.target).await?;
        self.begin_send(chat)?.done().await
    }

    /// Makes the users of an anonymous chat, under the ids and, if they are new, the names given.
    pub async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), Error> {
        Ok(self.store.ensure_users(users).await?)
    }
}
