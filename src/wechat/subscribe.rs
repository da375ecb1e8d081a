//! Subscribe messages: tells somebody who is away, if that user has allowed it.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value, json};

use super::{CallError, Wechat};
use crate::domain::WechatUser;

const PATH: &str = "cgi-bin/message/subscribe/send";

/// A message.
#[derive(Clone)]
pub struct SubscribeMessage<'a> {
    /// Which template of the mini program it fills in.
    pub template_id: &'a str,
    /// The page that it opens, with its query; `None`: it opens none.
    pub page: Option<&'a str>,
    /// The fields of the template with their values.
    pub data: BTreeMap<&'a str, String>,
    /// In which language WeChat's own words are, such as `zh_CN`; `None`: in that one.
    pub lang: Option<&'a str>,
}

/// What people write never reaches a log.
impl fmt::Debug for SubscribeMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeMessage")
            .field("template_id", &self.template_id)
            .finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The user takes no such message, or none any more.
    #[error("the user takes no such message")]
    Refused,
    /// The mini program as it is published has no such page.
    #[error("the mini program has no such page")]
    BadPage,
    /// The template has other fields, or a value does not fit its field, or there is no such template.
    #[error("the message does not fit the template")]
    BadField,
    /// The mini program has no such user.
    #[error("the mini program has no such user")]
    UserUnknown,
    /// WeChat takes no more messages for a while.
    #[error("WeChat takes no more messages for a while")]
    Quota,
    /// WeChat takes no messages of this mini program now, or gave no token. Nothing was sent.
    #[error("WeChat takes no messages of this mini program now")]
    NotSent,
    /// WeChat did not answer, or answered what nobody understands. It may have been sent.
    #[error("WeChat did not answer as it should")]
    Failed,
}

impl From<&CallError> for SendError {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Refused => Self::Refused,
            CallError::BadPage => Self::BadPage,
            CallError::BadField | CallError::TemplateUnknown => Self::BadField,
            CallError::UserUnknown | CallError::UserForeign => Self::UserUnknown,
            CallError::OutOfQuota(_) => Self::Quota,
            CallError::NoAnswer(_) => Self::Failed,
            _ => Self::NotSent,
        }
    }
}

impl Wechat {
    /// Sends a message to a user.
    pub async fn send_subscribe(
        &self,
        user: &WechatUser,
        message: &SubscribeMessage<'_>,
    ) -> Result<(), SendError> {
        let program = self.program_of(user).ok_or(SendError::UserUnknown)?;
        let SubscribeMessage { template_id, page, data, lang } = message;
        let values =
            data.iter().map(|(field, value)| ((*field).to_owned(), json!({"value": value})));
        let mut body = json!({
            "touser": user.openid.as_str(), "template_id": template_id,
            "data": values.collect::<Map<String, Value>>(),
        });
        for (key, value) in [("page", page), ("lang", lang)] {
            if let Some(value) = value {
                body[key] = (*value).into();
            }
        }
        let sent = program.call::<Value>(PATH, &body, program.timeout).await;
        sent.map(|_| ()).map_err(|error| {
            // That a user is not there or wants none is the user's own affair.
            if !matches!(error, CallError::Refused | CallError::UserUnknown) {
                program.note(PATH, &error);
            }
            SendError::from(&error)
        })
    }
}
