//! Reads the fields of a JSON object one by one, so that each wrong one is named.
//!
//! Unknown keys are skipped without being decoded, however deep they are. Each known one is decoded
//! by itself: a lone surrogate in one string is a fault of that field, not of the frame.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::{Code, Fault};
use crate::domain::{ClientMsgId, Content, OutOfRange, UserId, UserName};

/// Bytes that are no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a JSON object")]
pub struct NotAnObject;

/// The fields of one object. Where a key stands twice, the last one counts; `null` is absent.
#[derive(Debug)]
pub struct Fields<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

/// Borrows keys that have no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Reads an object.
    pub fn parse(json: &'a [u8]) -> Result<Self, NotAnObject> {
        let raw: HashMap<Key<'a>, &'a RawValue> =
            serde_json::from_slice(json).map_err(|_| NotAnObject)?;
        Ok(Self(raw.into_iter().map(|(key, value)| (key.0, value)).collect()))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|raw| raw.get()).filter(|json| *json != "null")
    }

    /// Whether the key stands there with a value.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<String>, Fault> {
        self.get(key)
            .map(|json| {
                serde_json::from_str(json)
                    .map_err(|_| Fault::invalid(format!("`{key}` must be a string")))
            })
            .transpose()
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
        let invalid = |detail: String| Fault::new(Code::InvalidContent, detail);
        let json = self.get("content").ok_or_else(|| missing("content"))?;
        if !json.starts_with('"') {
            return Err(Fault::invalid("`content` must be a string"));
        }
        // The object was well-formed, so all that can be wrong with a string is a lone surrogate.
        let text: String = serde_json::from_str(json)
            .map_err(|_| invalid("`content` must not contain lone surrogates".into()))?;
        Content::parse(&text, max_chars).map_err(|error| invalid(format!("`content` {error}")))
    }

    /// A user's name under this key, if there is one.
    pub fn user_name(&self, key: &str) -> Result<Option<UserName>, Fault> {
        self.string(key)?
            .map(|text| {
                UserName::parse(&text).map_err(|error| Fault::invalid(format!("`{key}` {error}")))
            })
            .transpose()
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
