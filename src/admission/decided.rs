//! Whether a chat's key was held or refused before: for a service where nobody decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::Rule;
use crate::{
    coalescer::{Coalescer, READS},
    protocol::fault::ApiError,
    store::{KeyState, NewChat, Store, StoreError, WantedKey},
};

/// How often it is looked up whether any key is held or was refused.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Answers a repeat of a held key with `held`, and a repeat of a refused key with its refusal.
///
/// The database is asked about a chat only where there are such keys at all, which [`Decided::follow`] finds out.
/// Until its first look there may be some.
#[derive(Clone)]
pub struct Decided {
    store: Arc<dyn Store>,
    looks: Coalescer<WantedKey, KeyState, StoreError>,
    may_be: Arc<AtomicBool>,
}

impl Decided {
    /// The rule.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let looking = Arc::clone(&store);
        let looks = Coalescer::new(READS, move |wanted: Vec<WantedKey>| {
            let store = Arc::clone(&looking);
            async move { store.key_states(&wanted).await }.boxed()
        });
        Self { store, looks, may_be: Arc::new(AtomicBool::new(true)) }
    }

    /// Looks again and again, for ever, whether there are such keys: replicas where somebody decides may make some.
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
            let state = self.looks.call(WantedKey::of(chat)).await?;
            as_decided(state, chat)?;
        }
        Ok(())
    }
}

/// Has a chat whose key is held be held, and refuses one whose key was refused or is another chat's. Says whether
/// anything was decided about the key: also that a chat is committed under it.
pub(super) fn as_decided(state: KeyState, chat: &mut NewChat) -> Result<bool, ApiError> {
    match state {
        KeyState::Held => chat.hold = true,
        KeyState::Refused(refusal) => return Err(refusal.into()),
        KeyState::Reused => return Err(ApiError::client_msg_id_reused()),
        KeyState::Commit => {}
        KeyState::Asked | KeyState::Taken(..) | KeyState::Allowed(_) => return Ok(false),
    }
    Ok(true)
}
