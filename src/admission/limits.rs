//! How often a user may send.

use async_trait::async_trait;

use super::Rule;
use crate::{
    limits::Limits,
    protocol::fault::ApiError,
    store::{NewChat, Origin},
};

/// Counts the sends of each user, and refuses those beyond the rate. What a company's own back end sends in
/// somebody's name is not counted.
pub struct SendLimit(Limits);

impl SendLimit {
    /// The rule, with the rate of these limits.
    pub fn new(limits: Limits) -> Self {
        Self(limits)
    }
}

#[async_trait]
impl Rule for SendLimit {
    fn name(&self) -> &'static str {
        "send_limit"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        match chat.origin {
            Origin::Client => Ok(self.0.send(chat.sender)?),
            Origin::Server => Ok(()),
        }
    }
}
