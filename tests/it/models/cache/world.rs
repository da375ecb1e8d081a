//! The server, three clients, and what is under way between them.

use std::collections::BTreeSet;

use imserver::domain::{GroupChange, UserId};
use serde_json::Value;

use super::{
    Bug, Step,
    client::{Ask, Client, What},
    server::{Server, user, words},
};

/// The phone that hears no events.
const DEAF: usize = 2;

/// A question that is under way, or its answer.
struct Request {
    ask: Ask,
    answer: Option<Value>,
}

/// A user's phone, and what it was told.
struct Phone {
    user: UserId,
    client: Client,
    /// How many events it has heard, and how many it had when it last forgot all.
    heard: usize,
    begun_at: usize,
    requests: Vec<Request>,
    recalled: BTreeSet<i64>,
    deleted: BTreeSet<i64>,
    cleared_up_to: i64,
}

impl Phone {
    /// Remembers what it is told for good.
    fn note(&mut self, told: &Value) {
        let chats = told["chats"].as_array().into_iter().flatten();
        for chat in chats.chain([&told["chat"]]) {
            for it in [chat, &chat["replyTo"]] {
                match it["state"].as_str() {
                    Some("recalled") => self.recalled.insert(it["id"].as_i64().unwrap()),
                    Some("deleted") => self.deleted.insert(it["id"].as_i64().unwrap()),
                    _ => false,
                };
            }
        }
        let cleared = told["conversation"]["clearedUpTo"].as_i64().unwrap_or_default();
        self.cleared_up_to = self.cleared_up_to.max(cleared);
    }

    fn take(&mut self, ask: Ask, answer: &Value) {
        if self.client.awaits(ask) {
            self.note(answer);
        }
        self.client.take(ask, answer);
    }

    /// Whether it shows nothing of which it was told that it is gone.
    fn check(&self) -> Result<(), String> {
        for chat in self.client.shown() {
            let id = chat["id"].as_i64().unwrap();
            if self.deleted.contains(&id) || id <= self.cleared_up_to {
                return Err(format!("user {} is shown {id}, which is gone", self.user));
            }
            for it in [&chat, &chat["replyTo"]] {
                let id = it["id"].as_i64().unwrap_or_default();
                let says = it["content"].as_str().unwrap_or_default().starts_with(&words(id));
                if says && self.recalled.contains(&id) {
                    return Err(format!("user {} is shown the words of {id}", self.user));
                }
            }
        }
        Ok(())
    }
}

pub struct World {
    server: Server,
    /// Of the owner, of a member who comes and goes, and of one who hears no events.
    phones: [Phone; 3],
}

impl World {
    pub fn new(bug: Bug) -> Self {
        let phone = |id| Phone {
            user: user(id),
            client: Client::new(bug),
            heard: 0,
            begun_at: 0,
            requests: Vec::new(),
            recalled: BTreeSet::new(),
            deleted: BTreeSet::new(),
            cleared_up_to: 0,
        };
        Self { server: Server::new(), phones: [phone(1), phone(2), phone(3)] }
    }

    pub fn take(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Send(sender, quoted) => self.server.send(sender, quoted),
            Step::Recall(actor, n) => self.server.recall(actor, n),
            Step::Delete(reader, n) => self.server.delete(reader, n),
            Step::Clear(reader) => self.server.clear(reader),
            Step::Leave(actor) => {
                self.server.change_group(actor, &GroupChange::Remove(user(2)));
            }
            Step::Return => self.server.change_group(3, &GroupChange::Add([user(2)].into())),
            Step::Hear(at, is_late) => {
                self.hear(at, is_late);
                return self.phones[at].check();
            }
            Step::HearAgain(at, n, is_late) => {
                self.hear_again(at, n, is_late);
                return self.phones[at].check();
            }
            Step::Reset(at) => {
                let phone = &mut self.phones[at];
                phone.heard = self.server.timeline(phone.user).len();
                phone.begun_at = phone.heard;
                phone.client.reset();
            }
            Step::AskDue(at) => {
                let ask = self.phones[at].client.due();
                self.ask(at, ask);
            }
            Step::Ask(at, n) => {
                let asks = self.phones[at].client.may_ask();
                let ask = (!asks.is_empty()).then(|| asks[n % asks.len()]);
                self.ask(at, ask);
            }
            Step::Serve(at, n) => self.serve(at, n),
            Step::Arrive(at, n) => {
                self.arrive(at, n);
                return self.phones[at].check();
            }
        }
        Ok(())
    }

    /// Hears the next event, if there is one: as it was when it happened, or as it is read now.
    fn hear(&mut self, at: usize, is_late: bool) -> bool {
        let phone = &mut self.phones[at];
        let next = self.server.timeline(phone.user).get(phone.heard);
        let Some(event) = next.filter(|_| at != DEAF) else { return false };
        let frame =
            if is_late { self.server.frame(phone.user, phone.heard) } else { event.first.clone() };
        phone.heard += 1;
        phone.note(&frame);
        let before = phone.client.ask(What::Newest);
        phone.client.hear(&frame);
        if !phone.client.awaits(before) {
            phone.begun_at = phone.heard;
        }
        true
    }

    /// Hears of a chat what it has heard before, since it forgot all.
    fn hear_again(&mut self, at: usize, n: usize, is_late: bool) {
        let phone = &mut self.phones[at];
        let known = phone.heard - phone.begun_at;
        if known == 0 {
            return;
        }
        let nth = phone.begun_at + n % known;
        let event = &self.server.timeline(phone.user)[nth];
        if event.is_of_chat() {
            let frame =
                if is_late { self.server.frame(phone.user, nth) } else { event.first.clone() };
            phone.note(&frame);
            phone.client.hear(&frame);
        }
    }

    fn ask(&mut self, at: usize, ask: Option<Ask>) {
        let ask = ask.map(|ask| Request { ask, answer: None });
        self.phones[at].requests.extend(ask);
    }

    /// The server answers one of the questions.
    fn serve(&mut self, at: usize, n: usize) {
        let phone = &mut self.phones[at];
        let count = phone.requests.len().max(1);
        if let Some(request) = phone.requests.get_mut(n % count) {
            let answer = || self.server.answer(phone.user, request.ask.what);
            request.answer.get_or_insert_with(answer);
        }
    }

    /// One of the answers arrives, whichever was asked first.
    fn arrive(&mut self, at: usize, n: usize) {
        self.serve(at, n);
        let requests = &mut self.phones[at].requests;
        if !requests.is_empty() {
            let Request { ask, answer } = requests.remove(n % requests.len());
            self.phones[at].take(ask, &answer.unwrap());
        }
    }

    /// Asks, and has the answer at once.
    fn exchange(&mut self, at: usize, ask: Ask) -> Result<Value, String> {
        let phone = &mut self.phones[at];
        let answer = self.server.answer(phone.user, ask.what);
        phone.take(ask, &answer);
        phone.check().map(|()| answer)
    }

    /// Lets all that is under way arrive, the newest answers first, and looks whether the clients show what
    /// the server has.
    pub fn settle(&mut self) -> Result<(), String> {
        for at in 0..self.phones.len() {
            while self.hear(at, false) {
                self.phones[at].check()?;
            }
            while let Some(last) = self.phones[at].requests.len().checked_sub(1) {
                self.arrive(at, last);
                self.phones[at].check()?;
            }
            self.phones[at].client.open();
            while let Some(ask) = self.phones[at].client.due() {
                self.exchange(at, ask)?;
            }
            while let Some(ask) = self.phones[at].client.changes().filter(|_| at == DEAF) {
                if self.exchange(at, ask)?["hasMore"] == false {
                    break;
                }
            }
            self.compare(at)?;
            // What is further up was kept, or is loaded now.
            while let Some(ask) = self.phones[at].client.older() {
                self.exchange(at, ask)?;
            }
            self.compare(at)?;
        }
        Ok(())
    }

    fn compare(&self, at: usize) -> Result<(), String> {
        let phone = &self.phones[at];
        phone.check()?;
        let (shown, mut there) = (phone.client.shown(), self.server.readable(phone.user));
        let begin = phone.client.begin();
        there.retain(|chat| chat["id"].as_i64() >= begin);
        if shown != there {
            return Err(format!("user {} is shown {shown:#?}\nand not {there:#?}", phone.user));
        }
        Ok(())
    }
}
