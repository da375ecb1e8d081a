//! A client that keeps the chats of one conversation by the rules of `docs/protocol.md`, "Keeping a cache".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Bug;

/// What is asked over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The conversation.
    Conversation,
    /// Its newest chats.
    Newest,
    /// Its newest chats before this one.
    Before(i64),
    /// What is new or changed since this version.
    ChangedSince(i64),
}

/// A question, and after how many times that all was forgotten it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub what: What,
    forgotten: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Client {
    bug: Bug,
    /// All that was heard of each chat, at its highest version.
    chats: BTreeMap<i64, Value>,
    /// The chats that are there. Others have changed only, and may never be one's own to read.
    present: BTreeSet<i64>,
    /// With the version that was known then.
    deleted: BTreeMap<i64, i64>,
    recalled: BTreeSet<i64>,
    cleared_up_to: i64,
    /// No chat from this one on is missing. `None` before the first page.
    begin: Option<i64>,
    /// Where `changedSince` goes on.
    version: Option<i64>,
    has_left: bool,
    forgotten: u32,
}

fn id(chat: &Value) -> i64 {
    chat["id"].as_i64().unwrap()
}

fn version(chat: &Value) -> i64 {
    chat["version"].as_i64().unwrap()
}

fn blank(chat: &mut Value) {
    chat["content"] = "".into();
    chat["state"] = "recalled".into();
}

impl Client {
    pub fn new(bug: Bug) -> Self {
        Self { bug, ..Self::default() }
    }

    /// Applies an `event` frame.
    pub fn hear(&mut self, frame: &Value) {
        match frame["event"].as_str() {
            Some("chat") => self.merge(&frame["chat"], true),
            Some("changed") => self.merge(&frame["chat"], self.bug == Bug::ChangedAdds),
            Some("conversation") => self.hear_conversation(&frame["conversation"]),
            _ => {}
        }
    }

    fn hear_conversation(&mut self, conversation: &Value) {
        if conversation["left"] == true {
            self.has_left = true;
            return;
        }
        if std::mem::take(&mut self.has_left) && self.bug != Bug::ReturnIsOverlooked {
            self.forget();
        }
        if let Some(up_to) = conversation["clearedUpTo"].as_i64() {
            let is_later = self.bug == Bug::ClearGoesBack || up_to > self.cleared_up_to;
            self.cleared_up_to = if is_later { up_to } else { self.cleared_up_to };
            self.present = self.present.split_off(&(up_to + 1));
        }
    }

    /// The timeline does not go on from here.
    pub fn reset(&mut self) {
        self.has_left = false;
        if self.bug != Bug::ResetKeepsChats {
            self.forget();
        }
    }

    /// The conversation is opened. Whoever is no member is told of nothing.
    pub fn open(&mut self) {
        if self.has_left && self.bug != Bug::FormerMembersForgetNothing {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.forgotten += 1;
        (self.version, self.begin) = (None, None);
        self.chats.clear();
        self.present.clear();
    }

    pub fn ask(&self, what: What) -> Ask {
        Ask { what, forgotten: self.forgotten }
    }

    /// Whether an answer to this still counts.
    pub fn awaits(&self, ask: Ask) -> bool {
        ask.forgotten == self.forgotten || self.bug == Bug::OldAnswersCount
    }

    /// What must be asked next.
    pub fn due(&self) -> Option<Ask> {
        let what = match (self.version, self.begin) {
            (None, None) if self.bug == Bug::VersionAfterPage => What::Newest,
            (None, _) => What::Conversation,
            (Some(_), None) => What::Newest,
            (Some(_), Some(_)) => return None,
        };
        Some(self.ask(what))
    }

    /// Asks for what is new or changed; not before the version is known.
    pub fn changes(&self) -> Option<Ask> {
        self.version.map(|version| self.ask(What::ChangedSince(version)))
    }

    /// Asks for chats further up, if there are some.
    pub fn older(&self) -> Option<Ask> {
        self.begin.filter(|begin| *begin > 0).map(|begin| self.ask(What::Before(begin)))
    }

    /// What may be asked besides.
    pub fn may_ask(&self) -> Vec<Ask> {
        let Some(changes) = self.changes() else { return Vec::new() };
        let all = [self.ask(What::Conversation), self.ask(What::Newest), changes];
        all.into_iter().chain(self.older()).collect()
    }

    /// Takes an answer.
    pub fn take(&mut self, ask: Ask, answer: &Value) {
        if !self.awaits(ask) {
            return;
        }
        let chats = answer["chats"].as_array().map(Vec::as_slice).unwrap_or_default();
        match ask.what {
            What::Conversation => {
                let known = self.version.filter(|_| self.bug != Bug::VersionOfLaterAnswers);
                self.version = known.or(answer["version"].as_i64());
                self.has_left |= answer["left"] == true;
            }
            What::Newest | What::Before(_) => {
                let first = chats.first().filter(|_| answer["hasMore"] == true).map_or(0, id);
                self.begin = Some(self.begin.map_or(first, |begin| begin.min(first)));
                if self.bug == Bug::PagesReplace && ask.what == What::Newest {
                    self.present.retain(|id| *id < first);
                }
                for chat in chats {
                    self.merge(chat, true);
                }
            }
            What::ChangedSince(_) => {
                for chat in chats {
                    self.merge(chat, true);
                }
                self.version = self.version.max(answer["version"].as_i64());
            }
        }
    }

    fn merge(&mut self, chat: &Value, adds: bool) {
        let id = id(chat);
        if chat["state"] == "deleted" {
            let known = self.chats.get(&id).map_or(0, version);
            self.deleted.insert(id, known);
            self.present.remove(&id);
            return;
        }
        if chat["state"] == "recalled" {
            if self.bug == Bug::UnknownRecallIsForgotten && !adds && !self.present.contains(&id) {
                return;
            }
            self.hear_of_recall(id);
        }
        if chat["replyTo"]["state"] == "recalled" && self.bug != Bug::QuotesTellNothing {
            self.hear_of_recall(chat["replyTo"]["id"].as_i64().unwrap());
        }
        let known = self.chats.get(&id).map(version);
        if known < Some(version(chat)) || self.bug == Bug::LowerVersionWins {
            self.chats.insert(id, chat.clone());
        }
        let may_return = match self.bug {
            Bug::DeletedComesBack => true,
            Bug::DeletedHasAVersion => self.deleted.get(&id).is_none_or(|at| version(chat) > *at),
            _ => !self.deleted.contains_key(&id),
        };
        let is_cleared = id <= self.cleared_up_to && self.bug != Bug::ClearedComesBack;
        if adds && may_return && !is_cleared {
            self.present.insert(id);
        }
    }

    fn hear_of_recall(&mut self, id: i64) {
        self.recalled.insert(id);
        if self.bug == Bug::LaterQuotesKeepWords {
            let quotes = self.chats.values_mut().filter_map(|chat| chat.get_mut("replyTo"));
            quotes.filter(|quote| quote["id"] == id).for_each(blank);
        }
    }

    /// The chat from which on all are shown.
    pub fn begin(&self) -> Option<i64> {
        self.begin
    }

    /// What is shown, oldest first.
    pub fn shown(&self) -> Vec<Value> {
        let Some(begin) = self.begin else { return Vec::new() };
        let present = self.present.range(begin..);
        present.map(|id| self.shown_one(&self.chats[id])).collect()
    }

    fn shown_one(&self, chat: &Value) -> Value {
        let mut chat = chat.clone();
        if self.recalled.contains(&id(&chat)) {
            blank(&mut chat);
            let fields = chat.as_object_mut().unwrap();
            fields.retain(|key, _| !["body", "replyTo", "mentions"].contains(&&**key));
        }
        let keeps_words = matches!(self.bug, Bug::QuotesKeepWords | Bug::LaterQuotesKeepWords);
        let quoted = chat["replyTo"]["id"].as_i64();
        if quoted.is_some_and(|quoted| self.recalled.contains(&quoted)) && !keeps_words {
            blank(&mut chat["replyTo"]);
        }
        chat
    }
}
