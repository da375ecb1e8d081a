//! Words that must not be shown.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Rule, decided::as_decided};
use crate::{
    checks::{
        notes::MachineNotes,
        words::{Found, WordAction, WordFilter},
    },
    domain::{ChatKind, Content, card::Card},
    protocol::fault::{ApiError, ErrorCode},
    standing::to_its_end,
    store::{MachineAct, NewChat, Origin, Store, WantedKey},
};

/// Refuses, holds back or masks chats with words of the lists. What a company's own back end sends in somebody's name
/// passes.
///
/// A chat whose key was committed, or is held, passes too: it is answered as before.
pub struct Words {
    filter: Arc<WordFilter>,
    store: Arc<dyn Store>,
    notes: MachineNotes,
}

impl Words {
    /// The rule, with these lists.
    pub fn new(filter: Arc<WordFilter>, store: Arc<dyn Store>, notes: MachineNotes) -> Self {
        Self { filter, store, notes }
    }

    fn note(&self, chat: &NewChat, action: &'static str, why: &Found) {
        self.notes.note(MachineAct::new("words", action, chat.sender, &why.line.to_string()));
    }

    async fn refuse(&self, chat: &mut NewChat, why: &Found) -> Result<(), ApiError> {
        let (store, wanted) = (Arc::clone(&self.store), [WantedKey::of(chat)]);
        let states = to_its_end(async move { store.key_states(&wanted).await }).await?;
        for state in states {
            if as_decided(state, chat)? {
                return Ok(());
            }
        }
        self.note(chat, "chat.refuse", why);
        Err(ApiError::new(ErrorCode::ContentRejected, "this chat was refused"))
    }
}

#[async_trait]
impl Rule for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        if chat.origin == Origin::Server {
            return Ok(());
        }
        let card = match (&chat.kind, &chat.body) {
            (ChatKind::Card, Some(body)) => Card::read(body),
            _ => None,
        };
        let description = card.as_ref().and_then(Card::description);
        let in_content = self.filter.find(chat.content.as_str());
        let in_description = description.and_then(|text| self.filter.find(text));
        let Some(strongest) =
            in_content.iter().chain(&in_description).max_by_key(|found| found.action)
        else {
            return Ok(());
        };
        // A file is served under its name, which stays.
        let action = match strongest.action {
            WordAction::Mask if chat.kind == ChatKind::File => WordAction::Deny,
            action => action,
        };
        metrics::counter!("imserver_checks_total", "checker" => "words", "outcome" => action.as_str())
            .increment(1);
        if action == WordAction::Deny {
            return self.refuse(chat, strongest).await;
        }
        let noted = if action == WordAction::Hold { "chat.hold" } else { "chat.mask" };
        self.note(chat, noted, strongest);
        chat.hold |= action == WordAction::Hold;
        let masked = |found: &Option<Found>, text: &str| found.as_ref()?.masked(text);
        let content = masked(&in_content, chat.content.as_str());
        let description = description.and_then(|text| masked(&in_description, text));
        if chat.kind == ChatKind::File || content.is_none() && description.is_none() {
            return Ok(());
        }
        chat.asked = Some(chat.digest());
        let content = content.unwrap_or_else(|| chat.content.as_str().to_owned());
        if let Some(card) = card {
            chat.body = Some(card.reworded(&content, description));
        }
        chat.content = Content::of_service(&content);
        Ok(())
    }
}
