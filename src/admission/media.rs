//! What a chat shows: whether its sender may show it, and what the chat says of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::Rule;
use crate::{
    domain::{Content, MediaKind},
    protocol::fault::ApiError,
    standing::to_its_end,
    store::{NewChat, Store},
};

/// Fills in what chats say of the uploads that they show.
///
/// An upload that the sender may not show is taken from the chat, which then fails when it is committed,
/// unless it repeats one that was committed before: after a recall the upload is gone, and a repeat is
/// answered all the same.
pub struct ShownMedia(Arc<dyn Store>);

impl ShownMedia {
    /// The rule, with the uploads of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Rule for ShownMedia {
    fn name(&self) -> &'static str {
        "shown_media"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        let Some(id) = chat.media else { return Ok(()) };
        chat.asked = Some(chat.digest());
        let (store, sender) = (Arc::clone(&self.0), chat.sender);
        let found = to_its_end(async move { store.sendable_media(sender, id).await });
        let Some(media) = found.await? else {
            chat.media = None;
            return Ok(());
        };
        if MediaKind::parse(chat.kind.as_str()) != Some(media.kind()) {
            let detail = format!("`kind` must be `{}`, as the upload is", media.kind().as_str());
            return Err(ApiError::invalid(detail));
        }
        chat.content = Content::of_service(&media.content());
        chat.body = Some(media.body());
        Ok(())
    }
}
