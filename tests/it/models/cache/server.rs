//! What the service promises of one group: its chats, who may read which, and the timelines of its members.

use std::collections::{BTreeMap, BTreeSet};

use imserver::{
    clock::{Clock, Timestamp},
    delivery::frame,
    domain::{
        Chat, ChatId, ChatKind, ChatState, ClientMsgId, ConversationChange, ConversationId,
        ConversationKind, Group, GroupChange, GroupFace, GroupMember, GroupRules, OwnConversation,
        OwnSettings, Payload, Quote, Role, SeenConversation, Seq, UserId, UserName,
        group::{Changer, GroupHistory, WhoMayAdd, decide},
    },
    media::MediaLinks,
    store::{Change, TimelineEvent},
};
use serde_json::{Value, json};

use super::client::What;

/// Chats in a page, and changes in one.
const PAGE: usize = 3;
const CHANGES: usize = 2;

const RULES: GroupRules =
    GroupRules { max_members: 10, who_may_add: WhoMayAdd::Members, history: GroupHistory::Joined };

/// What an event is about.
#[derive(Clone, Copy)]
enum About {
    Chat(ChatId),
    Changed(ChatId),
    Gone(ChatId),
    Group,
    Own,
    Left,
}

/// An event of a timeline.
pub struct Event {
    about: About,
    /// The frame that was made when it happened.
    pub first: Value,
}

impl Event {
    /// Whether it is about a chat.
    pub fn is_of_chat(&self) -> bool {
        matches!(self.about, About::Chat(_) | About::Changed(_) | About::Gone(_))
    }
}

/// What is kept of a user.
#[derive(Default)]
struct Reader {
    visible_after: i64,
    stretches: Vec<(i64, i64)>,
    deleted: BTreeSet<ChatId>,
    cleared_up_to: i64,
    timeline: Vec<Event>,
}

pub struct Server {
    group: Group,
    chats: BTreeMap<ChatId, Chat>,
    /// The last change of each chat that has changed.
    changes: BTreeMap<ChatId, i64>,
    last_id: i64,
    readers: BTreeMap<UserId, Reader>,
}

pub fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn conversation() -> ConversationId {
    ConversationId::new(1).unwrap()
}

/// What only this chat says.
pub fn words(id: i64) -> String {
    format!("<{id}>")
}

impl Server {
    /// A group that 1 owns, with 2 and 3.
    pub fn new() -> Self {
        let member = |id| GroupMember {
            user: user(id),
            role: if id == 1 { Role::Owner } else { Role::Member },
            joined_at: Timestamp::from_millis(0),
        };
        Self {
            group: Group { title: None, members: (1..=3).map(member).collect() },
            chats: BTreeMap::new(),
            changes: BTreeMap::new(),
            last_id: 0,
            readers: (1..=3).map(|id| (user(id), Reader::default())).collect(),
        }
    }

    fn next_id(&mut self) -> ChatId {
        self.last_id += 1;
        ChatId::new(self.last_id).unwrap()
    }

    fn role(&self, user: UserId) -> Option<Role> {
        self.group.members.iter().find(|member| member.user == user).map(|member| member.role)
    }

    pub fn timeline(&self, user: UserId) -> &[Event] {
        &self.readers[&user].timeline
    }

    /// A chat as every answer and frame shows it now.
    fn rendered(&self, id: ChatId) -> Chat {
        let mut chat = self.chats[&id].clone();
        chat.reply_to = chat.reply_to.map(|quote| self.quote(quote.id));
        chat
    }

    fn quote(&self, id: ChatId) -> Quote {
        let quoted = &self.chats[&id];
        Quote {
            id,
            user_id: quoted.user_id,
            user_name: quoted.user_name.clone(),
            kind: quoted.kind.clone(),
            content: Quote::cut(&quoted.content).into(),
            state: quoted.state.clone(),
        }
    }

    /// Whether a chat was sent while the user was a member.
    fn is_in_reach(&self, user: UserId, id: ChatId) -> bool {
        let (reader, id) = (&self.readers[&user], id.get());
        self.role(user).is_some() && id > reader.visible_after
            || reader.stretches.iter().any(|(from, to)| *from < id && id <= *to)
    }

    fn is_gone(&self, user: UserId, id: ChatId) -> bool {
        let reader = &self.readers[&user];
        id.get() <= reader.cleared_up_to || reader.deleted.contains(&id)
    }

    fn may_read(&self, user: UserId, id: ChatId) -> bool {
        self.is_in_reach(user, id) && !self.is_gone(user, id)
    }

    /// The chats that a user may read, oldest first.
    pub fn readable(&self, user: UserId) -> Vec<Value> {
        let ids = self.chats.keys().filter(|id| self.may_read(user, **id));
        ids.map(|id| json!(self.rendered(*id))).collect()
    }

    /// One of the chats that a member may read.
    fn choose(&self, user: UserId, n: usize) -> Option<ChatId> {
        self.role(user)?;
        let ids: Vec<_> = self.chats.keys().filter(|id| self.may_read(user, **id)).collect();
        // Mostly one of the last: histories are short.
        (!ids.is_empty()).then(|| *ids[ids.len() - 1 - n % ids.len().min(8)])
    }

    /// What an event says to whom it was told, read now.
    fn change(&self, user: UserId, about: About) -> Change {
        let is_member = self.role(user).is_some();
        match about {
            About::Chat(id) | About::Changed(id) if self.is_gone(user, id) => gone(id),
            About::Chat(id) => Change::Chat(Box::new(self.rendered(id))),
            About::Changed(id) => Change::Changed(Box::new(self.rendered(id))),
            About::Gone(id) => gone(id),
            About::Group | About::Own if is_member => {
                let own = OwnConversation {
                    role: self.role(user),
                    settings: OwnSettings::default(),
                    hidden_up_to: 0,
                    cleared_up_to: self.readers[&user].cleared_up_to,
                };
                let seen = SeenConversation {
                    external_id: None,
                    group: Some(GroupFace {
                        title: None,
                        member_count: u32::try_from(self.group.members.len()).unwrap(),
                        members_version: 0,
                    }),
                    version: ChatId::new(self.last_id).ok(),
                    own: matches!(about, About::Own).then_some(own),
                };
                of_group(Some(seen))
            }
            About::Group | About::Own | About::Left => of_group(None),
        }
    }

    /// An event as the frame that is made of it now.
    pub fn frame(&self, user: UserId, nth: usize) -> Value {
        framed(user, nth, self.change(user, self.timeline(user)[nth].about))
    }

    fn tell(&mut self, users: Vec<UserId>, about: About) {
        for user in users {
            let change = match about {
                // All who hear of it at once are told the same.
                About::Changed(id) => Change::Changed(Box::new(self.rendered(id))),
                _ => self.change(user, about),
            };
            let first = framed(user, self.timeline(user).len(), change);
            self.readers.get_mut(&user).unwrap().timeline.push(Event { about, first });
        }
    }

    fn members(&self) -> Vec<UserId> {
        self.group.members.iter().map(|member| member.user).collect()
    }

    fn append(
        &mut self,
        sender: UserId,
        kind: ChatKind,
        body: Option<Payload>,
        quoted: Option<ChatId>,
    ) {
        let id = self.next_id();
        let long = if id.get() % 3 == 0 { "长".repeat(110) } else { String::new() };
        let content = match kind {
            ChatKind::System => "a line".to_owned(),
            _ => words(id.get()) + &long,
        };
        let chat = Chat {
            id,
            user_id: sender,
            user_name: UserName::placeholder(sender.get()),
            target: None,
            content: content.into(),
            create_time: Timestamp::from_millis(0),
            client_msg_id: ClientMsgId::parse(&format!("k{id}")).unwrap(),
            conversation_id: conversation(),
            kind,
            body,
            state: None,
            version: 1,
            reply_to: quoted.map(|id| self.quote(id)),
            mentions: None,
        };
        self.chats.insert(id, chat);
        self.tell(self.members(), About::Chat(id));
    }

    pub fn send(&mut self, sender: i64, quoted: Option<usize>) {
        let sender = user(sender);
        if self.role(sender).is_some() {
            let quoted = quoted.and_then(|n| self.choose(sender, n));
            self.append(sender, ChatKind::Text, None, quoted);
        }
    }

    pub fn recall(&mut self, actor: i64, n: usize) {
        let actor = user(actor);
        let Some(id) = self.choose(actor, n) else { return };
        let is_in_charge = self.role(actor) >= Some(Role::Admin);
        let chat = self.chats.get_mut(&id).unwrap();
        let is_theirs = chat.user_id == actor || is_in_charge;
        if chat.kind == ChatKind::System || !is_theirs || chat.state.is_some() {
            return;
        }
        (chat.content, chat.state) = ("".into(), Some(ChatState::Recalled));
        (chat.body, chat.reply_to, chat.mentions) = (None, None, None);
        chat.version += 1;
        let change = self.next_id();
        self.changes.insert(id, change.get());
        let mut told = self.members();
        told.retain(|user| self.hears_of(*user, id));
        self.tell(told, About::Changed(id));
    }

    /// Whether a member may read a chat, or one that quotes it.
    fn hears_of(&self, user: UserId, id: ChatId) -> bool {
        let quotes = |chat: &&Chat| chat.reply_to.as_ref().is_some_and(|quote| quote.id == id);
        let mut quoting = self.chats.values().filter(quotes);
        self.is_in_reach(user, id) || quoting.any(|chat| self.is_in_reach(user, chat.id))
    }

    pub fn delete(&mut self, reader: i64, n: usize) {
        let reader = user(reader);
        if let Some(id) = self.choose(reader, n) {
            self.readers.get_mut(&reader).unwrap().deleted.insert(id);
            self.tell(vec![reader], About::Gone(id));
        }
    }

    pub fn clear(&mut self, reader: i64) {
        let reader = user(reader);
        let last = self.chats.last_key_value().map_or(0, |(id, _)| id.get());
        if self.role(reader).is_some() && last > self.readers[&reader].cleared_up_to {
            self.readers.get_mut(&reader).unwrap().cleared_up_to = last;
            self.tell(vec![reader], About::Own);
        }
    }

    pub fn change_group(&mut self, actor: i64, change: &GroupChange) {
        let actor = user(actor);
        let Ok(decision) = decide(&self.group, Changer::Member(actor), change, RULES) else {
            return;
        };
        let last = self.chats.last_key_value().map_or(0, |(id, _)| id.get());
        for user in &decision.joining {
            let joined_at = Timestamp::from_millis(self.last_id);
            self.group.members.push(GroupMember { user: *user, role: Role::Member, joined_at });
            self.readers.get_mut(user).unwrap().visible_after = last;
        }
        for line in &decision.lines {
            let name = |user: UserId| UserName::placeholder(user.get());
            let body = Payload::parse(line.body(name).to_string()).unwrap();
            self.append(actor, ChatKind::System, Some(body), None);
        }
        if let Some(user) = decision.leaving {
            let last = self.chats.last_key_value().unwrap().0.get();
            let reader = self.readers.get_mut(&user).unwrap();
            reader.stretches.push((reader.visible_after, last));
            self.group.members.retain(|member| member.user != user);
        }
        if !decision.lines.is_empty() {
            self.tell(self.members(), About::Group);
            self.tell(decision.leaving.into_iter().collect(), About::Left);
        }
    }

    /// The answer to a question.
    pub fn answer(&self, user: UserId, what: What) -> Value {
        match what {
            What::Conversation if self.role(user).is_some() => json!({"version": self.last_id}),
            What::Conversation => json!({"version": self.last_id, "left": true}),
            What::Newest => self.page(user, i64::MAX),
            What::Before(id) => self.page(user, id),
            What::ChangedSince(version) => self.changes(user, version),
        }
    }

    fn page(&self, user: UserId, before: i64) -> Value {
        let mut chats = self.readable(user);
        chats.retain(|chat| chat["id"].as_i64() < Some(before));
        let first = chats.len().saturating_sub(PAGE);
        json!({"chats": chats[first..], "hasMore": first > 0})
    }

    fn changes(&self, user: UserId, since: i64) -> Value {
        let at = |id: &ChatId| self.changes.get(id).copied().unwrap_or(id.get());
        let changes: BTreeMap<_, _> = self.chats.keys().map(|id| (at(id), *id)).collect();
        let mut later = changes.range(since + 1..);
        let page: Vec<_> = later.by_ref().take(CHANGES).collect();
        let chats = page.iter().filter(|(_, id)| self.may_read(user, **id));
        let chats: Vec<_> = chats.map(|(_, id)| self.rendered(**id)).collect();
        let version = page.last().map_or(since, |(at, _)| **at);
        json!({"chats": chats, "version": version, "hasMore": later.next().is_some()})
    }
}

fn gone(chat: ChatId) -> Change {
    Change::Gone { chat, conversation: conversation() }
}

fn of_group(seen: Option<SeenConversation>) -> Change {
    let kind = ConversationKind::Group;
    Change::Conversation(Box::new(ConversationChange { id: conversation(), kind, seen }))
}

/// The nth event of a timeline, as a frame.
fn framed(user: UserId, nth: usize, change: Change) -> Value {
    let seq = Seq::new(i64::try_from(nth).unwrap() + 1).unwrap();
    // Nothing in this world shows an upload.
    let links = MediaLinks::new(String::new(), Clock::system());
    let frame = frame(&TimelineEvent { seq, change }, user, &links);
    serde_json::from_str(&frame.text()).unwrap()
}
