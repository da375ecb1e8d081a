//! Has WeChat check the texts of those users whom it knows.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::{
    checks::{Place, Suggestion, Text, TextCheck, Unchecked},
    store::Store,
    wechat::{Scene, TEXT_CHECK_WAIT, Wechat},
};

/// Checks texts by WeChat.
pub struct WechatTexts {
    wechat: Wechat,
    store: Arc<dyn Store>,
}

impl WechatTexts {
    /// Checks by WeChat, with the users of this store.
    pub fn new(wechat: Wechat, store: Arc<dyn Store>) -> Self {
        Self { wechat, store }
    }

    async fn ask(&self, text: &Text) -> Result<Suggestion, Unchecked> {
        let users = self.store.wechat_users(text.author).await.map_err(|error| {
            tracing::warn!(%error, "who somebody is to WeChat could not be looked up");
            Unchecked::Failed
        })?;
        let mut answer = Err(Unchecked::Unable);
        // The user may have left one mini program for another: WeChat knows those of the last two hours.
        for user in &users {
            answer = self.wechat.check_text(user, scene(text.place), &text.words, None).await;
            if answer != Err(Unchecked::Unable) {
                break;
            }
        }
        answer
    }
}

/// The scene of a place. Chats are 社交日志, what people who know each other say to each other: none of the four is
/// a chat, the one that is (5) is for games alone, and 论坛 is for what everybody may read. A group's title is read
/// by the same people as its chats. A name is part of a profile.
fn scene(place: Place) -> Scene {
    match place {
        Place::Name => Scene::Profile,
        Place::Chat | Place::Title => Scene::Social,
    }
}

#[async_trait]
impl TextCheck for WechatTexts {
    async fn check(&self, text: &Text) -> Result<Suggestion, Unchecked> {
        let by = Instant::now() + TEXT_CHECK_WAIT;
        timeout_at(by, self.ask(text)).await.unwrap_or(Err(Unchecked::Failed))
    }
}
