//! The protocol of the servers on Node `ws`: `peers/lib/sockets.js` has its frames.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::Request;
use url::Url;

use phone::wire::{
    ChatFrame, Content, Cursor, Event, Heard, Letter, Page, Person, Unreadable, Wire, upgrade,
};

/// When what a peer refused for now is sent again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// JSON frames, one a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

/// A chat as all peers show it, or what became of one.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    id: Option<i64>,
    from: Option<i64>,
    to: Option<i64>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(flatten, borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    chats: Vec<Row<'a>>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Row<'a> {
    id: i64,
    from: i64,
    to: i64,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl<'a> Body<'a> {
    /// What became of a chat that was sent. Who wrote it to whom is in nobody's answer: the phone knows.
    pub(super) fn answer(self) -> Result<Heard<'a>, Unreadable> {
        if let Some(code) = self.code {
            // What is not for now is this generator's own fault.
            let after = (code != "invalid").then_some(AGAIN_AFTER);
            return Ok(Heard::Refused { key: self.key, code, after });
        }
        let (Some(key), Some(id)) = (self.key, self.id) else {
            return Err(Unreadable("an answer without `key` or `id`".into()));
        };
        let chat = ChatFrame { key, id, sender: 0, target: 0, content: Content::Unsaid };
        Ok(Heard::Sent { seq: None, chat })
    }

    /// A chat of somebody else.
    pub(super) fn event(self) -> Result<Heard<'a>, Unreadable> {
        let Self { id: Some(id), from: Some(sender), to: Some(target), key: Some(key), .. } = self
        else {
            return Err(Unreadable("an event without `id`, `from`, `to` or `key`".into()));
        };
        // The numbers that one of the peers gives are for its clients to sort by: it does not.
        let content = self.content.map_or(Content::Unsaid, Content::Text);
        let event = Event::Chat(ChatFrame { key, id, sender, target, content });
        Ok(Heard::Event { seq: None, event })
    }
}

/// What a chat is to its sender, in all peers.
pub(super) fn body(letter: &Letter<'_>) -> serde_json::Value {
    json!({"key": letter.key, "to": letter.target, "content": letter.content})
}

pub(super) fn unreadable(error: &serde_json::Error) -> Unreadable {
    Unreadable(error.to_string())
}

/// The path of a page, the same for all peers.
pub(super) fn page_path(person: &Person, after: i64) -> String {
    format!("/readback?userId={}&after={after}&limit=1000", person.id)
}

/// A page, the same for all peers.
pub(super) fn read_page(body: &str) -> Result<Page<'_>, Unreadable> {
    let Rows { chats, next } = serde_json::from_str(body).map_err(|error| unreadable(&error))?;
    let stored = |Row { id, from, to, key, content }| {
        let content = Content::Text(content);
        (None, Event::Chat(ChatFrame { key, id, sender: from, target: to, content }))
    };
    Ok(Page { events: chats.into_iter().map(stored).collect(), next })
}

impl Wire for Plain {
    fn handshake(&self, target: &Url, person: &Person) -> Request<()> {
        upgrade(target, &format!("/?userId={}", person.id))
    }

    fn greeting(&self, _: &Person, _: u32, _: &Cursor) -> Option<String> {
        None
    }

    fn send(&self, letter: &Letter<'_>) -> String {
        let mut frame = body(letter);
        frame["type"] = "send".into();
        frame.to_string()
    }

    fn ping(&self) -> Option<String> {
        None
    }

    fn hear<'a>(&self, frame: &'a str, tell: &mut dyn FnMut(Heard<'a>)) -> Result<(), Unreadable> {
        let Frame { kind, body } =
            serde_json::from_str(frame).map_err(|error| unreadable(&error))?;
        tell(match &*kind {
            "ready" => Heard::Ready { epoch: None, last_seq: None },
            "sent" | "refused" => body.answer()?,
            "event" => body.event()?,
            _ => Heard::Nothing,
        });
        Ok(())
    }

    fn page_path(&self, person: &Person, after: i64) -> String {
        page_path(person, after)
    }

    fn read_page<'a>(&self, body: &'a str) -> Result<Page<'a>, Unreadable> {
        read_page(body)
    }

    fn is_to_come_back_after(&self, code: u16) -> bool {
        super::is_to_come_back_after(code)
    }

    fn has_numbers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::heard, *};

    #[test]
    fn what_the_servers_on_ws_say_is_read() {
        assert_eq!(heard(&Plain, r#"{"type":"ready"}"#), ["ready"]);
        assert_eq!(
            heard(&Plain, r#"{"type":"sent","key":"1-1-0","id":1,"time":1795408070874}"#),
            ["sent 1-1-0 as 1"]
        );
        assert_eq!(
            heard(&Plain, r#"{"type":"sent","key":"1-1-0","id":1,"time":1795408078826,"seq":1}"#),
            ["sent 1-1-0 as 1"]
        );
        let event = r#"{"type":"event","id":4,"from":2,"to":1,"key":"1-2-1","content":"chat 1-2-1 你好","time":1795408071100}"#;
        assert_eq!(heard(&Plain, event), ["event 1-2-1 as 4 from 2 to 1: chat 1-2-1 你好"]);
        let refused = r#"{"type":"refused","key":"1-1-0","code":"overloaded"}"#;
        assert_eq!(heard(&Plain, refused), ["refused 1-1-0 overloaded, again after 1s"]);
        assert_eq!(heard(&Plain, r#"{"type":"refused","code":"invalid"}"#), ["refused - invalid"]);
        assert!(Plain.hear("nonsense", &mut |_| ()).is_err());
        assert!(Plain.hear(r#"{"type":"event","id":4}"#, &mut |_| ()).is_err());
    }

    #[test]
    fn a_letter_is_sent_as_json() {
        let content = "你好 \"x\"";
        let letter = Letter { key: "1-1-0", sender: 1, target: 2, content, picture: None };
        assert_eq!(
            Plain.send(&letter),
            r#"{"content":"你好 \"x\"","key":"1-1-0","to":2,"type":"send"}"#
        );
    }

    #[test]
    fn a_page_is_read_back() {
        let person = Person { id: 7, token: String::new() };
        assert_eq!(Plain.page_path(&person, 5), "/readback?userId=7&after=5&limit=1000");
        let page =
            r#"{"chats":[{"id":6,"from":1,"to":2,"key":"1-1-0","content":"x","seq":3}],"next":3}"#;
        let page = Plain.read_page(page).unwrap();
        assert_eq!(page.next, Some(3));
        let (seq, chat) = &page.events[0];
        let Event::Chat(chat) = chat else { panic!("{chat:?}") };
        assert_eq!((*seq, chat.id, &*chat.key), (None, 6, "1-1-0"));
    }
}
