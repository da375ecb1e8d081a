//! What becomes of a batch of chats: the part of an append that is the same in every database.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use sqlx::FromRow;

use super::{
    Appended, Committed, NewChat,
    error::corrupt,
    rows::{ChatRow, id, seq},
};
use crate::{
    clock::Timestamp,
    domain::{Chat, ChatId, ChatKind, ClientMsgId, ConversationId, Seq, UserId, UserName},
};

/// What makes a chat the same chat: its sender and the sender's key.
type Key<'a> = (UserId, &'a ClientMsgId);
/// The users of a direct conversation, the lower id first.
pub(super) type Pair = (UserId, UserId);
/// Which sides of a conversation write in it, or have written: both, where they are the same user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sides {
    pub(super) low: bool,
    pub(super) high: bool,
}

impl Sides {
    /// Those that are not among others.
    pub(super) fn without(self, others: Self) -> Self {
        Self { low: self.low && !others.low, high: self.high && !others.high }
    }

    /// Whether it is none.
    pub(super) fn is_empty(self) -> bool {
        !self.low && !self.high
    }
}

/// The users of a batch who exist.
pub(super) type People = HashMap<UserId, Person>;
/// The chats that earlier batches committed under keys of this one.
pub(super) type Earlier = HashMap<(UserId, ClientMsgId), Committed>;

/// A user of the batch.
pub(super) struct Person {
    name: UserName,
    /// The counter, which is locked; raised as chats are numbered.
    last_seq: Seq,
}

/// Rows of users: id, name and counter.
pub(super) fn people(rows: Vec<(i64, String, i64)>) -> sqlx::Result<People> {
    rows.into_iter()
        .map(|(user, called, last)| {
            Ok((id(user)?, Person { name: UserName::stored(called), last_seq: seq(last)? }))
        })
        .collect()
}

/// A chat of an earlier batch.
#[derive(FromRow)]
pub(super) struct EarlierRow {
    sender_seq: i64,
    #[sqlx(flatten)]
    chat: ChatRow,
}

/// Rows of chats that earlier batches committed.
pub(super) fn earlier(rows: Vec<EarlierRow>) -> sqlx::Result<Earlier> {
    rows.into_iter()
        .map(|row| {
            let chat: Chat = row.chat.try_into()?;
            let key = (chat.user_id, chat.client_msg_id.clone());
            let committed = Committed { chat, sender_seq: seq(row.sender_seq)?, target_seq: None };
            Ok((key, committed))
        })
        .collect()
}

/// Rows of direct conversations: id, lower user, higher user.
pub(super) fn by_pair(rows: Vec<(i64, i64, i64)>) -> sqlx::Result<HashMap<Pair, ConversationId>> {
    rows.into_iter()
        .map(|(conversation, low, high)| Ok(((id(low)?, id(high)?), id(conversation)?)))
        .collect()
}

/// What becomes of one chat of the batch.
enum Verdict {
    Settled(Appended),
    /// To be committed: its place among those.
    Fresh(usize),
    /// The same as one that is to be committed.
    Again(usize),
}

/// What is to be done with a batch.
pub(super) struct Plan<'a> {
    verdicts: Vec<Verdict>,
    fresh: Vec<&'a NewChat>,
}

/// The users of a batch, in ascending id: the order in which counters are locked.
pub(super) fn users(batch: &[NewChat]) -> BTreeSet<UserId> {
    batch.iter().flat_map(|chat| [chat.sender, chat.target]).collect()
}

/// Between whom the chats of a batch are.
pub(super) fn pairs(batch: &[NewChat]) -> BTreeSet<Pair> {
    batch.iter().map(pair).collect()
}

/// The keys of a batch, each once.
pub(super) fn keys(batch: &[NewChat]) -> BTreeSet<(UserId, &str)> {
    batch.iter().map(|chat| (chat.sender, chat.client_msg_id.as_str())).collect()
}

impl<'a> Plan<'a> {
    /// Decides on each chat, in the order of the batch.
    pub(super) fn of(
        batch: &'a [NewChat],
        exists: impl Fn(UserId) -> bool,
        earlier: &Earlier,
    ) -> Self {
        let mut fresh: Vec<&NewChat> = Vec::new();
        let mut places: HashMap<Key<'_>, usize> = HashMap::new();
        let verdicts = batch
            .iter()
            .map(|chat| {
                if let Some(first) = earlier.get(&(chat.sender, chat.client_msg_id.clone())) {
                    let same = first.chat.target_user_id == chat.target
                        && *first.chat.content == *chat.content.as_str();
                    return Verdict::Settled(if same {
                        Appended::Repeat(first.clone())
                    } else {
                        Appended::KeyReused
                    });
                }
                match places.entry((chat.sender, &chat.client_msg_id)) {
                    Entry::Occupied(place) => {
                        let first = fresh[*place.get()];
                        if first.target == chat.target && first.content == chat.content {
                            Verdict::Again(*place.get())
                        } else {
                            Verdict::Settled(Appended::KeyReused)
                        }
                    }
                    Entry::Vacant(_) if !exists(chat.sender) => {
                        Verdict::Settled(Appended::SenderNotFound)
                    }
                    Entry::Vacant(_) if !exists(chat.target) => {
                        Verdict::Settled(Appended::TargetNotFound)
                    }
                    Entry::Vacant(place) => {
                        place.insert(fresh.len());
                        fresh.push(chat);
                        Verdict::Fresh(fresh.len() - 1)
                    }
                }
            })
            .collect();
        Self { verdicts, fresh }
    }

    /// The chats that are to be committed, in the order of the batch.
    pub(super) fn fresh(&self) -> &[&'a NewChat] {
        &self.fresh
    }

    /// How many chats are to be committed.
    pub(super) fn len(&self) -> usize {
        self.fresh.len()
    }

    /// Which sides of each pair write.
    pub(super) fn writing(&self) -> BTreeMap<Pair, Sides> {
        let mut writing = BTreeMap::<_, Sides>::new();
        for chat in &self.fresh {
            let (low, high) = pair(chat);
            let sides = writing.entry((low, high)).or_default();
            sides.low |= chat.sender == low;
            sides.high |= chat.sender == high;
        }
        writing
    }

    /// Whose timelines they are in.
    pub(super) fn users(&self) -> BTreeSet<UserId> {
        self.fresh.iter().flat_map(|chat| [chat.sender, chat.target]).collect()
    }

    /// Where the chats that are to be committed will be, as far as it is known before the counters are.
    pub(super) fn places(&self, users: &[UserId], pairs: &[Pair]) -> Places {
        let mut events = vec![0_i64; users.len()];
        let mut places = Places::default();
        let mut next = |user: UserId| {
            let place = position(users, &user);
            events[place] += 1;
            (place, events[place])
        };
        for chat in &self.fresh {
            places.conversations.push(position(pairs, &pair(chat)));
            places.senders.push(next(chat.sender));
            places.targets.push((chat.target != chat.sender).then(|| next(chat.target)));
        }
        places.events = events;
        places
    }

    /// Gives each chat that is to be committed its conversation and its place in both timelines.
    pub(super) fn number(
        &self,
        conversations: &HashMap<Pair, ConversationId>,
        people: &mut People,
    ) -> sqlx::Result<Vec<Numbered<'a>>> {
        let number = |chat: &&'a NewChat| {
            let conversation = conversations
                .get(&pair(chat))
                .ok_or_else(|| corrupt("a conversation went missing within a transaction"))?;
            number(chat, *conversation, people)
        };
        self.fresh.iter().map(number).collect()
    }

    /// The answers, once the chats are committed.
    pub(super) fn answers(self, committed: &[Committed]) -> Vec<Appended> {
        self.verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Settled(answer) => answer,
                Verdict::Fresh(place) => Appended::Committed(committed[place].clone()),
                Verdict::Again(place) => Appended::Repeat(committed[place].clone()),
            })
            .collect()
    }
}

/// Where the chats of a plan will be, by places in lists of users and of pairs that both ascend.
#[derive(Default)]
pub(super) struct Places {
    /// How many events each user gets.
    pub(super) events: Vec<i64>,
    /// The pair of each chat.
    pub(super) conversations: Vec<usize>,
    /// The sender of each chat, and which of the events that this user gets it is, from 1.
    pub(super) senders: Vec<(usize, i64)>,
    /// The same of the target; `None` if the chat is to oneself.
    pub(super) targets: Vec<Option<(usize, i64)>>,
}

fn position<T: Ord>(ascending: &[T], item: &T) -> usize {
    // What is looked for is in it: both come from the same chats.
    ascending.binary_search(item).unwrap_or_default()
}

fn pair(chat: &NewChat) -> Pair {
    (chat.sender.min(chat.target), chat.sender.max(chat.target))
}

/// A chat that has its places, and no id yet.
pub(super) struct Numbered<'a> {
    pub(super) chat: &'a NewChat,
    pub(super) conversation: ConversationId,
    user_name: UserName,
    target_user_name: UserName,
    pub(super) sender_seq: Seq,
    /// `None` if the chat is to oneself, which is one event.
    pub(super) target_seq: Option<Seq>,
}

impl Numbered<'_> {
    /// The chat with its id and its time.
    fn committed(self, id: ChatId, now: Timestamp) -> Committed {
        Committed {
            chat: Chat {
                id,
                user_id: self.chat.sender,
                target_user_id: self.chat.target,
                user_name: self.user_name,
                target_user_name: self.target_user_name,
                content: self.chat.content.shared(),
                create_time: now,
                client_msg_id: self.chat.client_msg_id.clone(),
                conversation_id: self.conversation,
                kind: ChatKind::Text,
            },
            sender_seq: self.sender_seq,
            target_seq: self.target_seq,
        }
    }
}

fn number<'a>(
    chat: &'a NewChat,
    conversation: ConversationId,
    people: &mut People,
) -> sqlx::Result<Numbered<'a>> {
    let mut next = |user: UserId| {
        let person = people
            .get_mut(&user)
            .ok_or_else(|| corrupt(format!("user {user} went missing within a transaction")))?;
        person.last_seq = person.last_seq.next();
        Ok::<_, sqlx::Error>((person.name.clone(), person.last_seq))
    };
    let (user_name, sender_seq) = next(chat.sender)?;
    let (target_user_name, target_seq) = if chat.target == chat.sender {
        (user_name.clone(), None)
    } else {
        let (name, seq) = next(chat.target)?;
        (name, Some(seq))
    };
    Ok(Numbered { chat, conversation, user_name, target_user_name, sender_seq, target_seq })
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

/// The events of these chats: whose, and which number.
fn events<'a>(numbered: &'a [Numbered<'_>]) -> impl Iterator<Item = (UserId, Seq)> + 'a {
    numbered.iter().flat_map(|Numbered { chat, sender_seq, target_seq, .. }| {
        [(chat.sender, *sender_seq)].into_iter().chain(target_seq.map(|seq| (chat.target, seq)))
    })
}

/// Where the counters of these chats' users stand after them, in ascending id.
pub(super) fn counters(numbered: &[Numbered<'_>]) -> BTreeMap<UserId, Seq> {
    // A later event of the same user replaces an earlier one.
    events(numbered).collect()
}
