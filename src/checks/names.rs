//! Whether people and groups may be called so.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{
    Place,
    notes::MachineNotes,
    texts::{ANSWER_WAIT, Judgement, TextChecks},
    words::WordFilter,
};
use crate::{
    domain::{UserId, UserName},
    protocol::fault::{ApiError, ErrorCode},
    store::MachineAct,
};

/// Checks names of users and titles of groups. The default lets all pass; clones share the checks.
#[derive(Clone, Default)]
pub struct Names {
    words: Option<Arc<WordFilter>>,
    texts: Option<TextChecks>,
    notes: Option<MachineNotes>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("words", &self.words.is_some()).finish_non_exhaustive()
    }
}

impl Names {
    /// Checks by these words, then by these checks.
    pub fn new(
        words: Option<Arc<WordFilter>>,
        texts: Option<TextChecks>,
        notes: MachineNotes,
    ) -> Self {
        Self { words, texts, notes: Some(notes) }
    }

    /// The name, if somebody new may have it without anybody being asked.
    pub fn at_once<'n>(&self, name: &'n UserName) -> Option<&'n UserName> {
        Some(name).filter(|name| self.texts.is_none() && !self.has_listed_word(name))
    }

    /// Whether a word of a list is in it.
    pub fn has_listed_word(&self, name: &UserName) -> bool {
        self.words.as_ref().is_some_and(|words| words.find(name.as_str()).is_some())
    }

    /// Refuses a name or a title that must not be shown. A word of a list refuses it whatever is done about the word
    /// in chats: a name can neither be held, nor be stars. Where the checks of texts would have a chat be
    /// held, a name passes.
    pub async fn check(&self, author: UserId, place: Place, name: &str) -> Result<(), ApiError> {
        if let Some(found) = self.words.as_ref().and_then(|words| words.find(name)) {
            metrics::counter!("imserver_checks_total", "checker" => "words", "outcome" => "deny")
                .increment(1);
            return Err(self.refusal(author, place, "words", &found.line.to_string()));
        }
        let Some(texts) = &self.texts else { return Ok(()) };
        match texts.judge(author, place, name, Instant::now() + ANSWER_WAIT).await {
            Judgement::Pass | Judgement::Hold(_) => Ok(()),
            Judgement::Refuse(why) => Err(self.refusal(author, place, "wechat_text", why)),
            Judgement::Unavailable => {
                Err(ApiError::unavailable("whether this may be shown could not be found out"))
            }
        }
    }

    fn refusal(&self, author: UserId, place: Place, machine: &'static str, why: &str) -> ApiError {
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
