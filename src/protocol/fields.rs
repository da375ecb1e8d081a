//! Reads the fields of a JSON object one by one, so that each wrong one is named.
//!
//! Unknown keys are skipped without being decoded, however deep they are. Each known one is decoded
//! by itself: a lone surrogate in one string is a fault of that field, not of the frame.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::fault::{Code, Fault};
use crate::domain::{ClientMsgId, Content, OutOfRange, TextError, UserId, UserName};

/// How many fields there is room for at first: a `send` has four.
const FIELDS: usize = 6;

/// Bytes that are no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a JSON object")]
pub struct NotAnObject;

/// The fields of one object, as they stand there: a handful, which need no index. Where a key stands
/// twice, the last one counts; `null` is absent.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Borrows keys that have no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A key that is not decoded yet.
#[derive(Deserialize)]
struct RawKey<'a>(#[serde(borrow)] &'a RawValue);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(FIELDS);
                while let Some((RawKey(key), value)) = map.next_entry()? {
                    // A key with a lone surrogate is none that anybody knows.
                    if let Ok(Key(key)) = serde_json::from_str(key.get()) {
                        fields.push((key, value));
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    /// Reads an object.
    pub fn parse(json: &'a [u8]) -> Result<Self, NotAnObject> {
        serde_json::from_slice(json).map_err(|_| NotAnObject)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        let (_, raw) = self.0.iter().rev().find(|(name, _)| name == key)?;
        Some(raw.get()).filter(|json| *json != "null")
    }

    /// Whether the key stands there with a string, be it one that no text can hold.
    pub fn is_string(&self, key: &str) -> bool {
        self.get(key).is_some_and(|json| json.starts_with('"'))
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<String>, Fault> {
        let text = self.get(key).map(serde_json::from_str).transpose();
        text.map_err(|_| {
            // The object was well-formed, so all that can be wrong with a string is this.
            let wrong = if self.is_string(key) {
                "must not contain lone surrogates"
            } else {
                "must be a string"
            };
            Fault::invalid(format!("`{key}` {wrong}"))
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        let flag = self.get(key).map(serde_json::from_str).transpose();
        flag.map_err(|_| Fault::invalid(format!("`{key}` must be true or false")))
    }

    /// An id or a sequence number.
    pub fn integer<T: TryFrom<i64, Error = OutOfRange>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, Fault> {
        self.get(key)
            .map(|json| {
                serde_json::from_str::<i64>(json)
                    .map_err(|_| OutOfRange)
                    .and_then(T::try_from)
                    .map_err(|error| Fault::invalid(format!("`{key}` {error}")))
            })
            .transpose()
    }

    /// An id that must be there.
    pub fn required_integer<T: TryFrom<i64, Error = OutOfRange>>(
        &self,
        key: &str,
    ) -> Result<T, Fault> {
        self.integer(key)?.ok_or_else(|| missing(key))
    }

    /// `userId`, a known key of everything: one that names somebody else is forbidden.
    pub fn check_user(&self, actor: UserId) -> Result<(), Fault> {
        match self.integer::<UserId>("userId")? {
            Some(named) if named != actor => Err(Fault::foreign_user()),
            _ => Ok(()),
        }
    }

    /// `clientMsgId`, if there is one.
    pub fn client_msg_id(&self) -> Result<Option<ClientMsgId>, Fault> {
        self.string("clientMsgId")?
            .map(|text| {
                ClientMsgId::parse(&text)
                    .map_err(|error| Fault::invalid(format!("`clientMsgId` {error}")))
            })
            .transpose()
    }

    /// `content`, which must be there.
    pub fn content(&self, max_chars: usize) -> Result<Content, Fault> {
        let text = self.string("content").map_err(|fault| {
            let code = if self.is_string("content") { Code::InvalidContent } else { fault.code };
            Fault { code, ..fault }
        })?;
        let text = text.ok_or_else(|| missing("content"))?;
        Content::parse(&text, max_chars)
            .map_err(|error| Fault::new(Code::InvalidContent, format!("`content` {error}")))
    }

    /// A user's name under this key, if there is one.
    pub fn user_name(&self, key: &str) -> Result<Option<UserName>, Fault> {
        let text = self.string(key).map_err(|fault| {
            let code = if self.is_string(key) { Code::InvalidName } else { fault.code };
            Fault { code, ..fault }
        })?;
        let name = text.map(|text| UserName::parse(&text)).transpose();
        name.map_err(|error| {
            let code = match error {
                TextError::Empty | TextError::TooLong { .. } => Code::InvalidRequest,
                _ => Code::InvalidName,
            };
            Fault::new(code, format!("`{key}` {error}"))
        })
    }

    /// A list of users under this key: at most [`super::MAX_WATCHED`].
    pub fn user_ids(&self, key: &str) -> Result<Vec<UserId>, Fault> {
        let invalid = |detail: String| Fault::new(Code::InvalidUserIds, detail);
        let json = self.get(key).ok_or_else(|| invalid(format!("`{key}` is missing")))?;
        let ids: Vec<UserId> = serde_json::from_str(json)
            .map_err(|_| invalid(format!("`{key}` must be a list of user ids")))?;
        if ids.len() > super::MAX_WATCHED {
            return Err(invalid(format!("`{key}` must name at most {} users", super::MAX_WATCHED)));
        }
        Ok(ids)
    }
}

/// The fault of a required key that is not there.
pub fn missing(key: &str) -> Fault {
    Fault::invalid(format!("`{key}` is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_is_a_fault_of_its_field() {
        let fields =
            Fields::parse(br#"{"type":"send","content":"a\ud800b","deviceId":"\udc00"}"#).unwrap();
        assert_eq!(fields.string("type").unwrap().as_deref(), Some("send"));
        assert_eq!(fields.content(10).unwrap_err().code, Code::InvalidContent);
        assert_eq!(fields.string("deviceId").unwrap_err().code, Code::InvalidRequest);
    }

    #[test]
    fn a_key_that_is_no_text_is_unknown() {
        let fields = Fields::parse(br#"{"\ud800":1,"\u0074ype":"ping","type":"send"}"#).unwrap();
        assert_eq!(fields.string("type").unwrap().as_deref(), Some("send"));
        assert!(Fields::parse(b"{\"a\xff\":1}").is_err());
        assert!(Fields::parse(b"{\"a\n\":1}").is_err());
    }

    #[test]
    fn unknown_keys_may_be_as_deep_as_they_like() {
        let deep = format!(r#"{{"x":{}{},"userId":3}}"#, "[".repeat(20_000), "]".repeat(20_000));
        let fields = Fields::parse(deep.as_bytes()).unwrap();
        assert_eq!(fields.integer::<UserId>("userId").unwrap().unwrap().get(), 3);
        assert!(Fields::parse("[".repeat(20_000).as_bytes()).is_err());
    }

    #[test]
    fn ids_out_of_range_are_named() {
        for wrong in [
            "0",
            "-1",
            "9007199254740992",
            "9223372036854775808",
            "1.5",
            "1e3",
            "\"1\"",
            "true",
            "[]",
        ] {
            let json = format!(r#"{{"targetUserId":{wrong}}}"#);
            let fields = Fields::parse(json.as_bytes()).unwrap();
            let fault = fields.required_integer::<UserId>("targetUserId").unwrap_err();
            assert!(fault.detail.contains("targetUserId"), "{wrong}: {fault}");
        }
        let fields = Fields::parse(br#"{"targetUserId":9007199254740991}"#).unwrap();
        assert!(fields.required_integer::<UserId>("targetUserId").is_ok());
    }
}
