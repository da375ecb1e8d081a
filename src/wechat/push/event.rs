//! What a push says: a typed event, and the key by which its repeats are known.

use std::{fmt, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{PushError, Pushed};
use crate::{
    checks::{Suggestion, Unchecked},
    domain::{OpenId, WechatUser},
    wechat::text_check::Verdict,
};

/// What WeChat tells of. Where a user is named it is by the openid.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A medium was checked, or could not be.
    MediaChecked {
        /// The name of the check.
        trace_id: String,
        /// What came of it.
        result: Result<Suggestion, Unchecked>,
    },
    /// A user answered the question whether the mini program may send messages.
    SubscribePopup {
        /// Who.
        user: WechatUser,
        /// What the answer was, for each template.
        answers: Vec<TemplateAnswer>,
    },
    /// A user changed an answer in the settings of WeChat.
    SubscribeChange {
        /// Who.
        user: WechatUser,
        /// What the answer is now, for each template.
        answers: Vec<TemplateAnswer>,
    },
    /// Messages reached a user, or did not.
    SubscribeSent {
        /// Who.
        user: WechatUser,
        /// What became of each.
        sent: Vec<SentMessage>,
    },
    /// Anything else.
    Other,
}

/// Ids of people never reach a log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaChecked { .. } => "MediaChecked",
            Self::SubscribePopup { .. } => "SubscribePopup",
            Self::SubscribeChange { .. } => "SubscribeChange",
            Self::SubscribeSent { .. } => "SubscribeSent",
            Self::Other => "Other",
        })
    }
}

/// Whether a user takes messages of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateAnswer {
    /// The template.
    pub template_id: String,
    /// Whether the user does: the word was `accept`.
    pub accepts: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// Its template.
    pub template_id: String,
    /// What WeChat calls it.
    pub message_id: String,
    /// 0, or why it did not reach the user.
    pub errcode: i64,
}

/// A number, or a text in which it stands: WeChat writes the same field both ways.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
}

impl Loose {
    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl fmt::Display for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "TemplateId")]
    template_id: String,
    #[serde(rename = "SubscribeStatusString")]
    status: String,
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "TemplateId")]
    template_id: String,
    #[serde(rename = "MsgID")]
    message_id: Loose,
    #[serde(rename = "ErrorCode")]
    errcode: Loose,
}

#[derive(Deserialize)]
struct Checked {
    trace_id: String,
    errcode: Option<Loose>,
    #[serde(flatten)]
    verdict: Verdict,
}

/// What a push says, and its key: WeChat sends a push again that was not answered in time.
pub fn read_event(pushed: &Pushed) -> Result<(String, Event), PushError> {
    let fields: Map<String, Value> =
        serde_json::from_str(&pushed.json).map_err(|_| PushError::NotJson)?;
    Ok((key(&fields), event(pushed.appid.as_ref(), &fields)))
}

/// Names the push. It is a digest, since it stands on a user's openid where there is no `MsgId`. Two checks of one
/// user's media may end in the same second, and two messages be sent: so it stands on those as well.
fn key(fields: &Map<String, Value>) -> String {
    let parts: &[&str] = if fields.contains_key("MsgId") {
        &["MsgId", "FromUserName"]
    } else {
        &["FromUserName", "CreateTime", "MsgType", "Event", "trace_id", "List"]
    };
    let mut hash = Sha256::new();
    for part in parts {
        let part = fields.get(*part).map(Value::to_string).unwrap_or_default();
        // A length before each part: no two pushes are the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.map(|byte| format!("{byte:02x}")).concat()
}

fn event(appid: Option<&Arc<str>>, fields: &Map<String, Value>) -> Event {
    let name = fields.get("Event").and_then(Value::as_str).unwrap_or_default();
    let read = match name {
        "wxa_media_check" => media_checked(fields),
        "subscribe_msg_popup_event" => {
            let answers = user(appid, fields).zip(answers(fields));
            answers.map(|(user, answers)| Event::SubscribePopup { user, answers })
        }
        "subscribe_msg_change_event" => {
            let answers = user(appid, fields).zip(answers(fields));
            answers.map(|(user, answers)| Event::SubscribeChange { user, answers })
        }
        "subscribe_msg_sent_event" => {
            let sent = list::<Sent>(fields).map(|sent| sent.into_iter().map(SentMessage::of));
            let sent = sent.and_then(Iterator::collect::<Option<Vec<_>>>);
            user(appid, fields).zip(sent).map(|(user, sent)| Event::SubscribeSent { user, sent })
        }
        _ => return Event::Other,
    };
    read.unwrap_or_else(|| {
        tracing::warn!(event = name, "a push of WeChat has another form than documented");
        Event::Other
    })
}

fn media_checked(fields: &Map<String, Value>) -> Option<Event> {
    let checked: Checked = serde_json::from_value(Value::Object(fields.clone())).ok()?;
    let result = match checked.errcode.map_or(Some(0), |code| code.number()) {
        Some(0) => checked.verdict.read().ok_or(Unchecked::Failed),
        errcode => {
            tracing::warn!(errcode, "WeChat could not check a medium; -1008: it could not load it");
            Err(Unchecked::Failed)
        }
    };
    Some(Event::MediaChecked { trace_id: checked.trace_id, result })
}

fn user(appid: Option<&Arc<str>>, fields: &Map<String, Value>) -> Option<WechatUser> {
    let openid = OpenId::new(fields.get("FromUserName")?.as_str()?);
    Some(WechatUser { appid: appid.cloned(), openid })
}

fn answers(fields: &Map<String, Value>) -> Option<Vec<TemplateAnswer>> {
    let answers = list::<Answer>(fields)?.into_iter().map(|Answer { template_id, status }| {
        TemplateAnswer { template_id, accepts: status == "accept" }
    });
    Some(answers.collect())
}

impl SentMessage {
    fn of(Sent { template_id, message_id, errcode }: Sent) -> Option<Self> {
        let (message_id, errcode) = (message_id.to_string(), errcode.number()?);
        Some(Self { template_id, message_id, errcode })
    }
}

/// The entries of `List`, which is one object where there is one.
fn list<T: for<'de> Deserialize<'de>>(fields: &Map<String, Value>) -> Option<Vec<T>> {
    let list = match fields.get("List")? {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    list.into_iter().map(|entry| serde_json::from_value(entry).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: &Value) -> (String, Event) {
        let pushed = Pushed { appid: Some("wx1".into()), json: fields.to_string() };
        read_event(&pushed).unwrap()
    }

    fn user() -> WechatUser {
        WechatUser { appid: Some("wx1".into()), openid: OpenId::new("o-1") }
    }

    #[test]
    fn a_list_may_be_one_object() {
        let entry = |id: &str, status: &str| json!({"TemplateId": id, "SubscribeStatusString": status, "PopupScene": "0"});
        let (one, two) = (entry("T1", "accept"), entry("T2", "reject"));
        let answer = |id: &str, accepts| TemplateAnswer { template_id: id.to_owned(), accepts };
        for (list, answers) in [
            (one.clone(), vec![answer("T1", true)]),
            (json!([one]), vec![answer("T1", true)]),
            (json!([one, two]), vec![answer("T1", true), answer("T2", false)]),
            (json!([]), vec![]),
        ] {
            let event = json!({"FromUserName": "o-1", "CreateTime": 1, "MsgType": "event",
                "Event": "subscribe_msg_popup_event", "List": list});
            assert_eq!(read(&event).1, Event::SubscribePopup { user: user(), answers });
        }
        let sent = json!({"FromUserName": "o-1", "Event": "subscribe_msg_sent_event",
            "List": {"TemplateId": "T1", "MsgID": "1700827132819554304", "ErrorCode": "43101",
                "ErrorStatus": "x"}});
        let message = SentMessage {
            template_id: "T1".to_owned(),
            message_id: "1700827132819554304".to_owned(),
            errcode: 43_101,
        };
        assert_eq!(read(&sent).1, Event::SubscribeSent { user: user(), sent: vec![message] });
        for other in [json!({}), json!({"Event": "subscribe_msg_popup_event", "List": 7})] {
            assert_eq!(read(&other).1, Event::Other);
        }
    }

    #[test]
    fn a_check_of_a_medium_is_read_with_its_label_as_text_or_number() {
        for label in [json!(100), json!("100")] {
            let event = json!({"ToUserName": "gh_1", "FromUserName": "o-1", "CreateTime": "1",
                "MsgType": "event", "Event": "wxa_media_check", "appid": "wx1",
                "trace_id": "t-1", "version": 2, "errcode": 0, "errmsg": "ok",
                "detail": [{"strategy": "content_model", "errcode": 0, "suggest": "pass",
                    "label": label, "prob": 90}],
                "result": {"suggest": "pass", "label": label}});
            let trace_id = "t-1".to_owned();
            assert_eq!(
                read(&event).1,
                Event::MediaChecked { trace_id, result: Ok(Suggestion::Pass) }
            );
        }
        let failed = json!({"Event": "wxa_media_check", "trace_id": "t-1", "errcode": -1008,
            "result": {"suggest": "pass"}});
        let result = Err(Unchecked::Failed);
        assert_eq!(read(&failed).1, Event::MediaChecked { trace_id: "t-1".to_owned(), result });
    }

    #[test]
    fn a_repeat_has_the_same_key_and_nothing_else_has() {
        let base = json!({"FromUserName": "o-1", "CreateTime": 1, "Event": "x", "trace_id": "t"});
        let mut keys = vec![read(&base).0];
        let change = |key: &str, value: Value| {
            let mut other = base.clone();
            other[key] = value;
            read(&other).0
        };
        assert_eq!(change("nonce", json!(7)), keys[0]);
        keys.extend([
            change("FromUserName", json!("o-2")),
            change("CreateTime", json!(2)),
            change("Event", json!("y")),
            change("trace_id", json!("u")),
            change("List", json!({})),
            change("MsgId", json!(9)),
            change("MsgId", json!(8)),
        ]);
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "{place}");
            assert!(!key.contains("o-1") && key.len() == 64);
        }
    }
}
