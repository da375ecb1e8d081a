//! Subscribe messages: WeChat tells whoever is away that there is a chat, once for each absence, for as long as
//! that user lets it.

mod begin;
mod send;
mod sender;

use std::sync::Arc;

use crate::{
    domain::{MessageTemplate, OpenId, TemplateId, UserId},
    store::{Store, StoreError},
};

pub use begin::Begin;
pub use send::{Sending, Wording};
pub use sender::{SendFault, SubscribeMessage, SubscribeSender};

/// WeChat's error for a user who lets nothing be sent, or nothing more.
const REFUSED: i64 = 43_101;

/// What users let be sent. The clients' reports are counted, and nothing else is: an event of WeChat about the same
/// panel has no id in common with them.
#[derive(Clone)]
pub struct Subscriptions {
    store: Arc<dyn Store>,
    template: MessageTemplate,
}

impl Subscriptions {
    /// Those to this template.
    pub fn new(store: Arc<dyn Store>, template: MessageTemplate) -> Self {
        Self { store, template }
    }

    /// The template that users are to be asked for.
    pub fn template(&self) -> &TemplateId {
        &self.template.id
    }

    /// Notes what a client was answered: how often its user accepted, and whether the user rejected.
    pub async fn report(
        &self,
        user: UserId,
        accepted: u32,
        is_rejected: bool,
    ) -> Result<(), StoreError> {
        if is_rejected {
            self.store.end_grants(user, &self.template).await
        } else if accepted > 0 {
            self.store.grant(user, &self.template, accepted).await
        } else {
            Ok(())
        }
    }

    /// Notes that WeChat says what a user has set for a template: only `reject` is news.
    pub async fn on_change(
        &self,
        appid: &str,
        openid: &OpenId,
        template: &str,
        status: &str,
    ) -> Result<(), StoreError> {
        self.end_if(status == "reject", appid, openid, template).await
    }

    /// Notes how WeChat says that the sending of a message ended.
    pub async fn on_sent(
        &self,
        appid: &str,
        openid: &OpenId,
        template: &str,
        errcode: i64,
    ) -> Result<(), StoreError> {
        self.end_if(errcode == REFUSED, appid, openid, template).await
    }

    async fn end_if(
        &self,
        is_over: bool,
        appid: &str,
        openid: &OpenId,
        template: &str,
    ) -> Result<(), StoreError> {
        let is_ours = *self.template.appid == *appid && self.template.id.as_str() == template;
        if is_over && is_ours {
            self.store.end_grants_of(openid, &self.template).await?;
        }
        Ok(())
    }
}
