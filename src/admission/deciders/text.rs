//! Asks a checker of texts about chats.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Decider, Opinion};
use crate::{
    checks::{
        Place,
        notes::MachineNotes,
        texts::{Judgement, TextChecks},
    },
    domain::{ChatKind, MediaKind, card::Card},
    store::{MachineAct, NewChat, Origin, Preview},
};

/// Asks about the words of chats: of texts, cards, and the names of files. What a company's own back end sends in
/// somebody's name passes.
pub struct TextDecider {
    checks: TextChecks,
    notes: MachineNotes,
}

impl TextDecider {
    /// Asks these checks.
    pub fn new(checks: TextChecks, notes: MachineNotes) -> Self {
        Self { checks, notes }
    }
}

#[async_trait]
impl Decider for TextDecider {
    async fn decide(&self, chat: &NewChat, _: &Preview, answer_by: Instant) -> Opinion {
        let Some(words) = words(chat).filter(|_| chat.origin == Origin::Client) else {
            return Opinion::Pass;
        };
        let note = |action, why| {
            self.notes.note(MachineAct::new("wechat_text", action, chat.sender, why));
        };
        match self.checks.judge(chat.sender, Place::Chat, &words, answer_by).await {
            Judgement::Pass => Opinion::Pass,
            Judgement::Unavailable => Opinion::Unknown,
            Judgement::Hold(why) => {
                note("chat.hold", why);
                Opinion::Hold
            }
            Judgement::Refuse(why) => {
                note("chat.refuse", why);
                Opinion::Deny(None)
            }
        }
    }
}

/// What people read of a chat; `None`: it has no words.
fn words(chat: &NewChat) -> Option<String> {
    let content = chat.content.as_str();
    match (&chat.kind, &chat.body) {
        (ChatKind::Image | ChatKind::Voice, _) => None,
        (ChatKind::File, _) => {
            let name = content.strip_prefix(MediaKind::File.placeholder()).unwrap_or(content);
            Some(name.trim_start().to_owned()).filter(|name| !name.is_empty())
        }
        (ChatKind::Card, Some(body)) => {
            let card = Card::read(body);
            let description = card.as_ref().and_then(Card::description);
            Some(
                description.map_or_else(|| content.to_owned(), |more| format!("{content}\n{more}")),
            )
        }
        _ => Some(content.to_owned()),
    }
}
