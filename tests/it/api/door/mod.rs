//! The one door for sends, by rules of the tests' own: what it refuses, holds up and lets pass.

mod order;
mod refusals;
mod rooms;
mod time;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use imserver::{
    admission::Rule,
    protocol::fault::{ApiError, ErrorCode},
    store::NewChat,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Here, Person, eventually};

/// What a rule does about a chat.
#[derive(Clone, Copy)]
enum Does {
    /// Waits for [`Planned::release`].
    Holds,
    /// Waits for ever.
    Hangs,
    /// Says no.
    Refuses,
}

/// A rule that does what a test plans for some contents, lets all others pass, and notes about what it
/// was asked.
struct Planned {
    plan: Mutex<HashMap<String, Does>>,
    asked: Mutex<Vec<String>>,
    released: Semaphore,
}

impl Planned {
    /// A service with such a rule.
    fn start() -> (Here, Arc<Self>) {
        let rule = Arc::new(Self {
            plan: Mutex::default(),
            asked: Mutex::default(),
            released: Semaphore::new(0),
        });
        (Here::start(vec![Arc::clone(&rule) as Arc<dyn Rule>]), rule)
    }

    /// Plans for chats with this content; `None`: they pass.
    fn plan(&self, content: &str, does: Option<Does>) {
        let mut plan = self.plan.lock();
        match does {
            Some(does) => plan.insert(content.to_owned(), does),
            None => plan.remove(content),
        };
    }

    /// Lets one chat pass that is held, or that will be.
    fn release(&self) {
        self.released.add_permits(1);
    }

    /// Waits until it was asked about so many chats since the last time; returns their contents, in
    /// the order of the questions.
    async fn asked(&self, count: usize) -> Vec<String> {
        eventually("the rule is asked", async || self.asked.lock().len() >= count).await;
        std::mem::take(&mut *self.asked.lock())
    }
}

#[async_trait]
impl Rule for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        let content = chat.content.as_str();
        self.asked.lock().push(content.to_owned());
        let does = self.plan.lock().get(content).copied();
        match does {
            None => {}
            Some(Does::Holds) => self.released.acquire().await.unwrap().forget(),
            Some(Does::Hangs) => std::future::pending().await,
            Some(Does::Refuses) => return Err(ApiError::new(ErrorCode::Forbidden, "as planned")),
        }
        Ok(())
    }
}

/// The frame that sends a chat.
fn send(key: &str, target: &Person, content: &str) -> Value {
    json!({"type": "send", "clientMsgId": key, "targetUserId": target.id, "content": content})
}
