//! What was decided about a key before: for a service without the hook, which asks for it otherwise.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::Rule;
use crate::{
    protocol::fault::ApiError,
    standing::to_its_end,
    store::{KeyState, NewChat, Store, WantedKey},
};

/// The pause between two looks for keys that are held or were refused.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Answers a repeat of a key that is held with that it is, and of one that was refused with its refusal.
///
/// The database is asked about a chat only where there are such keys at all, which [`Decided::follow`] finds out.
/// Until its first look there may be some.
#[derive(Clone)]
pub struct Decided {
    store: Arc<dyn Store>,
    may_be: Arc<AtomicBool>,
}

impl Decided {
    /// The rule.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, may_be: Arc::new(AtomicBool::new(true)) }
    }

    /// Looks again and again, for ever, whether there are such keys: replicas with the hook may make some.
    pub async fn follow(self) {
        loop {
            match self.store.has_decided_keys().await {
                Ok(may_be) => self.may_be.store(may_be, Ordering::Relaxed),
                Err(error) => tracing::debug!(%error, "not known whether chats are held"),
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

#[async_trait]
impl Rule for Decided {
    fn name(&self) -> &'static str {
        "decided"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        if self.may_be.load(Ordering::Relaxed) {
            as_decided(&self.store, chat).await?;
        }
        Ok(())
    }
}

/// Has a chat whose key is held be held, and refuses one whose key was refused or is another chat's. Says whether anything was decided
/// about the key: also that a chat is committed under it.
pub(super) async fn as_decided(
    store: &Arc<dyn Store>,
    chat: &mut NewChat,
) -> Result<bool, ApiError> {
    let (store, wanted) = (Arc::clone(store), WantedKey::of(chat));
    match to_its_end(async move { store.key_state(&wanted).await }).await? {
        KeyState::Held => chat.hold = true,
        KeyState::Refused(refusal) => return Err(refusal.into()),
        KeyState::Reused => return Err(ApiError::client_msg_id_reused()),
        KeyState::Commit => {}
        KeyState::Asked | KeyState::Taken(_) | KeyState::Allowed(_) => return Ok(false),
    }
    Ok(true)
}
