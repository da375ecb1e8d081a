//! The JSON protocol of Centrifuge and Centrifugo: `peers/centrifuge/main.go` and `peers/lib/centrifugo.js` have
//! what it carries.
//!
//! Commands have an id and one of several bodies; replies have the same id. A frame holds several replies,
//! a line each. `{}` is a ping, and its answer.

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio_tungstenite::tungstenite::http::Request;
use url::Url;

use phone::wire::{Cursor, Heard, Letter, Page, Person, Unreadable, Wire, upgrade};

use super::plain::{self, Body, unreadable};

/// The id of the command that connects.
const CONNECT: u64 = 1;

/// Centrifuge, and Centrifugo.
#[derive(Clone, Debug, Default)]
pub struct Centrifuge {
    /// Where chats are read back, if that is not where the sockets are: Centrifugo keeps none.
    pub pages: Option<Url>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    id: Option<u64>,
    error: Option<Error>,
    #[serde(borrow)]
    connect: Option<&'a RawValue>,
    #[serde(borrow)]
    rpc: Option<Data<'a>>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
}

#[derive(Deserialize)]
struct Error {
    code: u32,
    message: String,
}

/// What this program's own server says.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Body<'a>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow, rename = "pub")]
    publication: Option<Data<'a>>,
}

impl Wire for Centrifuge {
    fn handshake(&self, target: &Url, person: &Person) -> Request<()> {
        upgrade(target, &format!("/connection/websocket?userId={}", person.id))
    }

    fn greeting(&self, person: &Person, _: u32, _: &Cursor) -> Option<String> {
        // Centrifugo's back end reads who it is here, a server on the library in the URL.
        Some(json!({"id": CONNECT, "connect": {"data": {"userId": person.id}}}).to_string())
    }

    fn send(&self, letter: &Letter<'_>) -> String {
        // The answer has the key. The id is above the one that connects, and new for each letter.
        let number = letter.key.rsplit('-').next().and_then(|number| number.parse().ok());
        let id = CONNECT + 1 + number.unwrap_or(0);
        json!({"id": id, "rpc": {"method": "send", "data": plain::body(letter)}}).to_string()
    }

    fn ping(&self) -> Option<String> {
        None
    }

    fn hear<'a>(&self, frame: &'a str, tell: &mut dyn FnMut(Heard<'a>)) -> Result<(), Unreadable> {
        for line in frame.lines().filter(|line| !line.is_empty()) {
            let reply: Reply<'_> =
                serde_json::from_str(line).map_err(|error| unreadable(&error))?;
            tell(reply.meaning()?);
        }
        Ok(())
    }

    fn page_path(&self, person: &Person, after: i64) -> String {
        let path = plain::page_path(person, after);
        match &self.pages {
            Some(url) => format!("{}{path}", url.as_str().trim_end_matches('/')),
            None => path,
        }
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

impl<'a> Reply<'a> {
    fn meaning(self) -> Result<Heard<'a>, Unreadable> {
        match self {
            Self { error: Some(Error { code, message }), .. } => {
                Err(Unreadable(format!("error {code}, {message}")))
            }
            Self { connect: Some(_), .. } => Ok(Heard::Ready { epoch: None, last_seq: None }),
            Self { rpc: Some(Data { data }), .. } => data.answer(),
            Self { push: Some(Push { publication: Some(Data { data }) }), .. } => data.event(),
            Self { id: None, push: None, .. } => Ok(Heard::Say("{}".to_owned())),
            _ => Ok(Heard::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use phone::target::Target;

    use super::{super::tests::heard, *};

    #[test]
    fn what_centrifuge_says_is_read() {
        let connected = r#"{"id":1,"connect":{"client":"c7b42b94-1f7c-473e-bb62-d1415d697761","subs":{"user:2":{}},"ping":25,"pong":true}}"#;
        assert_eq!(heard(&Centrifuge::default(), connected), ["ready"]);
        assert_eq!(heard(&Centrifuge::default(), "{}"), ["say {}"]);
        let refused = r#"{"id":5,"rpc":{"data":{"key":"1-1-3","code":"unavailable"}}}"#;
        assert_eq!(
            heard(&Centrifuge::default(), refused),
            ["refused 1-1-3 unavailable, again after 1s"]
        );
        let error = r#"{"id":5,"error":{"code":108,"message":"method not found"}}"#;
        assert!(Centrifuge::default().hear(error, &mut |_| ()).is_err());
    }

    #[test]
    fn a_frame_has_several_replies() {
        let frame = concat!(
            r#"{"id":2,"rpc":{"data":{"key":"1-8-0","id":1,"time":1795408081274}}}"#,
            "\n",
            r#"{"push":{"channel":"user:2","pub":{"data":{"id":2,"from":1,"to":2,"key":"1-1-0","content":"chat 1-1-0 你好","time":1795408081302}}}}"#,
            "\n"
        );
        assert_eq!(
            heard(&Centrifuge::default(), frame),
            ["sent 1-8-0 as 1", "event 1-1-0 as 2 from 1 to 2: chat 1-1-0 你好"]
        );
    }

    #[test]
    fn a_letter_is_a_call() {
        let letter = Letter { key: "1-1-3", sender: 1, target: 2, content: "x", picture: None };
        assert_eq!(
            Centrifuge::default().send(&letter),
            r#"{"id":5,"rpc":{"data":{"content":"x","key":"1-1-3","to":2},"method":"send"}}"#
        );
    }

    #[test]
    fn a_page_is_where_the_back_end_is() {
        let person = Person { id: 7, token: String::new() };
        let pages = Some(Url::parse("http://127.0.0.1:9/").unwrap());
        let url = Centrifuge { pages }.page_path(&person, 5);
        assert_eq!(url, "http://127.0.0.1:9/readback?userId=7&after=5&limit=1000");
        let target = Target::find(&Url::parse("http://127.0.0.1:8").unwrap()).unwrap();
        assert_eq!(target.at(&url), url);
        let path = Centrifuge::default().page_path(&person, 5);
        assert_eq!(target.at(&path), format!("http://127.0.0.1:8{path}"));
    }
}
