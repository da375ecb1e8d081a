//! `imserver.v1`, as docs/protocol.md has it.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header::SEC_WEBSOCKET_PROTOCOL};
use url::Url;

use super::{
    ChatFrame, Content, Cursor, Event, Heard, Letter, Line, Page, Person, Picture, Unreadable, Wire,
};
use crate::address;

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
    /// What kind of event it is.
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
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
    conversation_id: Option<i64>,
    user_id: Option<i64>,
    target_user_id: Option<i64>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<Body<'a>>,
    #[serde(borrow)]
    client_msg_id: Option<Cow<'a, str>>,
}

/// Of a picture or a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    media_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    size: Option<u64>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    actor_id: Option<i64>,
    #[serde(default)]
    user_ids: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events<'a> {
    #[serde(borrow)]
    events: Vec<Frame<'a>>,
    has_more: bool,
}

impl<'a> Frame<'a> {
    /// What it says, as an event.
    fn into_event(self) -> Result<Event<'a>, Unreadable> {
        let Some(chat) = self.chat else { return Ok(Event::Other) };
        Ok(match (self.event.as_deref(), chat.state.as_deref()) {
            (_, Some("deleted")) => Event::Deleted(chat.id),
            (Some("changed"), Some("recalled")) => Event::Recalled(chat.id),
            (Some("changed"), _) => Event::Other,
            _ if chat.kind.as_deref() == Some("system") => Event::Line(chat.into_line()?),
            _ => Event::Chat(chat.into_frame()?),
        })
    }
}

impl<'a> Chat<'a> {
    fn into_line(self) -> Result<Line, Unreadable> {
        let lacks = |name: &str| Unreadable(format!("a line without `{name}`"));
        let group = self.conversation_id.ok_or_else(|| lacks("conversationId"))?;
        let Body { event, actor_id, user_ids, .. } = self.body.ok_or_else(|| lacks("body"))?;
        let mut line = Line { id: self.id, group, joined: Vec::new(), left: Vec::new() };
        match event.as_deref() {
            Some("group_created") => line.joined = actor_id.into_iter().chain(user_ids).collect(),
            Some("members_added") => line.joined = user_ids,
            Some("member_left" | "member_removed") => line.left = user_ids,
            _ => {}
        }
        Ok(line)
    }

    fn into_frame(self) -> Result<ChatFrame<'a>, Unreadable> {
        let lacks = |name: &str| Unreadable(format!("a chat without `{name}`"));
        let group = self.conversation_id.map(address::of_group);
        let content = match (self.state.as_deref(), self.kind.as_deref()) {
            (Some("recalled"), _) => Content::Recalled,
            (_, Some("image")) => {
                let body = self.body.ok_or_else(|| lacks("body"))?;
                let media = body.media_id.and_then(|id| u128::from_str_radix(&id, 16).ok());
                Content::Picture(Picture {
                    media: media.ok_or_else(|| lacks("mediaId"))?,
                    url: body.url.ok_or_else(|| lacks("url"))?,
                    size: body.size.ok_or_else(|| lacks("size"))?,
                })
            }
            _ => Content::Text(self.content.ok_or_else(|| lacks("content"))?),
        };
        Ok(ChatFrame {
            key: self.client_msg_id.ok_or_else(|| lacks("clientMsgId"))?,
            id: self.id,
            sender: self.user_id.ok_or_else(|| lacks("userId"))?,
            target: self.target_user_id.or(group).ok_or_else(|| lacks("targetUserId"))?,
            content,
        })
    }
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
        let mut frame = json!({"type": "send", "clientMsgId": letter.key});
        match address::group_of(letter.target) {
            Some(group) => frame["conversationId"] = group.into(),
            None => frame["targetUserId"] = letter.target.into(),
        }
        match letter.picture {
            Some(media) => {
                frame["kind"] = "image".into();
                frame["body"] = json!({"mediaId": format!("{media:032x}")});
            }
            None => frame["content"] = letter.content.into(),
        }
        frame.to_string()
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
                if kind == "sent" {
                    let chat = frame.chat.ok_or_else(|| Unreadable("`sent` without `chat`".into()));
                    Heard::Sent { seq, chat: chat?.into_frame()? }
                } else {
                    Heard::Event { seq, event: frame.into_event()? }
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

    fn read_page<'a>(&self, body: &'a str) -> Result<Page<'a>, Unreadable> {
        let events: Events<'_> =
            serde_json::from_str(body).map_err(|error| Unreadable(error.to_string()))?;
        let last = events.events.last().and_then(|event| event.seq);
        let mut page = Page { events: Vec::new(), next: last.filter(|_| events.has_more) };
        for event in events.events {
            page.events.push((event.seq, event.into_event()?));
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
            if let Heard::Event { seq, event: Event::Other } = heard {
                moved = seq;
            }
        });
        assert_eq!((read.is_ok(), moved), (true, Some(7)));
        let page = r#"{"events":[{"type":"event","event":"poll","seq":7}],"hasMore":true}"#;
        let page = Imserver::default().read_page(page).unwrap();
        assert_eq!((page.events.len(), page.events[0].0, page.next), (1, Some(7), Some(7)));
        assert!(matches!(page.events[0].1, Event::Other));
    }

    fn event(frame: &str) -> String {
        let mut said = String::new();
        let read = Imserver::default().hear(frame, &mut |heard| {
            if let Heard::Event { event, .. } = heard {
                said = format!("{event:?}");
            }
        });
        read.unwrap();
        said
    }

    #[test]
    fn what_happens_to_groups_and_chats_is_read() {
        let chat = r#"{"type":"event","event":"chat","seq":7,"chat":{"id":9,"conversationId":3,"userId":2,"kind":"text","content":"x","clientMsgId":"k"}}"#;
        assert!(event(chat).contains("target: -3, content: Text(\"x\")"), "{}", event(chat));
        let recalled = chat.replace(r#""content":"x""#, r#""content":"","state":"recalled""#);
        assert!(event(&recalled).contains("target: -3, content: Recalled"));
        assert_eq!(
            event(&recalled.replace(r#"event":"chat"#, r#"event":"changed"#)),
            "Recalled(9)"
        );
        let gone = r#"{"type":"event","event":"changed","seq":8,"chat":{"id":9,"conversationId":3,"state":"deleted"}}"#;
        assert_eq!(event(gone), "Deleted(9)");
        let line = |body| {
            event(&chat.replace(r#""kind":"text""#, &format!(r#""kind":"system","body":{body}"#)))
        };
        assert_eq!(
            line(r#"{"event":"group_created","actorId":2,"userIds":[4,5],"names":["a","b"]}"#),
            "Line(Line { id: 9, group: 3, joined: [2, 4, 5], left: [] })"
        );
        assert_eq!(
            line(r#"{"event":"member_removed","actorId":2,"userIds":[4],"names":["a"]}"#),
            "Line(Line { id: 9, group: 3, joined: [], left: [4] })"
        );
        let image = r#""kind":"image","body":{"mediaId":"0f","url":"/v1/media/0f/original","thumbUrl":"/t","width":1,"height":1,"size":7,"contentType":"image/jpeg"}"#;
        let image = event(&chat.replace(r#""kind":"text""#, image));
        assert!(image.contains("Picture { media: 15, url: \"/v1/media/0f/original\", size: 7 }"));
    }

    #[test]
    fn chats_to_groups_and_pictures_are_sent() {
        let letter = Letter { key: "k", sender: 1, target: -3, content: "x", picture: None };
        assert_eq!(
            Imserver::default().send(&letter),
            r#"{"clientMsgId":"k","content":"x","conversationId":3,"type":"send"}"#
        );
        let picture = Letter { target: 2, content: "", picture: Some(15), ..letter };
        assert_eq!(
            Imserver::default().send(&picture),
            r#"{"body":{"mediaId":"0000000000000000000000000000000f"},"clientMsgId":"k","kind":"image","targetUserId":2,"type":"send"}"#
        );
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
