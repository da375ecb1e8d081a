//! `mediaCheckAsync`, version 2: has WeChat look at a picture or listen to a voice message. The result comes later,
//! by message push.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{CallError, Scene, Wechat};
use crate::{
    checks::Unchecked,
    domain::{MediaKind, WechatUser},
};

/// How long the question may take. WeChat fetches the medium after it has answered.
const WAIT: Duration = Duration::from_secs(5);

/// The longest name of a check that is taken, in bytes. Real ones have some 40.
const MAX_TRACE_BYTES: usize = 256;

const PATH: &str = "wxa/media_check_async";

#[derive(Deserialize)]
struct Answer {
    trace_id: String,
}

impl Wechat {
    /// Has WeChat check what stands at this URL, which it must be able to reach. Returns the name of the check, by
    /// which its result comes within 30 minutes. [`Unchecked::Unable`]: it does not know the user, or has not seen
    /// the user for two hours, or it is a file.
    pub async fn check_media(
        &self,
        user: &WechatUser,
        url: &str,
        kind: MediaKind,
    ) -> Result<String, Unchecked> {
        let program = self.program_of(user).ok_or(Unchecked::Unable)?;
        let media_type = match kind {
            MediaKind::Voice => 1,
            MediaKind::Image => 2,
            MediaKind::File => return Err(Unchecked::Unable),
        };
        let body = json!({
            "version": 2, "openid": user.openid.as_str(), "scene": Scene::Social as u8,
            "media_url": url, "media_type": media_type,
        });
        let answer = program.call::<Answer>(PATH, &body, WAIT).await.and_then(|answer| {
            let is_fit = (1..=MAX_TRACE_BYTES).contains(&answer.trace_id.len());
            if is_fit { Ok(answer.trace_id) } else { Err(CallError::unreadable()) }
        });
        answer.map_err(|error| program.unchecked(PATH, &error))
    }
}
