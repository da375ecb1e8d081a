//! What becomes of a batch of chats: the part of an append that is the same in every database.

mod addresses;
mod known;

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use super::{Appended, Committed, NewChat, Places, error::corrupt};
use crate::{
    clock::Timestamp,
    domain::{
        Chat, ChatId, ClientMsgId, ConversationId, Destination, MediaKind, Quote, Seq, Target,
        UserId, UserName,
    },
};

use addresses::Address;
pub(super) use addresses::{
    NamedConversations, NamedRow, Pair, Sides, Talk, TalkRow, Talks, add_members, groups, named,
    named_ids, pairs, talks, users,
};
pub(super) use known::{
    Earlier, EarlierRow, Known, PERSON, People, Quotes, earlier, keys, people, quoted,
};

/// What makes a chat the same chat: its sender and the sender's key.
type Key<'a> = (UserId, &'a ClientMsgId);

/// What becomes of one chat of the batch.
enum Outcome {
    Settled(Appended),
    /// To be committed: its place among those.
    Fresh(usize),
    /// The same as one that is to be committed.
    Again(usize),
}

/// A chat that is to be committed.
struct Fresh<'a> {
    chat: &'a NewChat,
    address: Address,
    quote: Option<Quote>,
}

/// What is to be done with a batch.
pub(super) struct Plan<'a> {
    outcomes: Vec<Outcome>,
    fresh: Vec<Fresh<'a>>,
}

impl<'a> Plan<'a> {
    /// Decides on each chat, in the order of the batch.
    pub(super) fn of(batch: &'a [NewChat], known: &Known<'_>) -> Self {
        let mut plan = Self { outcomes: Vec::with_capacity(batch.len()), fresh: Vec::new() };
        let mut places: HashMap<Key<'_>, usize> = HashMap::new();
        for chat in batch {
            let outcome = plan.decide(chat, known, &mut places);
            plan.outcomes.push(outcome);
        }
        plan
    }

    fn decide(
        &mut self,
        chat: &'a NewChat,
        known: &Known<'_>,
        places: &mut HashMap<Key<'a>, usize>,
    ) -> Outcome {
        if let Some(first) = known.earlier.get(&(chat.sender, chat.client_msg_id.clone())) {
            return Outcome::Settled(if first.is_asked_by(chat) {
                Appended::Repeat(first.committed.clone())
            } else {
                Appended::KeyReused
            });
        }
        let is_system = |user| known.people.get(&user).is_some_and(|person| person.is_system);
        let address = Address::of(chat, known.named, is_system);
        let place = match places.entry((chat.sender, &chat.client_msg_id)) {
            Entry::Occupied(place) => {
                let first = &self.fresh[*place.get()];
                let is_same =
                    Some(first.address) == address && first.chat.digest() == chat.digest();
                return if is_same {
                    Outcome::Again(*place.get())
                } else {
                    Outcome::Settled(Appended::KeyReused)
                };
            }
            Entry::Vacant(place) => place,
        };
        if !known.people.contains_key(&chat.sender) {
            return Outcome::Settled(Appended::SenderNotFound);
        }
        let Some(address) = address else {
            return Outcome::Settled(Appended::ConversationNotFound);
        };
        if let Address::Direct((low, high)) = address
            && !known.can_talk(low, high)
        {
            return Outcome::Settled(Appended::TargetNotFound);
        }
        if let Some(mentions) = &chat.mentions
            && !is_system(chat.sender)
            && let Err(refusal) = address.may_mention(chat.sender, mentions, known.named)
        {
            return Outcome::Settled(refusal);
        }
        if MediaKind::parse(chat.kind.as_str()).is_some()
            && chat.media.is_none_or(|id| !known.media.contains(&id))
        {
            return Outcome::Settled(Appended::MediaNotFound);
        }
        let quote = match chat.reply_to.map(|id| known.quote(chat.sender, id, address)) {
            Some(None) => return Outcome::Settled(Appended::QuoteNotFound),
            quote => quote.flatten(),
        };
        if chat.must_be_repeat {
            return Outcome::Settled(Appended::ConversationNotFound);
        }
        place.insert(self.fresh.len());
        self.fresh.push(Fresh { chat, address, quote });
        Outcome::Fresh(self.fresh.len() - 1)
    }

    /// What becomes of a batch as nearly all are: plain chats to users who exist, under keys that were
    /// not used before by an earlier batch. `None`: it has others.
    pub(super) fn usual(batch: &'a [NewChat]) -> Option<Self> {
        let mut plan = Self { outcomes: Vec::with_capacity(batch.len()), fresh: Vec::new() };
        let mut keys = HashSet::with_capacity(batch.len());
        for chat in batch {
            let Destination::Direct(target) = chat.destination else { return None };
            if !chat.is_plain()
                || chat.must_be_repeat
                || !keys.insert((chat.sender, &chat.client_msg_id))
            {
                return None;
            }
            let address = Address::Direct((chat.sender.min(target), chat.sender.max(target)));
            plan.outcomes.push(Outcome::Fresh(plan.fresh.len()));
            plan.fresh.push(Fresh { chat, address, quote: None });
        }
        Some(plan)
    }

    /// The chats that are to be committed, in the order of the batch.
    pub(super) fn chats(&self) -> impl Iterator<Item = &'a NewChat> {
        self.fresh.iter().map(|fresh| fresh.chat)
    }

    /// How many chats are to be committed.
    pub(super) fn len(&self) -> usize {
        self.fresh.len()
    }

    /// Which sides of each direct conversation write.
    pub(super) fn writing(&self) -> BTreeMap<Pair, Sides> {
        let mut writing = BTreeMap::<_, Sides>::new();
        for Fresh { chat, address, .. } in &self.fresh {
            let Address::Direct((low, high)) = *address else { continue };
            let sides = writing.entry((low, high)).or_default();
            sides.low |= chat.sender == low;
            sides.high |= chat.sender == high;
        }
        writing
    }

    /// Numbers the events of a usual batch within it, before the counters are read.
    /// `users`: those of the pairs; both ascend.
    pub(super) fn slots(&self, users: &[UserId], pairs: &[Pair]) -> sqlx::Result<EventSlots> {
        let mut slots = EventSlots { gained: vec![0; users.len()], ..EventSlots::default() };
        for Fresh { chat, address, .. } in &self.fresh {
            let Address::Direct(pair) = address else {
                return Err(corrupt("a group in a batch of direct chats"));
            };
            slots.conversations.push(position(pairs, pair)?);
            let other = if pair.0 == chat.sender { pair.1 } else { pair.0 };
            let sender = slots.next(position(users, &chat.sender)?);
            slots.senders.push(sender);
            let other = if other == chat.sender {
                None
            } else {
                Some(slots.next(position(users, &other)?))
            };
            slots.others.push(other);
        }
        Ok(slots)
    }

    /// Gives each chat that is to be committed its conversation and its place in the timelines of all its
    /// members.
    pub(super) fn number(
        &mut self,
        talks: &Talks,
        named: &NamedConversations,
        people: &mut People,
    ) -> sqlx::Result<Vec<Numbered<'a>>> {
        let number = |Fresh { chat, address, quote }: &mut Fresh<'a>| {
            let conversation = match address {
                Address::Group(id) => *id,
                Address::Direct(pair) => {
                    let talk = talks.get(pair).ok_or_else(|| {
                        corrupt("a conversation went missing within a transaction")
                    })?;
                    talk.id
                }
            };
            let name_of = |user: UserId| {
                let person = people.get(&user).ok_or_else(|| gone(user))?;
                Ok::<_, sqlx::Error>(person.name.clone())
            };
            let user_name = name_of(chat.sender)?;
            let target = match *address {
                Address::Group(_) => None,
                Address::Direct((low, high)) => {
                    let id = if chat.sender == low { high } else { low };
                    Some(Target { id, name: name_of(id)? })
                }
            };
            let mut places = Places::new();
            for member in address.members(named) {
                // A member who was erased is none of the people.
                let counter = people.get_mut(&member).and_then(|person| person.last_seq.as_mut());
                if let Some(last) = counter {
                    *last = last.next();
                    places.push((member, *last));
                }
            }
            Ok(Numbered { chat, conversation, user_name, target, places, quote: quote.take() })
        };
        self.fresh.iter_mut().map(number).collect()
    }

    /// The answers, once the chats are committed.
    pub(super) fn answers(self, committed: &[Committed]) -> Vec<Appended> {
        self.outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Settled(answer) => answer,
                Outcome::Fresh(place) => Appended::Committed(committed[place].clone()),
                Outcome::Again(place) => Appended::Repeat(committed[place].clone()),
            })
            .collect()
    }
}

/// Where the events of a batch of direct chats will be, by places in lists of users and of pairs.
#[derive(Default)]
pub(super) struct EventSlots {
    /// How many events each user gets.
    pub(super) gained: Vec<i64>,
    /// The pair of each chat.
    pub(super) conversations: Vec<usize>,
    /// The slot of each chat's sender.
    pub(super) senders: Vec<Slot>,
    /// The slot of its other member; `None` in a chat to oneself.
    pub(super) others: Vec<Option<Slot>>,
}

impl EventSlots {
    /// The next event of a user.
    fn next(&mut self, user: usize) -> Slot {
        self.gained[user] += 1;
        Slot { user, nth: self.gained[user] }
    }
}

/// One event.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// The place of its user.
    pub(super) user: usize,
    /// Which of the events that this user gets it is, from 1.
    pub(super) nth: i64,
}

fn position<T: Ord>(ascending: &[T], item: &T) -> sqlx::Result<usize> {
    let place = ascending.binary_search(item);
    place.map_err(|_| corrupt("a batch names somebody whom it does not know"))
}

fn gone(user: UserId) -> sqlx::Error {
    corrupt(format!("user {user} went missing within a transaction"))
}

/// A chat that has its places, and no id yet.
pub(super) struct Numbered<'a> {
    pub(super) chat: &'a NewChat,
    pub(super) conversation: ConversationId,
    user_name: UserName,
    target: Option<Target>,
    pub(super) places: Places,
    quote: Option<Quote>,
}

impl Numbered<'_> {
    /// Its number in the sender's timeline.
    pub(super) fn sender_seq(&self) -> Option<Seq> {
        let place = self.places.iter().find(|(user, _)| *user == self.chat.sender);
        place.map(|(_, seq)| *seq)
    }

    /// The chat with its id and its time.
    fn committed(self, id: ChatId, now: Timestamp) -> Committed {
        let chat = Chat {
            id,
            user_id: self.chat.sender,
            user_name: self.user_name,
            target: self.target,
            content: self.chat.content.shared(),
            create_time: now,
            client_msg_id: self.chat.client_msg_id.clone(),
            conversation_id: self.conversation,
            kind: self.chat.kind.clone(),
            body: self.chat.body.clone(),
            state: None,
            version: 1,
            reply_to: self.quote,
            mentions: self.chat.mentions.clone(),
        };
        Committed { chat: Arc::new(chat), places: self.places }
    }
}

/// The chats with their ids, in their order.
pub(super) fn committed(
    numbered: Vec<Numbered<'_>>,
    ids: Vec<ChatId>,
    now: Timestamp,
) -> sqlx::Result<Vec<Committed>> {
    if ids.len() != numbered.len() {
        return Err(corrupt("not as many chat ids as chats"));
    }
    Ok(numbered.into_iter().zip(ids).map(|(chat, id)| chat.committed(id, now)).collect())
}

/// Where the counters of these chats' members stand after them, in ascending id.
pub(super) fn counters(numbered: &[Numbered<'_>]) -> BTreeMap<UserId, Seq> {
    // A later event of the same user replaces an earlier one.
    numbered.iter().flat_map(|chat| chat.places.iter().copied()).collect()
}
