//! What the database knows of the users, keys and chats of a batch before it is decided upon.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sqlx::FromRow;

use super::{Address, NamedConversations, Talks};
use crate::{
    domain::{
        Chat, ChatId, ClientMsgId, ConversationId, Destination, MediaId, Quote, Seq, UserId,
        UserName,
    },
    store::{Committed, NewChat, RequestDigest},
};

/// The users of a batch who exist.
pub(in crate::store) type People = HashMap<UserId, Person>;
/// The chats that earlier batches committed under keys of this one.
pub(in crate::store) type Earlier = HashMap<(UserId, ClientMsgId), EarlierChat>;
/// The chats that are quoted, by who may read them, and in which conversation they are.
pub(in crate::store) type Quotes = HashMap<(UserId, ChatId), (ConversationId, Quote)>;

/// A user of the batch.
pub(in crate::store) struct Person {
    pub(super) name: UserName,
    pub(super) is_system: bool,
    /// The counter, which is locked; raised as chats are numbered. `None`: the user has no timeline.
    pub(super) last_seq: Option<Seq>,
}

/// What the word of a user's kind says.
pub(in crate::store) const PERSON: &str = "person";
const SYSTEM: &str = "system";

/// Rows of users: id, name, kind and counter. A person without a counter was erased a moment ago.
pub(in crate::store) fn people(rows: Vec<(UserId, UserName, String, Option<Seq>)>) -> People {
    rows.into_iter()
        .filter(|(_, _, kind, last_seq)| last_seq.is_some() || kind != PERSON)
        .map(|(id, name, kind, last_seq)| {
            (id, Person { name, is_system: kind == SYSTEM, last_seq })
        })
        .collect()
}

/// A chat of an earlier batch.
pub(in crate::store) struct EarlierChat {
    pub(super) committed: Committed,
    request_digest: Option<Vec<u8>>,
}

impl EarlierChat {
    /// Whether this asks for the same again.
    pub(super) fn is_asked_by(&self, chat: &NewChat) -> bool {
        let first = &self.committed.chat;
        let is_there = match chat.destination {
            Destination::Direct(target) => {
                first.target.as_ref().is_some_and(|first| first.id == target)
            }
            Destination::Conversation(id) => first.conversation_id == id,
        };
        let asked = chat.digest().0;
        let is_same = self.request_digest.as_ref().map_or_else(
            || {
                let Chat { kind, content, body, reply_to, mentions, .. } = &**first;
                let reply_to = reply_to.as_ref().map(|quote| quote.id);
                let (body, mentions) = (body.as_ref(), mentions.as_ref());
                RequestDigest::of(kind, content, body, reply_to, mentions).0 == asked
            },
            |digest| *digest == asked,
        );
        is_there && is_same
    }
}

/// A row of an earlier batch.
#[derive(FromRow)]
pub(in crate::store) struct EarlierRow {
    sender_seq: Option<Seq>,
    request_digest: Option<Vec<u8>>,
    #[sqlx(flatten)]
    chat: Chat,
}

/// Rows of chats that earlier batches committed.
pub(in crate::store) fn earlier(rows: Vec<EarlierRow>) -> Earlier {
    rows.into_iter()
        .map(|EarlierRow { sender_seq, request_digest, chat }| {
            let key = (chat.user_id, chat.client_msg_id.clone());
            let places = sender_seq.map(|seq| (chat.user_id, seq)).into_iter().collect();
            let committed = Committed { chat: Arc::new(chat), places };
            (key, EarlierChat { committed, request_digest })
        })
        .collect()
}

/// What is known of a batch before it is decided upon.
pub(in crate::store) struct Known<'a> {
    pub(in crate::store) named: &'a NamedConversations,
    pub(in crate::store) people: &'a People,
    /// The direct conversations that have begun.
    pub(in crate::store) talks: &'a Talks,
    pub(in crate::store) quotes: &'a Quotes,
    /// The uploads of the batch that are kept, and locked.
    pub(in crate::store) media: &'a BTreeSet<MediaId>,
    pub(in crate::store) earlier: &'a Earlier,
}

/// The keys of a batch, each once.
pub(in crate::store) fn keys(batch: &[NewChat]) -> BTreeSet<(UserId, &str)> {
    batch.iter().map(|chat| (chat.sender, chat.client_msg_id.as_str())).collect()
}

/// Who quotes in a batch, and which chats.
pub(in crate::store) fn quoted(batch: &[NewChat]) -> (BTreeSet<UserId>, BTreeSet<ChatId>) {
    batch.iter().filter_map(|chat| Some((chat.sender, chat.reply_to?))).unzip()
}

impl Known<'_> {
    /// Whether two users can have a direct conversation: both exist, and one of them has a counter, whose
    /// lock keeps replicas apart.
    pub(super) fn can_talk(&self, low: UserId, high: UserId) -> bool {
        match (self.people.get(&low), self.people.get(&high)) {
            (Some(low), Some(high)) => low.last_seq.is_some() || high.last_seq.is_some(),
            _ => false,
        }
    }

    /// A quoted chat, if it is in the conversation of this address and the sender may read it.
    pub(super) fn quote(&self, sender: UserId, id: ChatId, address: Address) -> Option<Quote> {
        let here = match address {
            Address::Direct(pair) => self.talks.get(&pair)?.id,
            Address::Group(id) => id,
        };
        let (conversation, quote) = self.quotes.get(&(sender, id))?;
        (*conversation == here).then(|| quote.clone())
    }
}
