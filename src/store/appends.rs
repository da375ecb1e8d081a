//! The contract about chats on their way into the database, and what becomes of them there.

use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::StoreError;
use crate::domain::{
    Chat, ChatId, ChatKind, ClientMsgId, Content, Destination, MediaId, MediaKind, Mentions,
    Payload, Seq, UserId,
};

/// By which way a chat comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its sender's own client.
    Client,
    /// The server API, in the sender's name.
    Server,
}

/// A chat that somebody wants committed.
#[derive(Clone, Debug)]
pub struct NewChat {
    /// By which way it comes. What is committed does not say.
    pub origin: Origin,
    /// Who sends it; exists.
    pub sender: UserId,
    /// Where it is to go.
    pub destination: Destination,
    /// The sender's key for it.
    pub client_msg_id: ClientMsgId,
    /// What it is.
    pub kind: ChatKind,
    /// What it says in plain text.
    pub content: Content,
    /// What it holds beside its content: at most 16 KiB.
    pub body: Option<Payload>,
    /// The chat that it quotes, of the same conversation.
    pub reply_to: Option<ChatId>,
    /// Whom it calls by name.
    pub mentions: Option<Mentions>,
    /// The upload that it shows, if its sender may show that.
    pub media: Option<MediaId>,
    /// What its sender asked for, if it was filled in or changed since.
    pub asked: Option<RequestDigest>,
    /// Whether it is held back until somebody decides, and not committed now.
    pub hold: bool,
    /// Whether it is held back for nothing but a check of what it shows, which releases it when it ends well.
    pub awaits_check: bool,
    /// Whether it is answered only if it is a repeat: it could not be sent when somebody was to decide about it, so nobody
    /// did, and what has changed since does not let it pass undecided.
    pub must_be_repeat: bool,
}

impl NewChat {
    /// A chat of plain text.
    pub fn text(
        sender: UserId,
        destination: Destination,
        client_msg_id: ClientMsgId,
        content: Content,
    ) -> Self {
        let kind = ChatKind::Text;
        Self {
            origin: Origin::Client,
            sender,
            destination,
            client_msg_id,
            kind,
            content,
            body: None,
            reply_to: None,
            mentions: None,
            media: None,
            asked: None,
            hold: false,
            awaits_check: false,
            must_be_repeat: false,
        }
    }

    /// Whether it is to show an upload that its sender may not show.
    pub fn lacks_upload(&self) -> bool {
        self.media.is_none() && MediaKind::parse(self.kind.as_str()).is_some()
    }

    /// Stands for all that its sender asked for but the destination: two chats with the same one are the
    /// same request.
    pub fn digest(&self) -> RequestDigest {
        let Self { kind, content, body, reply_to, mentions, asked, .. } = self;
        asked.unwrap_or_else(|| {
            RequestDigest::of(kind, content.as_str(), body.as_ref(), *reply_to, mentions.as_ref())
        })
    }

    /// Whether it is words and nothing else, as nearly all chats are.
    pub fn is_plain(&self) -> bool {
        let Self { kind, body, reply_to, mentions, media, asked, .. } = self;
        *kind == ChatKind::Text
            && body.is_none()
            && reply_to.is_none()
            && mentions.is_none()
            && media.is_none()
            && asked.is_none()
    }
}

/// SHA-256 of what a sender asked for. It outlives the words: after a recall it still tells a repeat from
/// another request with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestDigest(pub [u8; 32]);

impl RequestDigest {
    /// Its bytes as hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.0.map(|byte| format!("{byte:02x}")).concat()
    }

    /// The digest of a request of these parts.
    pub fn of(
        kind: &ChatKind,
        content: &str,
        body: Option<&Payload>,
        reply_to: Option<ChatId>,
        mentions: Option<&Mentions>,
    ) -> Self {
        let mut hash = Sha256::new();
        for part in [
            Some(kind.as_str()),
            Some(content),
            body.map(Payload::as_str),
            reply_to.map(|id| id.to_string()).as_deref(),
            mentions.map(Mentions::to_json).as_deref(),
        ] {
            // A length before each part: no two requests are the same bytes. No part has this length.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }
}

/// What [`Appends::append`] did with one chat of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is committed now.
    Committed(Committed),
    /// The sender had committed this key before, to the same conversation and with the same contents, in
    /// an earlier batch or earlier in this one. Nothing was written; this is the chat as it is now.
    Repeat(Committed),
    /// The sender had committed this key before with anything else. Nothing was written.
    KeyReused,
    /// There is no such user to begin a direct conversation with, or neither of the two has a timeline.
    /// Nothing was written.
    TargetNotFound,
    /// There is no such conversation, or the sender is no member of it. Nothing was written.
    ConversationNotFound,
    /// There is no such chat in this conversation to be quoted. Nothing was written.
    QuoteNotFound,
    /// It shows an upload that is not there, or that its sender may not show. Nothing was written.
    MediaNotFound,
    /// It calls somebody by name who is no member, or all of two. Nothing was written.
    MentionInvalid,
    /// It calls all members by name, and the sender keeps no order there. Nothing was written.
    MentionForbidden,
    /// There is no such sender. Nothing was written.
    SenderNotFound,
}

/// Whose timelines have an event, and as which number: in ascending id, each user once.
pub type Places = SmallVec<[(UserId, Seq); 2]>;

/// A chat in the database, and whose timelines have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The chat, with the names of now.
    pub chat: Arc<Chat>,
    /// Every member who has a timeline. In an [`Appended::Repeat`] of an earlier batch the sender alone.
    pub places: Places,
}

impl Committed {
    /// Its number in the sender's timeline; `None` if the sender has none.
    pub fn sender_seq(&self) -> Option<Seq> {
        let place = self.places.binary_search_by_key(&self.chat.user_id, |(user, _)| *user);
        place.ok().map(|place| self.places[place].1)
    }
}

/// Committing chats.
#[async_trait]
pub trait Appends: Send + Sync {
    /// Commits a batch in one transaction and answers each chat in the order of the batch.
    ///
    /// * **Committed before answered.** An answer is given only after a durable commit.
    /// * **Idempotent.** One sender and key is one chat for ever, however often, concurrently, or
    ///   repeated within the batch.
    /// * **Numbered.** Each committed chat takes the next number of the timeline of every member, in the
    ///   order of the batch. The members are those at the commit: nobody who left before gets the
    ///   chat, and everybody does who joined before. Over all replicas, numbers of a timeline have no
    ///   holes and become visible in their order: a reader who sees `n` sees all before it. Chat ids rise
    ///   within a conversation in that same order. Only a person has a timeline; a bot, the service's own
    ///   user and an erased user get no event.
    /// * **Direct conversations** are made on first use, one for each pair. It is noted with the chat who
    ///   has written in one: [`Acquaintance::BothWrote`](super::Acquaintance::BothWrote) holds from the
    ///   first answer on.
    /// * **Uploads.** What a committed chat shows is not collected as long as it shows it.
    /// * **Members only.** Into any other conversation its members write, and the service's own user.
    ///
    /// Locking: the conversations of the batch that are not direct, then the counters of all who get an
    /// event, then the uploads that are shown, each in ascending id; members are read after their
    /// conversation is locked. So batches and changes of members never deadlock. Direct conversations are
    /// not locked.
    ///
    /// [`StoreError::Rejected`] means that some chat of the batch was refused by the database and
    /// all were rolled back; the caller splits the batch to find it. Any length is valid; an empty
    /// batch touches nothing.
    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError>;

    /// Commits something that nobody sees and that does not stay, and needs what [`Appends::append`]
    /// needs: locks, and room on the disk. For when appends have failed: it costs more than one.
    /// Called as `append` is, one at a time.
    async fn try_writing(&self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_every_part_of_a_request_apart() {
        let plain = || {
            NewChat::text(
                UserId::new(1).unwrap(),
                Destination::Direct(UserId::new(2).unwrap()),
                ClientMsgId::parse("k").unwrap(),
                Content::parse("1", 10).unwrap(),
            )
        };
        let payload = |json: &str| Some(Payload::parse(json.to_owned()).unwrap());
        let users = |ids: &[i64]| {
            let ids = ids.iter().map(|id| UserId::new(*id).unwrap());
            Some(Mentions::Users(ids.collect()))
        };
        let requests = [
            plain(),
            NewChat { content: Content::parse("2", 10).unwrap(), ..plain() },
            NewChat { kind: ChatKind::from("card".to_owned()), ..plain() },
            NewChat { body: payload("{}"), ..plain() },
            NewChat { body: payload(r#"{"a":1}"#), ..plain() },
            NewChat { reply_to: Some(ChatId::new(1).unwrap()), ..plain() },
            NewChat { mentions: users(&[1]), ..plain() },
            NewChat { mentions: users(&[]), ..plain() },
            NewChat { mentions: Some(Mentions::All), ..plain() },
            NewChat { asked: Some(RequestDigest([7; 32])), ..plain() },
        ];
        for (place, request) in requests.iter().enumerate() {
            assert_eq!(request.is_plain(), place < 2, "{place}");
            for (other, another) in requests.iter().enumerate() {
                assert_eq!(request.digest() == another.digest(), place == other, "{place} {other}");
            }
        }
        // Not of the request: the same words to somebody else, under another key.
        let client_msg_id = ClientMsgId::parse("l").unwrap();
        let destination = Destination::Direct(UserId::new(3).unwrap());
        let elsewhere = NewChat { destination, client_msg_id, ..plain() };
        assert_eq!(elsewhere.digest(), plain().digest());
    }
}
