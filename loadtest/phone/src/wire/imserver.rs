//! `imserver.v1`, as docs/protocol.md has it.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header::SEC_WEBSOCKET_PROTOCOL};
use url::Url;

use super::{ChatFrame, Cursor, Heard, Letter, Page, Person, StoredChat, Unreadable, Wire};

/// The protocol of this project.
#[derive(Clone, Copy, Debug)]
pub struct Imserver {
    /// The server's `delivery.replay_limit`.
    pub replay_limit: i64,
}

impl Default for Imserver {
    fn default() -> Self {
        Self { replay_limit: 10_000 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    seq: Option<i64>,
    #[serde(borrow)]
    chat: Option<Chat<'a>>,
    #[serde(borrow)]
    client_msg_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    retry_after_ms: Option<u64>,
    after_ms: Option<u64>,
    #[serde(borrow)]
    epoch: Option<Cow<'a, str>>,
    last_seq: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat<'a> {
    id: i64,
    user_id: i64,
    target_user_id: i64,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(borrow)]
    client_msg_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events<'a> {
    #[serde(borrow)]
    events: Vec<Frame<'a>>,
    has_more: bool,
}

impl Wire for Imserver {
    fn handshake(&self, target: &Url, person: &Person) -> Request<()> {
        let mut request = super::upgrade(target, &format!("/imserver/{}", person.id));
        if let Ok(offer) = HeaderValue::try_from(format!("imserver.v1, bearer.{}", person.token)) {
            request.headers_mut().append(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        request
    }

    fn greeting(&self, _: &Person, phone: u32, cursor: &Cursor) -> Option<String> {
        let mut hello = json!({"type": "hello", "deviceId": format!("phone-{phone}")});
        if let Some(seq) = cursor.seq {
            hello["since"] = seq.into();
        }
        if let Some(epoch) = &cursor.epoch {
            hello["epoch"] = epoch.as_str().into();
        }
        Some(hello.to_string())
    }

    fn send(&self, letter: &Letter<'_>) -> String {
        json!({
            "type": "send",
            "clientMsgId": letter.key,
            "targetUserId": letter.target,
            "content": letter.content,
        })
        .to_string()
    }

    fn ping(&self) -> Option<String> {
        Some(r#"{"type":"ping"}"#.to_owned())
    }

    fn hear<'a>(&self, frame: &'a str, tell: &mut dyn FnMut(Heard<'a>)) -> Result<(), Unreadable> {
        let frame: Frame<'a> =
            serde_json::from_str(frame).map_err(|error| Unreadable(error.to_string()))?;
        let lacks = |name: &str| Unreadable(format!("`{}` without `{name}`", frame.kind));
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        tell(match &*frame.kind {
            "ready" => Heard::Ready {
                epoch: Some(frame.epoch.ok_or_else(|| lacks("epoch"))?.into_owned()),
                last_seq: frame.last_seq,
            },
            kind @ ("event" | "sent") => {
                let seq = Some(frame.seq.ok_or_else(|| lacks("seq"))?);
                let is_sent = kind == "sent";
                let chat = frame.chat.map(|chat| ChatFrame {
                    key: chat.client_msg_id,
                    id: chat.id,
                    sender: chat.user_id,
                    target: chat.target_user_id,
                    content: Some(chat.content),
                });
                if is_sent {
                    Heard::Sent { seq, chat: chat.ok_or_else(|| lacks("chat"))? }
                } else {
                    Heard::Event { seq, chat }
                }
            }
            "error" => Heard::Refused {
                code: frame.code.ok_or_else(|| Unreadable("`error` without `code`".into()))?,
                key: frame.client_msg_id,
                after: millis(frame.retry_after_ms),
            },
            "reset" => Heard::Reset {
                last_seq: frame.last_seq.ok_or_else(|| lacks("lastSeq"))?,
                epoch: Some(frame.epoch.ok_or_else(|| lacks("epoch"))?.into_owned()),
            },
            "reconnect" => {
                Heard::Reconnect { after: millis(frame.after_ms).unwrap_or(Duration::ZERO) }
            }
            _ => Heard::Nothing,
        });
        Ok(())
    }

    fn page_path(&self, _: &Person, after: i64) -> String {
        format!("/v1/events?since={after}&limit=100")
    }

    fn read_page(&self, body: &str) -> Result<Page, Unreadable> {
        let events: Events<'_> =
            serde_json::from_str(body).map_err(|error| Unreadable(error.to_string()))?;
        let last = events.events.last().and_then(|event| event.seq);
        let mut page = Page { events: Vec::new(), next: last.filter(|_| events.has_more) };
        for event in events.events {
            let chat = event.chat.map(|chat| StoredChat {
                key: chat.client_msg_id.into_owned(),
                id: chat.id,
                sender: chat.user_id,
                target: chat.target_user_id,
                content: chat.content.into_owned(),
            });
            page.events.push((event.seq, chat));
        }
        Ok(page)
    }

    fn is_to_come_back_after(&self, code: u16) -> bool {
        matches!(code, 1001 | 1005 | 1006 | 1011 | 1012 | 4408 | 4410)
    }

    fn has_numbers(&self) -> bool {
        true
    }

    fn replay_limit(&self) -> Option<i64> {
        Some(self.replay_limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(frame: &str) -> bool {
        Imserver::default().hear(frame, &mut |_| {}).is_err()
    }

    #[test]
    fn an_event_that_is_no_chat_moves_the_cursor() {
        let mut moved = None;
        let frame = r#"{"type":"event","event":"poll","seq":7,"options":[1,2]}"#;
        let read = Imserver::default().hear(frame, &mut |heard| {
            if let Heard::Event { seq, chat: None } = heard {
                moved = seq;
            }
        });
        assert_eq!((read.is_ok(), moved), (true, Some(7)));
        let page = r#"{"events":[{"type":"event","event":"poll","seq":7}],"hasMore":true}"#;
        let page = Imserver::default().read_page(page).unwrap();
        assert_eq!((page.events.len(), page.events[0].0, page.next), (1, Some(7), Some(7)));
        assert!(page.events[0].1.is_none());
    }

    #[test]
    fn frames_that_lack_what_a_phone_needs_are_not_read() {
        assert!(unreadable(r#"{"type":"sent","seq":7,"clientMsgId":"a"}"#));
        assert!(unreadable(r#"{"type":"event","event":"read"}"#));
        assert!(unreadable(r#"{"type":"ready","lastSeq":7}"#));
        assert!(unreadable(r#"{"type":"reset","epoch":"e"}"#));
        assert!(!unreadable(r#"{"type":"ready","epoch":"e","lastSeq":7}"#));
    }
}
