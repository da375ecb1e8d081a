//! Socket.IO 4: its protocol 5 over Engine.IO 4, over a WebSocket from the start. `peers/socketio.js` has
//! the events.
//!
//! The first digit is Engine.IO's: 0 open, 2 ping, 3 pong, 4 message. In a message the second is
//! Socket.IO's: 0 connect, 2 event, 3 acknowledgement, 4 refused connect. An event that is to be
//! acknowledged has an id after that.

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio_tungstenite::tungstenite::http::Request;
use url::Url;

use phone::wire::{Cursor, Heard, Letter, Page, Person, Unreadable, Wire, upgrade};

use super::plain::{self, Body, unreadable};

/// Socket.IO.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketIo;

/// An event's arguments: its name and, of this program's events, one body.
#[derive(Deserialize)]
struct Event<'a>(#[serde(borrow)] &'a str, #[serde(borrow, default)] Option<&'a RawValue>);

impl Wire for SocketIo {
    fn handshake(&self, target: &Url, person: &Person) -> Request<()> {
        let path = format!("/socket.io/?EIO=4&transport=websocket&userId={}", person.id);
        upgrade(target, &path)
    }

    fn greeting(&self, _: &Person, _: u32, _: &Cursor) -> Option<String> {
        None
    }

    fn send(&self, letter: &Letter<'_>) -> String {
        // The answer has the key, so the id need not tell two letters apart, though it does: it is the
        // last part of the key.
        let id = letter.key.rsplit('-').next().unwrap_or("0");
        format!("42{id}{}", json!(["send", plain::body(letter)]))
    }

    fn ping(&self) -> Option<String> {
        None
    }

    fn hear<'a>(&self, frame: &'a str, tell: &mut dyn FnMut(Heard<'a>)) -> Result<(), Unreadable> {
        tell(if frame.starts_with('0') {
            Heard::Say("40".to_owned())
        } else if frame.starts_with('2') {
            Heard::Say("3".to_owned())
        } else if let Some(arguments) = frame.strip_prefix("42") {
            event(arguments)?
        } else if let Some(answer) = frame.strip_prefix("43") {
            let arguments = answer.trim_start_matches(|digit: char| digit.is_ascii_digit());
            let [body]: [Body<'_>; 1] =
                serde_json::from_str(arguments).map_err(|error| unreadable(&error))?;
            body.answer()?
        } else if frame.starts_with("44") {
            return Err(Unreadable("a refused connect".into()));
        } else {
            Heard::Nothing
        });
        Ok(())
    }

    fn page_path(&self, person: &Person, after: i64) -> String {
        plain::page_path(person, after)
    }

    fn read_page<'a>(&self, body: &'a str) -> Result<Page<'a>, Unreadable> {
        plain::read_page(body)
    }

    fn is_to_come_back_after(&self, code: u16) -> bool {
        super::is_to_come_back_after(code)
    }

    fn has_numbers(&self) -> bool {
        false
    }
}

fn event(arguments: &str) -> Result<Heard<'_>, Unreadable> {
    let event: Event<'_> = serde_json::from_str(arguments).map_err(|error| unreadable(&error))?;
    match event {
        Event("ready", _) => Ok(Heard::Ready { epoch: None, last_seq: None }),
        Event("event", Some(body)) => {
            let body: Body<'_> =
                serde_json::from_str(body.get()).map_err(|error| unreadable(&error))?;
            body.event()
        }
        _ => Ok(Heard::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::heard, *};

    #[test]
    fn what_socket_io_says_is_read() {
        let open = r#"0{"sid":"WlmZR_uAtQ9pzeuOAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#;
        assert_eq!(heard(&SocketIo, open), ["say 40"]);
        assert_eq!(heard(&SocketIo, r#"40{"sid":"OlsAF45w16wIfo6LAAAA"}"#), ["nothing"]);
        assert_eq!(heard(&SocketIo, "2"), ["say 3"]);
        assert_eq!(heard(&SocketIo, r#"42["ready"]"#), ["ready"]);
        let answer = r#"4312[{"key":"1-1-12","id":47,"time":1795408064470}]"#;
        assert_eq!(heard(&SocketIo, answer), ["sent 1-1-12 as 47"]);
        let event = r#"42["event",{"id":1,"from":1,"to":2,"key":"1-1-0","content":"chat 1-1-0 你好","time":1795408063946}]"#;
        assert_eq!(heard(&SocketIo, event), ["event 1-1-0 as 1 from 1 to 2: chat 1-1-0 你好"]);
        let refused = r#"430[{"key":"1-1-0","code":"unavailable"}]"#;
        assert_eq!(heard(&SocketIo, refused), ["refused 1-1-0 unavailable, again after 1s"]);
        assert!(SocketIo.hear(r#"44{"message":"no"}"#, &mut |_| ()).is_err());
    }

    #[test]
    fn a_letter_is_an_event_that_asks_for_an_answer() {
        let letter = Letter { key: "1-1-12", sender: 1, target: 2, content: "x", picture: None };
        assert_eq!(SocketIo.send(&letter), r#"4212["send",{"content":"x","key":"1-1-12","to":2}]"#);
    }
}
