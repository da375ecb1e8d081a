//! The books of a load: what was sent, acknowledged, shown and read back, and what is wrong with it.
//! No I/O and no clock: whoever writes into it says what and when.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Instant,
};

use loadtest::ledger::{Class, Verdict};

use super::chat::Chat;

/// Which client of the load, from 0.
pub type ClientNumber = usize;

/// A chat that a client was given to send.
#[derive(Clone, Debug)]
pub struct Sending {
    pub client: ClientNumber,
    pub sender: i64,
    pub target: i64,
    pub content: String,
    /// When it was put into the client's outbox.
    pub written: Instant,
    /// When it first left the client.
    pub sent: Option<Instant>,
    /// When the client first heard that it is committed.
    pub acknowledged: Option<Instant>,
    /// When the last client so far was shown it.
    pub shown: Option<Instant>,
    /// Its place among all that was sent.
    order: usize,
    /// Its number in the sender's timeline, and its id.
    answer: Option<(i64, i64)>,
}

/// What one client was shown in the history that counts for it.
#[derive(Debug)]
struct View {
    user: i64,
    cursor: i64,
    /// The key of each number that was shown; empty for an event that is no chat.
    seen: BTreeMap<i64, String>,
}

/// The books.
#[derive(Debug, Default)]
pub struct Ledger {
    sendings: HashMap<String, Sending>,
    views: Vec<View>,
    timelines: HashMap<i64, Vec<(i64, Option<Chat>)>>,
    /// The chats of each conversation as its members read them.
    conversations: HashMap<(i64, i64), Vec<Chat>>,
    /// What was wrong when it was shown.
    at_once: Verdict,
    shown: u64,
}

impl Ledger {
    /// Enters a client of this user, whose cursor is 0.
    pub fn enter(&mut self, user: i64) -> ClientNumber {
        self.views.push(View { user, cursor: 0, seen: BTreeMap::new() });
        self.views.len() - 1
    }

    /// A client was given a chat to send, and will send it until it is acknowledged. What one client
    /// sends to one target, it sends one after another.
    pub fn write(
        &mut self,
        client: ClientNumber,
        target: i64,
        key: &str,
        content: &str,
        at: Instant,
    ) {
        let sending = Sending {
            client,
            sender: self.views[client].user,
            target,
            content: content.to_owned(),
            written: at,
            sent: None,
            acknowledged: None,
            shown: None,
            order: self.sendings.len(),
            answer: None,
        };
        let before = self.sendings.insert(key.to_owned(), sending);
        assert!(before.is_none(), "keys are used once");
    }

    /// A client sends a chat that it was given, for the first time or again.
    pub fn send(&mut self, key: &str, at: Instant) {
        self.sendings.get_mut(key).expect("it was written").sent.get_or_insert(at);
    }

    /// A client heard that a chat is committed, with this number in the sender's timeline.
    pub fn acknowledge(&mut self, client: ClientNumber, seq: i64, chat: &Chat, at: Instant) {
        let verdict = &mut self.at_once;
        let own = self.sendings.get_mut(&chat.key).filter(|sending| sending.client == client);
        let Some(sending) = own else {
            let user = self.views[client].user;
            return verdict.add(Class::Foreign, || {
                format!("{user} did not send what is acknowledged: {chat:?}")
            });
        };
        sending.acknowledged.get_or_insert(at);
        let answer = *sending.answer.get_or_insert((seq, chat.id));
        if answer != (seq, chat.id) {
            verdict.add(Class::Doubled, || {
                format!("{} is acknowledged as {answer:?} and as {:?}", chat.key, (seq, chat.id))
            });
        }
    }

    /// A client was shown an event, as an `event` or as the `sent` that moves the cursor. `chat` is
    /// `None` if it is an event of another kind.
    pub fn show(&mut self, client: ClientNumber, seq: i64, chat: Option<&Chat>, at: Instant) {
        self.shown += 1;
        let (view, verdict) = (&mut self.views[client], &mut self.at_once);
        let user = view.user;
        if seq > view.cursor + 1 {
            verdict.add(Class::Gap, || format!("{user} was shown {seq} after {}", view.cursor));
        }
        if view.seen.contains_key(&seq) {
            verdict.add(Class::Doubled, || format!("{user} was shown {seq} again: {chat:?}"));
        } else if seq <= view.cursor {
            verdict
                .add(Class::Reordered, || format!("{user} was shown {seq} after {}", view.cursor));
        }
        view.cursor = view.cursor.max(seq);
        view.seen.insert(seq, chat.map(|chat| chat.key.clone()).unwrap_or_default());
        let Some(chat) = chat else { return };
        if let Some(problem) = foreign(&self.sendings, user, chat) {
            return verdict.add(Class::Foreign, || format!("{user} was shown {chat:?}: {problem}"));
        }
        if let Some(sending) = self.sendings.get_mut(&chat.key) {
            sending.shown = sending.shown.max(Some(at));
        }
    }

    /// A client was told to load anew, and took these events; it goes on from `last`.
    pub fn reload(&mut self, client: ClientNumber, events: &[(i64, Option<Chat>)], last: i64) {
        let view = &mut self.views[client];
        view.cursor = last;
        view.seen = events
            .iter()
            .filter(|(seq, _)| *seq <= last)
            .map(|(seq, chat)| (*seq, chat.as_ref().map(|c| c.key.clone()).unwrap_or_default()))
            .collect();
    }

    /// A user's whole timeline, as the service has it in the end.
    pub fn read_timeline(&mut self, user: i64, events: Vec<(i64, Option<Chat>)>) {
        self.timelines.insert(user, events);
    }

    /// All chats of a conversation, oldest first, as one of its members reads them in the end.
    pub fn read_conversation(&mut self, user: i64, conversation: i64, chats: Vec<Chat>) {
        self.conversations.insert((user, conversation), chats);
    }

    /// All that was sent.
    pub fn sendings(&self) -> impl Iterator<Item = &Sending> {
        self.sendings.values()
    }

    /// The clients that were acknowledged a chat that they wrote after `since`.
    pub fn acknowledged_since(&self, since: Instant) -> HashSet<ClientNumber> {
        let sendings = self.sendings.values();
        sendings
            .filter(|sending| sending.written >= since && sending.acknowledged.is_some())
            .map(|sending| sending.client)
            .collect()
    }

    /// Whether a client was lately shown a chat that somebody else wrote after `since`.
    pub fn heard_since(&self, client: ClientNumber, since: Instant) -> bool {
        let View { user, seen, .. } = &self.views[client];
        let lately = seen.values().rev().take(200).filter_map(|key| self.sendings.get(key));
        lately.into_iter().any(|sending| sending.written >= since && sending.sender != *user)
    }

    /// What is wrong, once all has been read back.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.at_once.clone();
        (verdict.chats, verdict.shown) = (self.sendings.len() as u64, self.shown);
        let stored: HashMap<i64, Stored> = self
            .timelines
            .iter()
            .map(|(user, events)| (*user, self.stored(*user, events, &mut verdict)))
            .collect();
        self.compare_conversations(&mut verdict);
        self.compare_acknowledged(&stored, &mut verdict);
        let none = Stored::default();
        for view in &self.views {
            compare_view(view, stored.get(&view.user).unwrap_or(&none), &mut verdict);
        }
        verdict
    }

    /// Checks a timeline as such, and says where it has what.
    fn stored(&self, user: i64, events: &[(i64, Option<Chat>)], verdict: &mut Verdict) -> Stored {
        let mut stored = Stored::default();
        let (mut last, mut last_ids, mut last_orders) = (0, HashMap::new(), HashMap::new());
        for (seq, chat) in events {
            if *seq > last + 1 {
                verdict.add(Class::Gap, || format!("{user}'s timeline has {seq} after {last}"));
            } else if *seq <= last {
                verdict
                    .add(Class::Reordered, || format!("{user}'s timeline has {seq} after {last}"));
            }
            last = *seq;
            stored.keys.insert(*seq, chat.as_ref().map(|c| c.key.clone()).unwrap_or_default());
            let Some(chat) = chat else { continue };
            if let Some(problem) = foreign(&self.sendings, user, chat) {
                verdict
                    .add(Class::Foreign, || format!("{user}'s timeline has {chat:?}: {problem}"));
                continue;
            }
            if let Some((before, _)) = stored.places.insert(chat.key.clone(), (*seq, chat.id)) {
                verdict.add(Class::Doubled, || {
                    format!("{user}'s timeline has {} as {before} and as {seq}", chat.key)
                });
                continue;
            }
            let last_id = last_ids.insert(chat.conversation, chat.id).unwrap_or(0);
            let Sending { client, target, order, .. } = self.sendings[&chat.key];
            let last_order = last_orders.insert((client, target), order);
            if chat.id <= last_id || last_order.is_some_and(|last| order < last) {
                verdict.add(Class::Reordered, || format!("{user}'s timeline has {seq} {chat:?}"));
            }
        }
        stored
    }

    /// A conversation is, for each of its members, what the timeline has of it.
    fn compare_conversations(&self, verdict: &mut Verdict) {
        for ((user, conversation), chats) in &self.conversations {
            let timeline = self.timelines.get(user).map_or(&[][..], Vec::as_slice);
            let events = timeline.iter().filter_map(|(_, chat)| chat.as_ref());
            let events = events.filter(|chat| chat.conversation == *conversation);
            let listed: HashSet<_> = chats.iter().map(|chat| chat.id).collect();
            let name = || format!("{user}'s conversation {conversation}");
            if listed.len() < chats.len() {
                verdict.add(Class::Doubled, || format!("{} lists chats twice", name()));
            }
            if !chats.is_sorted_by_key(|chat| chat.id) {
                verdict.add(Class::Reordered, || format!("{} is not in order", name()));
            }
            let mut in_timeline = HashSet::new();
            for chat in events {
                in_timeline.insert(chat.id);
                if !listed.contains(&chat.id) {
                    verdict.add(Class::Unstored, || format!("{} lacks {chat:?}", name()));
                }
            }
            for chat in chats.iter().filter(|chat| !in_timeline.contains(&chat.id)) {
                verdict.add(Class::Foreign, || format!("{} has {chat:?}", name()));
            }
        }
    }

    /// What is acknowledged is in both timelines, with the numbers of the acknowledgement.
    fn compare_acknowledged(&self, stored: &HashMap<i64, Stored>, verdict: &mut Verdict) {
        let place = |user: i64, key: &str| stored.get(&user)?.places.get(key).copied();
        for (key, sending) in &self.sendings {
            let Some(answer) = sending.answer else {
                verdict.add(Class::Lost, || format!("{key} was never acknowledged"));
                continue;
            };
            let (at_sender, at_target) = (place(sending.sender, key), place(sending.target, key));
            if at_sender != Some(answer) || at_target.map(|(_, id)| id) != Some(answer.1) {
                verdict.add(Class::Unstored, || {
                    format!("{key} is acknowledged as {answer:?}, stored as {at_sender:?} for the sender and {at_target:?} for the target")
                });
            }
        }
    }
}

/// Where a timeline has what.
#[derive(Default)]
struct Stored {
    /// The key of each number; empty for an event that is no chat.
    keys: BTreeMap<i64, String>,
    /// The number and the id of each key.
    places: HashMap<String, (i64, i64)>,
}

/// A client was shown what the timeline has, and nothing else.
fn compare_view(view: &View, stored: &Stored, verdict: &mut Verdict) {
    let user = view.user;
    for (seq, key) in &stored.keys {
        match view.seen.get(seq) {
            None => verdict.add(Class::Lost, || format!("{user} was not shown {seq} {key}")),
            Some(seen) if seen != key => verdict.add(Class::Reordered, || {
                format!("{user} was shown {seen} as {seq}, which is {key}")
            }),
            Some(_) => {}
        }
    }
    for (seq, key) in view.seen.iter().filter(|(seq, _)| !stored.keys.contains_key(seq)) {
        verdict
            .add(Class::Unstored, || format!("{user} was shown {seq} {key}, which is not there"));
    }
}

/// Why a chat is not what somebody sent to or from this user.
fn foreign(sendings: &HashMap<String, Sending>, user: i64, chat: &Chat) -> Option<&'static str> {
    let Some(sending) = sendings.get(&chat.key) else { return Some("nobody sent it") };
    let is_as_sent = sending.sender == chat.sender
        && sending.target == chat.target
        && sending.content == chat.content;
    if !is_as_sent {
        return Some("it was sent otherwise");
    }
    (!chat.concerns(user)).then_some("it does not concern this user")
}
