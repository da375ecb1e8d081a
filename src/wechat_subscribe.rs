//! Has WeChat send subscribe messages, and takes its events about them.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    domain::WechatUser,
    subscribe::{SendFault, SubscribeMessage, SubscribeSender, Subscriptions},
    wechat::{self, SendError, Wechat, push::Event},
    wechat_events::{EventHandler, Handled, HandlerError},
};

/// Sends by WeChat's server API.
pub struct WechatSubscribe(pub Wechat);

#[async_trait]
impl SubscribeSender for WechatSubscribe {
    async fn send(&self, message: &SubscribeMessage) -> Result<(), SendFault> {
        let data = message.data.iter().map(|(field, value)| (field.as_str(), value.clone()));
        let call = wechat::SubscribeMessage {
            template_id: message.template.as_str(),
            page: Some(&message.page),
            data: data.collect(),
            lang: None,
        };
        let sent = self.0.send_subscribe(&message.user, &call).await;
        sent.map_err(|error| match error {
            SendError::Refused => SendFault::Refused,
            SendError::UserUnknown => SendFault::UserUnknown,
            SendError::BadPage | SendError::BadField => SendFault::BadTemplate,
            SendError::Quota => SendFault::Quota,

            SendError::NotSent => SendFault::NotSent,
            SendError::Failed => SendFault::Unclear,
        })
    }
}

/// Takes the events that end grants. `main_appid` is that of users whose mini program is not noted.
pub struct SubscribeEvents {
    /// The ledger.
    pub subscriptions: Subscriptions,
    /// The main mini program.
    pub main_appid: String,
}

#[async_trait]
impl EventHandler for SubscribeEvents {
    async fn handle(&self, event: &Event, _age: Duration) -> Result<Handled, HandlerError> {
        let appid =
            |user: &WechatUser| user.appid.as_deref().unwrap_or(&self.main_appid).to_owned();
        match event {
            // The clients' reports are counted.
            Event::SubscribePopup { .. } => {}
            Event::SubscribeChange { user, answers } => {
                for answer in answers {
                    let status = if answer.accepts { "accept" } else { "reject" };
                    let (appid, id) = (appid(user), &answer.template_id);
                    self.subscriptions.on_change(&appid, &user.openid, id, status).await?;
                }
            }
            Event::SubscribeSent { user, sent } => {
                for message in sent {
                    let (appid, id) = (appid(user), &message.template_id);
                    self.subscriptions.on_sent(&appid, &user.openid, id, message.errcode).await?;
                }
            }
            _ => return Ok(Handled::NotMine),
        }
        Ok(Handled::Taken)
    }
}
