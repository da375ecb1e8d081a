//! Has pictures and voice messages checked by somebody who answers later, and refuses those that are known to be risky.

use std::sync::Arc;

use async_trait::async_trait;

use super::Rule;
use crate::{
    domain::{Media, MediaKind, OnFailure},
    protocol::fault::{ApiError, ErrorCode},
    standing::to_its_end,
    store::{CheckState, KeyState, NewChat, Store, StoreError, WantedKey},
};

/// What a sender is told of a medium that is not shown.
pub const NOT_SHOWN: &str = "this picture or voice message cannot be sent";

/// The types of what WeChat can check; it says so of jpg, png, mp3, aac and wav among others. Of what is stored here,
/// m4a is missing.
const CHECKABLE: [&str; 5] = ["image/jpeg", "image/png", "audio/mpeg", "audio/aac", "audio/wav"];

/// The last rule of the door: a chat that another rule holds back waits for somebody, whatever comes of the check.
pub struct CheckedMedia {
    store: Arc<dyn Store>,
    /// Whether a chat waits for the check, or is shown at once and recalled if need be.
    holds: bool,
    /// What becomes of a chat whose medium cannot be checked.
    on_unchecked: OnFailure,
}

impl CheckedMedia {
    /// The rule.
    pub fn new(store: Arc<dyn Store>, holds: bool, on_unchecked: OnFailure) -> Self {
        Self { store, holds, on_unchecked }
    }
}

/// How far the check of a chat's medium is; `None`: it shows none that is there.
async fn look(store: Arc<dyn Store>, chat: NewChat) -> Result<Option<CheckState>, StoreError> {
    let Some(id) = chat.media else { return Ok(None) };
    let Some(media) = store.media(id).await? else { return Ok(None) };
    let state = if is_checkable(&media) && !store.wechat_users(chat.sender).await?.is_empty() {
        store.want_check(&media, chat.sender).await?
    } else {
        CheckState::Unable
    };
    let is_refused = matches!(state, CheckState::Risky | CheckState::Unable);
    // A repeat gets the answer of the first one.
    if is_refused && store.key_states(&[WantedKey::of(&chat)]).await? == [KeyState::Commit] {
        return Ok(None);
    }
    Ok(Some(state))
}

fn is_checkable(media: &Media) -> bool {
    let is_medium = matches!(media.kind(), MediaKind::Image | MediaKind::Voice);
    is_medium && CHECKABLE.contains(&media.content_type.as_str())
}

#[async_trait]
impl Rule for CheckedMedia {
    fn name(&self) -> &'static str {
        "checked_media"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        if chat.media.is_none() {
            return Ok(());
        }
        let (store, asked) = (Arc::clone(&self.store), chat.clone());
        let Some(state) = to_its_end(look(store, asked)).await? else { return Ok(()) };
        let refused = || Err(ApiError::new(ErrorCode::ContentRejected, NOT_SHOWN));
        match state {
            CheckState::Pass => {}
            CheckState::Risky => return refused(),
            CheckState::Review => chat.hold |= self.holds,
            CheckState::Due | CheckState::Asked | CheckState::Failed => {
                // What somebody else holds back, the check does not release.
                if self.holds && !chat.hold {
                    (chat.hold, chat.awaits_check) = (true, true);
                }
            }
            CheckState::Unable => match self.on_unchecked {
                OnFailure::Allow => {}
                OnFailure::Hold => chat.hold = true,
                OnFailure::Deny => return refused(),
            },
        }
        Ok(())
    }
}
