//! People who read lists and old chats over HTTP.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use serde::Deserialize;
use tokio::sync::Semaphore;

use phone::{World, clock::Moment};

use crate::measure::{Meter, Timed};

/// How many requests of a thread are under way at once; more wait, and their wait counts.
const AT_ONCE: usize = 128;

/// See the module.
pub(super) struct Browsing {
    world: Arc<World>,
    meter: Arc<Meter>,
    places: Rc<RefCell<HashMap<u32, Place>>>,
    permits: Rc<Semaphore>,
}

/// Where somebody is in a conversation.
#[derive(Clone, Copy, Debug)]
struct Place {
    conversation: i64,
    before: Option<i64>,
}

#[derive(Deserialize)]
struct Conversations {
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chats {
    chats: Vec<Chat>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

impl Browsing {
    pub(super) fn new(world: Arc<World>, meter: Arc<Meter>) -> Self {
        Self { world, meter, places: Rc::default(), permits: Rc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads the list of conversations.
    pub(super) fn conversations(&self, person: u32, due: Moment) {
        let (reader, places) = (self.reader(person), Rc::clone(&self.places));
        tokio::task::spawn_local(async move {
            let path = "/v1/conversations?limit=50";
            let list: Option<Conversations> = reader.read(path, Timed::Conversations, due).await;
            if let Some(first) = list.and_then(|list| list.conversations.into_iter().next()) {
                let place = Place { conversation: first.id, before: None };
                places.borrow_mut().entry(person).or_insert(place);
            }
        });
    }

    /// Reads the newest chats of a conversation, or goes one page back. Who has seen no list yet reads that.
    pub(super) fn history(&self, person: u32, due: Moment) {
        let Some(place) = self.places.borrow().get(&person).copied() else {
            return self.conversations(person, due);
        };
        let (reader, places) = (self.reader(person), Rc::clone(&self.places));
        tokio::task::spawn_local(async move {
            let bound = place.before.map(|id| format!("&before={id}")).unwrap_or_default();
            let path = format!("/v1/conversations/{}/chats?limit=50{bound}", place.conversation);
            let page: Option<Chats> = reader.read(&path, Timed::History, due).await;
            let Some(page) = page else { return };
            let before = page.chats.first().map(|chat| chat.id).filter(|_| page.has_more);
            places.borrow_mut().insert(person, Place { before, ..place });
        });
    }

    fn reader(&self, person: u32) -> Reader {
        Reader {
            world: Arc::clone(&self.world),
            meter: Arc::clone(&self.meter),
            permits: Rc::clone(&self.permits),
            person: person as usize,
        }
    }
}

struct Reader {
    world: Arc<World>,
    meter: Arc<Meter>,
    permits: Rc<Semaphore>,
    person: usize,
}

impl Reader {
    async fn read<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        what: Timed,
        due: Moment,
    ) -> Option<T> {
        let _permit = self.permits.acquire().await.ok()?;
        let World { http, people, targets, clock, .. } = &*self.world;
        let url = targets[self.person % targets.len()].at(path);
        let request = http.get(url).bearer_auth(&people[self.person].token);
        let body = async {
            let answer = request.send().await.ok()?.error_for_status().ok()?;
            answer.bytes().await.ok()
        };
        let body = body.await;
        let is_load = self.meter.is_load(due);
        self.meter.count(is_load, |totals| {
            totals.requests += 1;
            totals.errors += u64::from(body.is_none());
        });
        if is_load && body.is_some() {
            self.meter.time(what, clock.now().since(due));
        }
        serde_json::from_slice(&body?).ok()
    }
}
