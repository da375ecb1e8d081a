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

use super::{
    Cursor, Heard, Letter, Page, Person, Unreadable, Wire,
    plain::{self, Body, unreadable},
};

/// Socket.IO.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketIo;

/// An event's arguments: its name and, of this program's events, one body.
#[derive(Deserialize)]
struct Event<'a>(#[serde(borrow)] &'a str, #[serde(borrow, default)] Option<&'a RawValue>);

impl Wire for SocketIo {
    fn handshake(&self, target: &Url, person: &Person) -> Request<()> {
        let path = format!("/socket.io/?EIO=4&transport=websocket&userId={}", person.id);
        super::upgrade(target, &path)
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

    fn read_page(&self, body: &str) -> Result<Page, Unreadable> {
        plain::read_page(body)
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
