//! Whether people and groups may be called so.

use std::{fmt, sync::Arc};

use super::{Place, notes::MachineNotes, words::WordFilter};
use crate::{
    domain::{UserId, UserName},
    protocol::fault::{ApiError, ErrorCode},
    store::MachineAct,
};

/// Checks names of users and titles of groups. The default lets all pass; clones share the checks.
#[derive(Clone, Default)]
pub struct Names {
    words: Option<Arc<WordFilter>>,
    notes: Option<MachineNotes>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("words", &self.words.is_some()).finish_non_exhaustive()
    }
}

impl Names {
    /// Checks by these words.
    pub fn new(words: Option<Arc<WordFilter>>, notes: MachineNotes) -> Self {
        Self { words, notes: Some(notes) }
    }

    /// The name, if somebody new may have it without anybody being asked.
    pub fn at_once<'n>(&self, name: &'n UserName) -> Option<&'n UserName> {
        let words = self.words.as_ref();
        Some(name).filter(|name| words.is_none_or(|words| words.find(name.as_str()).is_none()))
    }

    /// Refuses a name or a title that must not be shown. A word of a list refuses it whatever is done about the word
    /// in chats: a name can neither be held, nor be stars.
    pub async fn check(&self, author: UserId, place: Place, name: &str) -> Result<(), ApiError> {
        let Some(found) = self.words.as_ref().and_then(|words| words.find(name)) else {
            return Ok(());
        };
        metrics::counter!("imserver_checks_total", "checker" => "words", "outcome" => "deny")
            .increment(1);
        Err(self.refusal(author, place, "words", &found.line.to_string()))
    }

    fn refusal(
        &self,
        author: UserId,
        place: Place,
        machine: &'static str,
        why: &str,
    ) -> ApiError {
        let (action, detail) = match place {
            Place::Title => ("title.refuse", "this title was refused"),
            Place::Name | Place::Chat => ("name.refuse", "this name was refused"),
        };
        if let Some(notes) = &self.notes {
            notes.note(MachineAct::new(machine, action, author, why));
        }
        ApiError::new(ErrorCode::ContentRejected, detail)
    }
}
